"""A stream's socket is written to by the hub itself, until something has to go first; all bytes come, in order, and are counted."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chatserver.core.errors import SESSION_EXPIRED
from chatserver.core.people import User
from chatserver.http.admission import Arrival
from chatserver.transports.connection import Connection
from chatserver.transports.sse import EventsReader
from tests.delivery.kit import Place, opened
from tests.store.kit import login
from tests.transports.test_connection import NoTcp


@dataclass
class Peer:
    """A stream of ann's over real sockets, and its client's end."""

    place: Place
    reader: EventsReader
    sock: socket.socket
    got: bytes = b""

    async def write(self, count: int, text: str = "x") -> list[int]:
        return [(await self.place.say("ann", text)).seq for _ in range(count)]

    async def read_until(self, seq: int) -> list[int]:
        """The ids of all that came, once this one has."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            while seq not in self.ids:
                data = await loop.sock_recv(self.sock, 65536)
                assert data, "the stream has ended"
                self.got += data
        return self.ids

    @property
    def ids(self) -> list[int]:
        # A block is there when its empty line is.
        return [int(found) for found in re.findall(rb"id: (\d+)\n[^\n]*\n\n", self.got)]


@asynccontextmanager
async def peer(folder: Path, client: str = "") -> AsyncIterator[Peer]:
    async with opened(folder) as place:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        with theirs:
            who = User("ann", "ann", "", "#0000aa")
            arrival = Arrival(login("l", "ann"), who, None, client)
            reader = EventsReader(
                place.delivery, arrival, await place.delivery.mailboxes.open("ann")
            )
            reader.connected(Connection(NoTcp(ours), reader, place.delivery.connections))
            place.delivery.readers.attach(reader)
            await reader.join(who, None)
            yield Peer(place, reader, theirs)
            reader.cut()


async def test_what_follows_the_first_event_goes_by_the_pipe(tmp_path: Path) -> None:
    async with peer(tmp_path) as client:
        first = await client.write(1)
        assert client.reader.pipe is not None
        rest = await client.write(3)
        assert await client.read_until(rest[-1]) == first + rest
        assert client.reader.live_bytes() == (0, 0), "only the laboratory's are counted"


async def test_a_client_of_the_laboratory_has_no_pipe_and_all_that_goes_down_is_counted(
    tmp_path: Path,
) -> None:
    async with peer(tmp_path, "lab-1") as client:
        first = await client.write(1)
        rest = await client.write(3)
        assert await client.read_until(rest[-1]) == first + rest
        assert client.reader.pipe is None
        assert client.reader.live_bytes()[1] == len(client.got)


async def test_a_peer_that_reads_nothing_clogs_the_pipe_and_gets_everything_once_it_reads(
    tmp_path: Path,
) -> None:
    async with peer(tmp_path) as client:
        seqs = await client.write(2)
        while client.reader.pipe is not None:
            seqs += await client.write(1, "x" * 100_000)
        assert client.reader.outlet.waits
        seqs += await client.write(3)
        assert await client.read_until(seqs[-1]) == seqs
        seqs += await client.write(2)
        assert await client.read_until(seqs[-1]) == seqs, "and again at once"
        assert client.reader.pipe is not None


async def test_what_is_corked_leaves_before_the_next_event_and_once(tmp_path: Path) -> None:
    async with peer(tmp_path) as client:
        await client.write(2)
        client.reader.cork(b": first\n")
        client.reader.cork(b": second\n")
        assert client.reader.pipe is not None, "it goes by the pipe, too"
        seqs = await client.write(2)
        await client.read_until(seqs[-1])
        assert re.search(rb": first\n: second\nid: %d\n" % seqs[0], client.got)
        assert client.got.count(b": first\n") == 1


async def test_what_is_corked_stays_before_what_follows_where_there_is_no_room(
    tmp_path: Path,
) -> None:
    async with peer(tmp_path) as client:
        seqs = await client.write(2)
        client.reader.cork(b": first\n")
        seqs += await client.write(1, "x" * 200_000)
        assert client.reader.outlet.waits, "it went by the pipe in part"
        client.reader.cork(b": second\n")
        seqs += await client.write(1)
        assert await client.read_until(seqs[-1]) == seqs
        assert re.search(rb": first\nid: %d\n" % seqs[2], client.got)
        assert client.got.index(b": second\n") < client.got.index(b"id: %d\n" % seqs[3])


async def test_what_is_corked_leaves_with_whatever_is_sent_before_the_next_event(
    tmp_path: Path,
) -> None:
    async with peer(tmp_path) as client:
        await client.write(2)
        client.reader.cork(b": first\n")
        client.reader.outlet.send(b": second\n")
        seqs = await client.write(1)
        await client.read_until(seqs[-1])
        assert re.search(rb": first\n: second\nid: %d\n" % seqs[0], client.got)


async def test_nothing_goes_by_the_pipe_behind_the_farewell(tmp_path: Path) -> None:
    async with peer(tmp_path) as client:
        await client.write(2)
        client.reader.end(SESSION_EXPIRED)
        assert client.reader.pipe is None


async def test_a_peer_that_has_gone_is_found_out_by_the_pipe(tmp_path: Path) -> None:
    async with peer(tmp_path) as client:
        await client.write(2)
        client.sock.close()
        await client.write(1)
        async with asyncio.timeout(30):
            while client.reader.attached:
                await asyncio.sleep(0)
        assert client.reader.pipe is None and not client.place.delivery.readers.all


async def test_what_a_client_of_the_laboratory_has_corked_leaves_without_a_pipe(
    tmp_path: Path,
) -> None:
    async with peer(tmp_path, "lab-1") as client:
        await client.write(2)
        client.reader.cork(b": first\n")
        seqs = await client.write(2)
        await client.read_until(seqs[-1])
        assert re.search(rb": first\nid: %d\n" % seqs[0], client.got)
        assert client.reader.pipe is None and client.got.count(b": first\n") == 1
        assert client.reader.live_bytes()[1] == len(client.got)
