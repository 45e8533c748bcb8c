"""Each contract test runs on every backend."""

from __future__ import annotations

from tests.store.homes import home, mongo

__all__ = ["home", "mongo"]
