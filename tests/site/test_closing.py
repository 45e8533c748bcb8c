"""What becomes of connections that are still open when the server has drained."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from chatserver.site import server as site


class Lingering:
    """A connection that stays in the server's set although it has ended, or that never ends."""

    def __init__(self, ends: bool) -> None:
        self.ends = ends
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1
        if not self.ends:
            await asyncio.sleep(3600)


async def test_each_connection_is_closed_once_and_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "CLOSE_S", 0.05)
    http = site._HTTPServer(lambda request: None)
    lingering = [Lingering(True), Lingering(False)]
    http._connections.update(cast(Any, lingering))
    async with asyncio.timeout(30):
        await http.close_all_connections()
    assert [each.closed for each in lingering] == [1, 1]
