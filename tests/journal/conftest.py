"""Each contract test runs on every backend."""

from __future__ import annotations

from tests.store.homes import home, mongo, nx_server

__all__ = ["home", "mongo", "nx_server"]
