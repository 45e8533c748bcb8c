"""A connection on which Tornado answers is ended where its peer asks nothing or takes nothing, and rests unpaid."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.iostream import StreamClosedError

from chatserver.core.limits import Limits
from chatserver.delivery.clockwork import Clockwork
from chatserver.delivery.connections import BACKLOG_BYTES, Connections
from chatserver.delivery.seats import SeatedSocket
from chatserver.transports.watched import WatchedStream
from tests.support.inprocess import inside

LIMITS = Limits(stuck_s=30.0, head_s=15.0)
MUCH = bytes(4_000_000)
"""More than the kernel takes for a peer that does not read."""


class Line:
    """A watched connection, the other end of the socket, and a clock of the test."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.connections = Connections(Clockwork(LIMITS, lambda: self.now_s, lambda: 0), LIMITS)
        self.ends: list[socket.socket] = []

    def stream(self, asks_first: bool = False) -> tuple[WatchedStream, socket.socket]:
        ours, theirs = socket.socketpair()
        self.ends.append(theirs)
        return WatchedStream(ours, self.connections, asks_first), theirs


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    for end in made.ends:
        end.close()


async def test_whoever_does_not_send_a_head_is_ended_in_time_and_counted(line: Line) -> None:
    stream, _ = line.stream(asks_first=True)
    assert stream.visit(line.now_s + 14.0) == 1.0
    assert stream.visit(line.now_s + 15.0) is None
    assert stream.closed() and line.connections.counts["no head"] == 1
    assert stream.visit(line.now_s + 16.0) is None and line.connections.counts["no head"] == 1


async def test_whoever_has_sent_a_head_is_not_ended_for_it(line: Line) -> None:
    stream, _ = line.stream(asks_first=True)
    stream.head_came()
    stream.visit(line.now_s + 3600.0)
    assert not stream.closed()
    stream.close()


async def test_whoever_takes_no_byte_for_thirty_seconds_is_ended_and_each_byte_counts(
    line: Line,
) -> None:
    stream, theirs = line.stream()
    written: Any = stream.write(MUCH)
    assert stream.visit(line.now_s + 29.0) == 1.0
    line.now_s += 29.0
    theirs.recv(1_000_000)
    async with asyncio.timeout(20):
        while stream._progress_s < line.now_s:
            await asyncio.sleep(0)
    assert stream.visit(line.now_s + 29.0) == 1.0
    stream.visit(line.now_s + 30.0)
    assert stream.closed() and line.connections.counts["stuck"] == 1
    with pytest.raises(StreamClosedError):
        await written


async def test_whoever_has_taken_everything_is_looked_after_no_more(line: Line) -> None:
    stream, theirs = line.stream()
    theirs.setblocking(False)
    written: Any = stream.write(MUCH)
    loop, left = asyncio.get_running_loop(), len(MUCH)
    async with asyncio.timeout(20):
        while left:
            left -= len(await loop.sock_recv(theirs, 1 << 20))
        await written
    assert stream.visit(line.now_s + 3600.0) is None
    assert not stream.closed() and not line.connections.counts
    stream.close()


class Hall:
    """Connections with seats, as the acceptor gives them."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def stream(
        self, address: str | None, user_id: str | None
    ) -> tuple[WatchedStream, socket.socket]:
        ours, theirs = socket.socketpair()
        self.line.ends.append(theirs)
        seats = self.line.connections.seats
        sock = SeatedSocket.of(ours, seats, seats.take(address))
        if user_id is not None:
            sock.sign_in(user_id)
        return WatchedStream(sock, self.line.connections), theirs


ASKERS = {
    "a user": ("10.0.0.1", "ann"),
    "an address": ("10.0.0.1", None),
    "behind a proxy": (None, "ann"),
}


@pytest.mark.parametrize("who", ASKERS)
async def test_what_waits_for_all_connections_of_somebody_who_reads_nothing_is_bounded(
    line: Line, who: str
) -> None:
    """Also for those that found no room among the user's."""
    hall, asker = Hall(line), ASKERS[who]
    other, _ = hall.stream("10.0.0.2", "bob")
    streams = [hall.stream(*asker)[0] for _ in range(LIMITS.connections_per_user + 20)]
    piece = bytes(BACKLOG_BYTES // 10)
    for stream in (other, *streams):
        stream.write(piece)
    await asyncio.sleep(0)
    open_now = [stream for stream in streams if not stream.closed()]
    assert len(open_now) == 10, "an answer is held as a whole until its last byte has left"
    assert line.connections.counts["overrun"] == len(streams) - len(open_now)
    assert not other.closed()
    for stream in (*open_now, other):
        stream.close()
    assert not line.connections._backlogs


async def test_what_was_taken_at_last_does_not_count_any_more(line: Line) -> None:
    stream, theirs = Hall(line).stream("10.0.0.1", "ann")
    theirs.setblocking(False)
    written: Any = stream.write(MUCH)
    assert line.connections._backlogs["ann"] == len(MUCH)
    loop, left = asyncio.get_running_loop(), len(MUCH)
    async with asyncio.timeout(20):
        while left:
            left -= len(await loop.sock_recv(theirs, 1 << 20))
        await written
    assert not line.connections._backlogs
    stream.close()


async def test_the_next_request_of_a_connection_that_did_not_pay_waits(line: Line) -> None:
    patient, asks = line.stream()
    rested, asks_on = line.stream()
    rested.rest(3600.0)
    for end in (asks, asks_on):
        end.send(b"GET / HTTP/1.1\r\n\r\n")
    held = asyncio.ensure_future(rested.read_until_regex(b"\r\n\r\n"))
    async with asyncio.timeout(20):
        assert await patient.read_until_regex(b"\r\n\r\n") == b"GET / HTTP/1.1\r\n\r\n"
    assert not held.done()
    held.cancel()
    for stream in (patient, rested):
        stream.close()


async def test_behind_the_last_request_nothing_is_read(line: Line) -> None:
    stream, asks = line.stream()
    asks.send(b"GET / HTTP/1.1\r\n\r\n")
    stream.had_last()
    with pytest.raises(StreamClosedError):
        await stream.read_until_regex(b"\r\n\r\n")
    assert stream.closed()


@pytest.mark.parametrize("target", ["/api/me", "/healthz", "/poll?wait=0", "/nothing"])
async def test_whoever_asks_small_things_and_reads_no_answer_is_asked_to_stop_and_ended(
    tmp_path: Path, target: str
) -> None:
    """No more is answered than the kernel takes and one answer more; then nothing is read, and the time runs."""
    limits = Limits(meter=False, stuck_s=1.0)
    async with inside(tmp_path, limits=limits) as it:
        peer = it.pair(send_bytes=4096)
        connections, loop = it.house.delivery.connections, asyncio.get_running_loop()
        asked = (
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {it.token}\r\n\r\n"
        ).encode()
        asking = asyncio.ensure_future(loop.sock_sendall(peer, asked * 5000))
        most_held = 0
        async with asyncio.timeout(30):
            while not connections.counts["stuck"]:
                most_held = max(most_held, *connections._backlogs.values(), 0)
                await asyncio.sleep(0.01)
        assert not asking.done() or asking.exception() is not None, "it was read to the end"
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        heard = b""
        with contextlib.suppress(OSError):
            while piece := await asyncio.wait_for(loop.sock_recv(peer, 1 << 20), 30):
                heard += piece
        assert 0 < heard.count(b"HTTP/1.1 ") < 500 and most_held < 16 * 1024
        assert not connections._backlogs
        peer.close()
