"""Nodes over one stream and one database, in one process: each with its own connection, store and journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from chatserver.core.events import Event
from chatserver.journal.envelope import Subjects
from chatserver.journal.jetstream import JetStreamJournal
from chatserver.journal.nats_link import Access, NatsLink
from chatserver.journal.stream import Stream
from chatserver.store.behind import Behind
from chatserver.store.mongo.store import MongoStore
from chatserver.store.order import stream_id
from chatserver.store.projector import Projector
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import Clock, Home, KeptJournal, SqliteHome, World
from tests.support.nats_server import TOKEN, NatsServer


@dataclass
class Node:
    """One of several servers."""

    store: SqliteStore | MongoStore
    link: NatsLink
    stream: Stream
    journal: JetStreamJournal
    projector: Projector
    batches: list[Sequence[Event]] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        """Everything that was handed to its follower."""
        return [event for batch in self.batches for event in batch]


@asynccontextmanager
async def node(home: Home, uri: str, projects: bool = True) -> AsyncIterator[Node]:
    """One more node, which starts after all before it have started."""
    async with AsyncExitStack() as stack:
        store: SqliteStore | MongoStore
        if isinstance(home, SqliteHome):
            store = SqliteStore(home.folder, home.clock, order="stream")
        else:
            store = MongoStore(home.uri, home.clock, wait_s=30, order="stream")
        await store.start()
        stack.push_async_callback(store.close)
        link = NatsLink([uri], "test", Access(token=TOKEN), wait_s=20)
        await link.connect()
        stack.push_async_callback(link.close)
        stream = Stream(link, Subjects(stream_id(store.order)))
        await stream.open(await store.log.projected(), home.clock())
        projector = Projector(stream, store.log, home.clock)
        made = Node(store, link, stream, JetStreamJournal(stream, store.log), projector)
        if projects:
            projector.start()
            stack.push_async_callback(projector.close)
        await made.journal.start([made.batches.append])
        stack.push_async_callback(made.journal.close)
        yield made


class StreamHome(SqliteHome):
    """Data in a folder whose order is a stream of `server`."""

    name = "jetstream"

    def __init__(self, folder: Path, server: NatsServer) -> None:
        super().__init__(folder)
        self._server = server

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[World]:
        async with node(self, self._server.uri) as one:
            yield world_of(one, self.clock)


def world_of(one: Node, clock: Clock) -> World:
    """What a node's users do."""
    # What only the journal of one process has is not asked for.
    world = World(
        Behind(one.store, one.journal), one.store.log, cast(KeptJournal, one.journal), clock
    )
    world.batches = one.batches
    return world


@asynccontextmanager
async def nodes(home: Home, uri: str, count: int) -> AsyncIterator[list[Node]]:
    """So many nodes; any of them may come to show the events."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(node(home, uri)) for _ in range(count)]
