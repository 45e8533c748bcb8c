"""Somebody who means harm: what they do is bounded in number and in time, and always the same kinds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections import Counter

from scripts.soaking.gate import Gate
from tests.support.clients import Person

PAUSE_S = (0.2, 2.0)
ATTACK_S = 6.0
"""No attack goes on for longer."""


class Attacker:
    """A stranger with an account, whom nobody has for a friend."""

    def __init__(self, url: str, person: Person, gate: Gate, seed: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.host, self.port = host, int(port)
        self.person = person
        self.counts: Counter[str] = Counter()
        self._gate = gate
        self._random = random.Random(seed)

    async def attack(self) -> None:
        """One attack after another, for ever."""
        ways = (
            self._bad_frames,
            self._bad_polls,
            self._unread_polls,
            self._half_open,
            self._flood,
            self._large_body,
            self._noise,
        )
        while True:
            async with self._gate:
                way = self._random.choice(ways)
                self.counts[way.__name__.strip("_").replace("_", " ")] += 1
                # The server may cut it at any moment, and it ends by time at the latest.
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    async with asyncio.timeout(ATTACK_S):
                        await way()
            await asyncio.sleep(self._random.uniform(*PAUSE_S))

    @contextlib.asynccontextmanager
    async def _line(self):  # type: ignore[no-untyped-def]
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    def _head(self, target: str, more: str = "", method: str = "GET") -> bytes:
        return (
            f"{method} {target} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Authorization: Bearer {self.person.token}\r\n{more}\r\n"
        ).encode()

    async def _socket(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
        more = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        )
        writer.write(self._head("/ws", more))
        await reader.readuntil(b'"presence","online":[')

    async def _bad_frames(self) -> None:
        async with self._line() as (reader, writer):
            await self._socket(writer, reader)
            for _ in range(self._random.randint(1, 30)):
                writer.write(
                    _frame(self._random.choice(["{", '{"type":5}', '{"type":"send"}', ""]))
                )
            writer.write(os.urandom(self._random.randint(1, 2000)))
            await reader.read()

    async def _flood(self) -> None:
        async with self._line() as (reader, writer):
            await self._socket(writer, reader)
            for number in range(self._random.randint(50, 300)):
                kind = self._random.choice(["ping", "typing", "send"])
                writer.write(_frame(json.dumps({"type": kind, "text": f"flood {number}"})))
            await asyncio.sleep(self._random.uniform(0, 1))

    async def _bad_polls(self) -> None:
        async with self._line() as (reader, writer):
            writer.write(self._head("/poll?after=x") * self._random.randint(1, 100))
            await asyncio.wait_for(reader.read(1 << 16), 2)

    async def _unread_polls(self) -> None:
        async with self._line() as (reader, writer):
            writer.transport.pause_reading()
            for _ in range(200):
                writer.write(self._head("/poll?after=0&wait=0"))
            await asyncio.sleep(self._random.uniform(0, 3))

    async def _half_open(self) -> None:
        async with contextlib.AsyncExitStack() as lines:
            for _ in range(self._random.randint(1, 20)):
                _, writer = await lines.enter_async_context(self._line())
                writer.write(self._head("/events")[: self._random.randint(0, 60)])
            await asyncio.sleep(self._random.uniform(0, 3))

    async def _large_body(self) -> None:
        async with self._line() as (reader, writer):
            length = f"Content-Type: application/json\r\nContent-Length: {10**6}\r\n"
            writer.write(self._head("/api/messages", length, "POST"))
            writer.write(b"x" * self._random.randint(0, 10**6))
            await asyncio.wait_for(reader.read(1 << 16), 2)

    async def _noise(self) -> None:
        async with self._line() as (reader, writer):
            writer.write(os.urandom(self._random.randint(1, 5000)) + b"\r\n\r\n")
            await asyncio.wait_for(reader.read(1 << 16), 2)


def _frame(text: str) -> bytes:
    payload = text.encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload
