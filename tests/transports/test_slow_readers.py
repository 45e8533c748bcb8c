"""Readers that do not read: what they cost the others, and what they find when they read again."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
from pathlib import Path

import pytest

from tests.conftest import FAST
from tests.support.clients import Person
from tests.support.process import ServerProcess

USERS, READERS_EACH = 10, 20
TEXT = "x" + "\N{GRINNING FACE}" * 3900
"""Nearly as long as a text may be, 16 KB: what lies in the kernel on the way are megabytes."""
NUMBER = re.compile(rb'"text":"(\d+)x')

SIGN_OF_LIFE = b"\x8a\x80\0\0\0\0"
"""A pong that answers nothing (RFC 6455, section 5.5.3), so that nobody has to answer pings."""

SOCKETIO = "/socket.io/?EIO=4&transport=websocket"
Paths = pytest.mark.parametrize("path", ["/ws", "/events", SOCKETIO])
OPTIONS = ("--socketio",)


def frame(text: str) -> bytes:
    """A text of less than 126 bytes, masked with nothing."""
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text.encode()


class Stream:
    """A stream of any kind, of which only the numbers in the messages are looked at."""

    def __init__(self, url: str, path: str, token: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.head = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode()
        if path == SOCKETIO:
            self.head += frame("40" + json.dumps({"token": token}))
        self.seen = 0
        self.rest = b""

    async def connect(self, receive_bytes: int = 0) -> None:
        """Open it, with a small receive buffer where one is given, and read as far as the presence."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        await asyncio.get_running_loop().sock_connect(sock, self.address)
        self.reader, self.writer = await asyncio.open_connection(sock=sock)
        self.writer.write(self.head)
        await self.reader.readuntil(b'"presence","online":[')

    async def see(self, until: int) -> None:
        """Read until message `until` is there: all before it must have come, once and in order."""
        self.writer.write(SIGN_OF_LIFE)
        while self.seen < until:
            data = self.rest + await self.reader.read(1 << 18)
            assert len(data) > len(self.rest), "the server has closed the stream"
            end = 0
            for found in NUMBER.finditer(data):
                self.seen += 1
                assert int(found[1]) == self.seen
                end = found.end()
            self.rest = data[max(end, len(data) - 30) :]


async def write(ann: Person, first: int, count: int) -> int:
    """Write numbered messages; the number of the last."""
    for number in range(first + 1, first + count + 1):
        await ann.send(f"{number}{TEXT}")
    return first + count


@Paths
@pytest.mark.timeout(400)
async def test_one_of_two_hundred_that_stops_reading_costs_the_others_nothing(
    data: Path, path: str
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    options: tuple[str, ...] = ("--stuck-s", "3", *FAST, *OPTIONS)
    users = 5 if path == SOCKETIO else USERS  # whose connections are dearer to open
    if path != SOCKETIO:  # whose pings have to be answered
        options += ("--heartbeat-s", "6", "--silence-s", "6")
    with ServerProcess(data, *options) as server:
        url = server.url
        ann = await Person.register(url, "Ann")
        streams: list[Stream] = []
        for _ in range(users):
            friend = await Person.register(url)
            await ann.befriend(friend)
            streams += [Stream(url, path, friend.token) for _ in range(READERS_EACH)]
        stuck, *others = streams
        for start in range(0, len(others), 100):
            await asyncio.gather(*[each.connect() for each in others[start : start + 100]])
        # After the others: opening those may take as long as it has.
        await stuck.connect(receive_bytes=4096)
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        last, rounds_with_it = 0, 0
        name = {"/ws": "websocket", "/events": "sse", SOCKETIO: "socketio"}[path]
        all_of_them = f'connections{{transport="{name}"}} {users * READERS_EACH}.0'
        while all_of_them in (await ann.http.get("/metrics")).text:
            last = await write(ann, last, 4)
            async with asyncio.timeout(60):
                await asyncio.gather(*[each.see(last) for each in others])
            rounds_with_it += 1
        assert rounds_with_it > 0, "there was traffic while it was stuck"
        for each in streams:
            each.writer.transport.abort()
        assert server.stop() == 0
    assert server.complaints() == []


@Paths
async def test_one_that_fell_behind_finds_everything_once_and_in_order(
    server: ServerProcess, path: str
) -> None:
    ann, bob = await Person.register(server.url, "Ann"), await Person.register(server.url)
    await ann.befriend(bob)
    stream = Stream(server.url, path, bob.token)
    await stream.connect(receive_bytes=4096)
    last = 0
    # At first all of it lies in the kernel; in the end much more than that and the mailbox hold (1 MiB),
    # so that the rest is replayed.
    for count in (10, 100, 475, 3):
        stream.writer.transport.pause_reading()  # type: ignore[attr-defined]
        last = await write(ann, last, count)
        stream.writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            await stream.see(last)
    stream.writer.transport.abort()
