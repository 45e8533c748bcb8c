"""The JSON API of `docs/protocol.md`. Each handler reads a request, calls one verb, and answers."""
