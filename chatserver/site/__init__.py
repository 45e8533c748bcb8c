"""Addresses: the API, pages, the laboratory, metrics, and the server that listens."""
