"""A connection owns its life: its bounds hold, and nothing that an owner does leaves it without an end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.iostream import IOStream, StreamClosedError

from chatserver.core.limits import Limits
from chatserver.delivery.clockwork import Clockwork
from chatserver.delivery.connections import Connections
from chatserver.transports import connection as rules
from chatserver.transports.connection import Connection

STUCK_S = 30.0


class Recorder:
    """An owner that writes down what happens to it, or fails."""

    def __init__(self) -> None:
        self.said = bytearray()
        self.events: list[str] = []
        self.failing = False
        self.clogs = 0
        self.changed = asyncio.Event()

    def _note(self, what: str) -> None:
        self.events.append(what)
        self.changed.set()
        if self.failing and what != "lost":
            raise RuntimeError("a mistake of ours")

    def receive_data(self, data: bytes) -> None:
        self.said += data
        self._note("data")

    def clogged(self) -> None:
        self.clogs += 1

    def drained(self) -> None:
        self._note("drained")

    def stuck(self) -> None:
        self._note("stuck")

    def connection_lost(self) -> None:
        self._note("lost")

    async def until(self, what: str) -> None:
        async with asyncio.timeout(10):
            while what not in self.events:
                self.changed.clear()
                await self.changed.wait()


class Line:
    """A connection of ours, its owner, and the other end of the socket."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.clockwork = Clockwork(Limits(), lambda: self.now_s, lambda: 0)
        self.connections = Connections(self.clockwork, Limits(stuck_s=STUCK_S))
        self.owner = Recorder()
        server, self.peer = socket.socketpair()
        for end in (server, self.peer):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.connection = Connection.of_stream(
            IOStream(NoTcp(server)), self.owner, self.connections
        )
        self.connection.count_bytes()

    def pass_s(self, seconds: float) -> None:
        """Let time pass, visit by visit."""
        for _ in range(int(seconds)):
            self.now_s += 1
            self.clockwork.turn(self.now_s)

    async def hear(self, size: int) -> bytes:
        heard = b""
        loop = asyncio.get_running_loop()
        while len(heard) < size:
            heard += await asyncio.wait_for(loop.sock_recv(self.peer, 1 << 20), 10)
        return heard

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.peer, data)


class NoTcp(socket.socket):
    """One of a pair of Unix sockets, which know no TCP_NODELAY."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())

    def setsockopt(self, level: int, optname: int, *rest: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, optname, *rest)


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    made = Line()
    try:
        yield made
    finally:
        made.connection.abort()
        made.peer.close()


BIG = b"x" * 200_000


async def test_what_was_read_before_is_received_before_what_comes_meanwhile() -> None:
    server, peer = socket.socketpair()
    clockwork = Clockwork(Limits(), lambda: 100.0, lambda: 0)
    connections, owner = Connections(clockwork, Limits()), Recorder()
    with peer:
        connections.watch.open()
        server.setblocking(False)
        peer.send(b"two ")
        taken = Connection(NoTcp(server), owner, connections, b"one ")
        connections.watch._look()  # as the loop does that has found something to read on another connection
        assert not owner.said
        await owner.until("data")
        peer.send(b"three")
        async with asyncio.timeout(10):
            while len(owner.said) < 13:
                owner.changed.clear()
                await owner.changed.wait()
        assert owner.said == b"one two three"
        taken.abort()
    connections.watch.close()


async def test_what_does_not_leave_at_once_leaves_in_order_and_the_owner_hears_of_it() -> None:
    async with line() as it:
        it.connection.send(BIG)
        it.connection.send(b"end")
        assert it.connection.waits and it.connection.pipe is None
        assert it.owner.clogs == 1, "once, when it began"
        assert await it.hear(len(BIG) + 3) == BIG + b"end"
        await it.owner.until("drained")
        assert not it.connection.waits and it.connection.pipe is not None
        assert it.connection.bytes_down == len(BIG) + 3


async def test_what_is_corked_leaves_with_the_next_write() -> None:
    async with line() as it:
        it.connection.cork(b"ack ")
        it.connection.cork(b"ack ")
        it.connection.send(b"event")
        assert await it.hear(13) == b"ack ack event"


async def test_a_peer_that_takes_no_byte_is_told_and_cut_after_the_time() -> None:
    async with line() as it:
        it.connection.send(BIG)
        it.pass_s(STUCK_S - 1)
        assert it.owner.events == []
        it.pass_s(3)
        assert it.owner.events == ["stuck", "lost"]
        assert it.connections.counts["stuck"] == 1


async def test_a_peer_that_takes_a_little_now_and_then_stays() -> None:
    async with line() as it:
        for _ in range(4):
            it.connection.send(BIG)
            it.pass_s(STUCK_S - 2)
            await it.hear(1000)
            async with asyncio.timeout(10):
                # Progress is noted when the loop sees that there is room.
                before = it.connection.bytes_down
                while it.connection.bytes_down == before:
                    await it.hear(1)
        assert "lost" not in it.owner.events


async def test_what_waits_for_a_peer_is_bounded() -> None:
    async with line() as it:
        for _ in range(1 + rules.PENDING_BYTES // len(BIG)):
            it.connection.send(BIG)
        it.connection.send(BIG)
        await it.owner.until("lost")
        assert it.connections.counts["overrun"] == 1


async def test_a_peer_that_takes_no_answers_is_asked_no_more_questions() -> None:
    async with line() as it:
        it.connection.send(b"x" * rules.PAUSE_BYTES * 2)
        await it.say(b"question")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert it.owner.events == [], "it is not read"
        await it.hear(rules.PAUSE_BYTES * 2)
        await it.owner.until("data")
        assert it.owner.said == b"question"


async def test_a_paused_connection_is_not_read_until_it_is_resumed() -> None:
    async with line() as it:
        it.connection.pause()
        await it.say(b"a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert it.owner.events == []
        it.connection.resume()
        await it.owner.until("data")


@pytest.mark.parametrize("moment", ["data", "drained", "stuck"])
async def test_an_owner_that_fails_ends_its_connection_with_one_line(
    moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with line() as it:
        it.owner.failing = True
        with caplog.at_level(logging.ERROR):
            if moment == "data":
                await it.say(b"x")
            else:
                it.connection.send(BIG)
                if moment == "stuck":
                    it.pass_s(STUCK_S + 2)
                else:
                    await it.hear(len(BIG))
            await it.owner.until("lost")
        assert it.owner.events == [moment, "lost"]
        assert it.connections.counts["failed"] == 1
        (record,) = caplog.records
        assert "a mistake of ours" in record.message and "_note" in record.message
        assert record.exc_info is None and "\n" not in record.message


async def test_a_failing_farewell_cannot_stop_the_end() -> None:
    class Bad(Recorder):
        def connection_lost(self) -> None:
            super().connection_lost()
            raise RuntimeError("once more")

    it = Line()
    it.connection._owner = Bad()
    it.connection.abort()
    assert it.connection._sock.fileno() == -1
    it.peer.close()


async def test_closing_soon_lets_what_waits_leave_first() -> None:
    async with line() as it:
        it.connection.send(BIG)
        it.connection.close_soon()
        assert await it.hear(len(BIG)) == BIG
        assert await asyncio.get_running_loop().sock_recv(it.peer, 10) == b"", "then its end"
        it.peer.close()
        await it.owner.until("lost")


async def test_a_peer_that_never_closes_its_side_is_closed_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "CLOSE_S", 0.05)
    async with line() as it:
        it.connection.send(b"bye")
        it.connection.close_soon()
        await it.owner.until("lost")
        assert await it.hear(3) == b"bye" and it.connection._sock.fileno() == -1


async def test_a_socket_is_given_away_once_and_only_where_nothing_waits() -> None:
    async with line() as it:
        it.connection.send(BIG)
        with pytest.raises(ValueError):
            it.connection.release()
        await it.hear(len(BIG))
        await it.owner.until("drained")
        sock = it.connection.release()
        with pytest.raises(ValueError):
            it.connection.release()
        it.connection.abort()
        assert it.owner.events == ["drained"] and sock.fileno() >= 0
        sock.close()


async def test_a_stream_whose_peer_has_gone_gives_no_connection() -> None:
    server, peer = socket.socketpair()
    server.setblocking(False)
    connections = Connections(Clockwork(Limits(), lambda: 0.0, lambda: 0), Limits())
    stream = IOStream(NoTcp(server))
    peer.close()
    for _ in range(2):  # the second time it is closed already
        with pytest.raises(StreamClosedError):
            Connection.of_stream(stream, Recorder(), connections)


async def test_a_turn_in_which_nothing_can_be_read_or_written_changes_nothing() -> None:
    """The kernel may wake somebody for nothing (epoll(7))."""
    async with line() as it:
        it.connection.send(BIG)
        before = it.connection.bytes_down
        it.connection._on_writable()
        it.connection.readable()
        assert it.connection.bytes_down == before and it.owner.events == []
        assert await it.hear(len(BIG)) == BIG


async def test_a_peer_that_goes_while_something_waits_ends_the_connection() -> None:
    async with line() as it:
        it.connection.send(BIG)
        it.peer.close()
        await it.owner.until("lost")
        assert it.connection.peer is None and not it.owner.said
        it.connection.send(b"to nobody")
        it.connection.close_soon()
        assert it.connection.visit(it.now_s) is None


async def test_what_is_to_be_done_later_is_done_and_a_mistake_in_it_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with line() as it:
        done = asyncio.Event()
        it.connection.later(0.0, done.set)
        await asyncio.wait_for(done.wait(), 30)
        it.connection.later(0.0, lambda: [][0])
        await it.owner.until("lost")
    assert "IndexError" in caplog.text
