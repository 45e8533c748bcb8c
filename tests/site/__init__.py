"""The HTTP API, the pages and the classic pages, against a running server."""
