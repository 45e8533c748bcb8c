"""The same damaged bytes to a fresh connection and to one that polls: the same answers.

On the first, Tornado reads the head; on the second, our small grammar does, or gives it to Tornado. What is found here
becomes a case in `tests/transports/test_heads.py`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
from pathlib import Path

import pytest

from chatserver.core.limits import Limits
from tests.support.inprocess import Inside, inside

SEED = 20261128
MUTANTS = 20_000
"""In every run; `scripts/fuzz` tries a hundred thousand."""
AT_ONCE = 40
SILENCE_S = 0.25
"""Who hears nothing for so long is waiting for the rest of a request."""

HASTY = Limits(meter=False, poll_wait_s=0.01, poll_wait_max_s=0.02, register_burst=10**6)

PATIENCE_S = 3.0
"""The same, before two answers are called different: the machine may have stood still."""

MARK = b"GET /poll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Behind the damaged bytes: its 401 shows where they ended for the server."""

PIECES = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\x00", b" ", b"  ", b"\t", b":", b"\r\n ", b"\r\n\t", b"\x0b", b"\x7f",
    b"\x80", b"\xff", b"\xc2\xa0", b"?", b"#", b"%", b"%00", b"%zz", b"&", b"=", b"/", b"//", b";", b",", b'"', b"<",
    b"Host: b\r\n", b"Host:\r\n", b"Host : b\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n",
    b"Content-Length: \xb2\r\n", b"content-length: 03\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: x\r\n", b"Expect: 100-continue\r\n", b"Upgrade: x\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Connection: x, close\r\n", b"X: y\n", b"X\r\n", b": y\r\n", b"X:\x01y\r\n",
    b"http://a", b"http://a/", b"https://a:1/poll", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.2", b"HTTP/2.0", b"GET ",
    b"HEAD ", b"POST ", b"OPTIONS ", b"*", b"wait=0&", b"after=0&", b"client=\xc3\xa9&", b"0\r\n\r\n", b"3\r\nabc\r\n",
)  # fmt: skip


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


def damage(chance: random.Random, whole: list[bytes]) -> bytes:
    """One or two requests in a row with a few faults."""
    data = bytearray(b"".join(chance.choices(whole, k=chance.choice((1, 1, 2)))))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at, what = chance.randrange(len(data) + 1), chance.randrange(8)
        if what <= 2:
            data[at:at] = chance.choice(PIECES)
        elif what == 3:
            data[at : at + 1] = chance.choice(PIECES)
        elif what == 4:
            del data[at : at + chance.choice((1, 1, 2, 8))]
        elif what == 5:
            lines = bytes(data).split(b"\r\n")
            lines.insert(chance.randrange(len(lines)), chance.choice(lines))
            data = bytearray(b"\r\n".join(lines))
        elif what == 6:
            line_end = data.find(b"\r\n", at)
            if line_end >= 0:
                data[line_end : line_end + 2] = chance.choice((b"\n", b"\r", b"\n\r", b"\r\r\n"))
        else:
            data[at : at + 1] = bytes([chance.randrange(256)])
    return bytes(data)


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


async def ask(
    it: Inside, data: bytes, first: bytes, silence_s: float = SILENCE_S
) -> tuple[list[str], str]:
    """What becomes of `data` on a connection on which `first` was answered before."""
    loop, end = asyncio.get_running_loop(), it.pair()
    try:
        if first:
            await loop.sock_sendall(end, first)
            assert (await asyncio.wait_for(loop.sock_recv(end, 1 << 16), 30)).startswith(
                b"HTTP/1.1 200"
            )
        await loop.sock_sendall(end, data + MARK)
        return await hear(end, silence_s)
    finally:
        end.close()


@pytest.mark.timeout(0)
async def test_two_parsers_give_the_same_answers(
    tmp_path: Path, fuzz: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(SEED)
    differences = []
    async with inside(tmp_path, limits=HASTY) as it:
        whole = requests(it.token)
        left = MUTANTS * fuzz

        async def try_some() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                data = damage(chance, whole)
                fresh = await ask(it, data, b"")
                polling = await ask(it, data, whole[0])
                if fresh != polling:
                    fresh = await ask(it, data, b"", PATIENCE_S)
                    polling = await ask(it, data, whole[0], PATIENCE_S)
                    if fresh != polling:
                        differences.append(f"{data!r}\n  fresh   {fresh}\n  polling {polling}")

        await asyncio.gather(*(try_some() for _ in range(AT_ONCE)))
    assert not differences, f"{len(differences)} differences\n" + "\n".join(differences[:10])
    faults = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert not faults, faults[:10]
