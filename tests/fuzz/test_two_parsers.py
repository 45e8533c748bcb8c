"""The same damaged bytes to a fresh connection and to one that polls: the same answers.

On the first, Tornado reads the head; on the second, our small grammar does, or gives it to Tornado. What is found here
becomes a case in `tests/transports/test_heads.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import socket
from pathlib import Path

import pytest

from chatserver.core.limits import Limits
from tests.support.damage import answered_alike, damage
from tests.support.inprocess import Inside, inside

SEED = 20261128
MUTANTS = 20_000
"""In every run; `scripts/fuzz` tries a hundred thousand."""
HASTY = Limits(meter=False, poll_wait_s=0.01, poll_wait_max_s=0.02, register_burst=10**6)

APART_TURNS = 4
MARK = b"GET /poll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Behind the damaged bytes: its 401 shows where they ended for the server."""


def requests(token: str) -> list[bytes]:
    """What is damaged: polls, and what else comes over such a connection."""
    who = f"Authorization: Bearer {token}"

    def one(line: str, *headers: str, body: str = "") -> bytes:
        lines = [line, "Host: localhost", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    return [
        one("GET /poll?wait=0 HTTP/1.1", who),
        one("GET /poll?wait=0&after=0 HTTP/1.1", who, "Accept: */*", "Connection: keep-alive"),
        one("GET /poll?wait=0&client=a HTTP/1.1", who, "User-Agent: x", "Accept-Encoding: gzip"),
        one("HEAD /poll?wait=0 HTTP/1.1", who),
        one("GET /poll?wait=0 HTTP/1.1"),
        one("GET /poll?wait=0 HTTP/1.0", who),
        one("GET /poll?wait=0 HTTP/1.1", who, "Content-Length: 0"),
        one("GET http://localhost/poll?wait=0 HTTP/1.1", who),
        one("GET /api/me HTTP/1.1", who),
        one("POST /api/nothing HTTP/1.1", who, "Content-Length: 5", body="abcde"),
        one("POST /poll HTTP/1.1", "Transfer-Encoding: chunked", body="3\r\nabc\r\n0\r\n\r\n"),
    ]


HEAD = re.compile(rb"HTTP/1\.1 (\d+)[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


def answers(data: bytes) -> list[str]:
    """Each answer's status, and its code or what else is in it."""
    found: list[str] = []
    while data:
        match = HEAD.match(data)
        if match is None:
            return [*found, f"no answer: {data[:80]!r}"]
        data = data[match.end() :]
        length = re.search(rb"(?i)^content-length: (\d+)", match[2], re.MULTILINE)
        size = 0 if length is None or data.startswith(b"HTTP/1.1 ") else int(length[1])
        body, data = data[:size], data[size:]
        fields = json.loads(body) if body.startswith(b"{") else {}
        found.append(f"{int(match[1])} {fields.get('code') or sorted(fields)}")
    return found


async def hear(end: socket.socket, silence_s: float) -> tuple[list[str], str]:
    """What is answered, and whether the server ends by itself."""
    loop, data, how = asyncio.get_running_loop(), bytearray(), "ended"
    while True:
        try:
            piece = await asyncio.wait_for(loop.sock_recv(end, 1 << 16), silence_s)
        except TimeoutError:
            how = "waits"
            break
        except ConnectionResetError:
            break
        if not piece:
            break
        data += piece
    return answers(bytes(data)), how


async def ask(it: Inside, data: bytes, first: bytes, silence_s: float) -> tuple[list[str], str]:
    """What becomes of `data` on a connection on which `first` was answered before: by Tornado, and by us, by whom it is known then."""
    loop, end = asyncio.get_running_loop(), it.pair()
    try:
        for _ in range(3 if first else 0):
            await loop.sock_sendall(end, first)
            assert (await asyncio.wait_for(loop.sock_recv(end, 1 << 16), 30)).startswith(
                b"HTTP/1.1 200"
            )
        await loop.sock_sendall(end, data if first else data + MARK)
        if first:
            # Apart, since a head that is known by heart has to come alone.
            for _ in range(APART_TURNS):
                await asyncio.sleep(0)
            with contextlib.suppress(OSError):  # the server has ended it
                await loop.sock_sendall(end, MARK)
        return await hear(end, silence_s)
    finally:
        end.close()


@pytest.mark.timeout(0)
async def test_two_parsers_give_the_same_answers(
    tmp_path: Path, fuzz: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(SEED)
    async with inside(tmp_path, limits=HASTY) as it:
        whole = requests(it.token)

        async def both(data: bytes, silence_s: float) -> tuple[object, object]:
            """What becomes of it on a fresh connection, and on one that polls."""
            fresh = await ask(it, data, b"", silence_s)
            # After the one it is known by heart, but for its cursor; after the other its headers are.
            return fresh, await ask(it, data, whole[len(data) % 2], silence_s)

        await answered_alike((damage(chance, whole) for _ in range(MUTANTS * fuzz)), both)
    faults = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert not faults, faults[:10]
