"""The description of the API, as one answer (`site.api.openapi` makes it)."""

from __future__ import annotations

from typing import Any

from chatserver.http.house import House
from chatserver.site.api.rows import RowHandler

KEPT_S = 300
"""How long a client may keep it: it changes with a new version or another setting only."""


class Description(RowHandler):
    """The same bytes for everybody, signed in or not."""

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house, **more)
        self._document: bytes = more["document"]

    def get(self) -> None:
        self.set_header("Cache-Control", f"public, max-age={KEPT_S}")
        self.answer(self._document)

    def head(self, *arguments: str) -> None:
        self.get()
