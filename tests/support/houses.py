"""Two whole houses over one order and one store (`tests.support.nodes`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chatserver.command.build import Order, follow, now_ms, put_together
from chatserver.command.settings import Settings
from chatserver.core.limits import Limits
from chatserver.http.house import House
from chatserver.journal.signals import LocalSignals
from chatserver.site.pushing import Pushing
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs.keys import KeyRing
from chatserver.verbs.webpush import PushKey
from tests.support.nodes import Node, Stream
from tests.support.turns import settle


@dataclass
class Nodes:
    """Two houses, each over its node of one stream, and the store as it is."""

    stream: Stream
    store: SqliteStore
    one_node: Node
    other_node: Node
    one: House
    other: House

    async def settle(self) -> None:
        """Let what is under way come to where it waits."""
        await settle(self.store)

    async def until_followed(self) -> None:
        """Wait until something was appended that was not shown yet, and both nodes have followed everything."""
        stream = self.stream
        await stream.until(lambda: stream.last_seq > stream.shown_seq or not stream.held)
        for node in (self.one_node, self.other_node):
            await node.caught_up(stream.last_seq)


class _SharedStore(SqliteStore):
    """A store that stays open when one of the houses over it closes."""

    async def close(self) -> None: ...

    async def close_for_all(self) -> None:
        await super().close()


@asynccontextmanager
async def two_houses(folder: Path, limits: Limits) -> AsyncIterator[Nodes]:
    """Two nodes with their data in `folder`, closed at the end."""
    settings = Settings(data=folder, limits=limits)
    store = _SharedStore(folder, now_ms)
    await store.start()
    try:
        stream = Stream(store, store.log, now_ms, lag=1)
        nodes = [Node(stream), Node(stream)]
        ring = KeyRing.load(folder, now_ms())
        houses = []
        for node in nodes:
            pushing = Pushing(PushKey.load(folder, ""), True)
            order = Order(node, lambda hub: LocalSignals(hub.signal), alone=False)
            house = put_together(settings, store, ring, pushing, order)
            await follow(house)
            houses.append(house)
        found = Nodes(stream, store, nodes[0], nodes[1], houses[0], houses[1])
        try:
            yield found
        finally:
            stream.held = False
            for node in nodes:
                node.fresh = True
                node.release()
            await stream.show()
            for house in houses:
                await house.close()
    finally:
        await store.close_for_all()
