"""Requests with a few faults in them, and whether two who read them answer alike."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

AT_ONCE = 40
SILENCE_S = 0.3
"""Who hears nothing for so long is waiting for the rest of a request."""
PATIENCE_S = 3.0
"""The same, before two answers are called different: the machine may have stood still."""

Both = Callable[[bytes, float], Awaitable[tuple[object, object]]]
"""What the one and the other answer to these bytes; each is heard until it is silent for so many seconds."""

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


async def answered_alike(tried: Iterator[bytes], both: Both) -> None:
    """Ask both, many at once. Fails with what they answer differently, also where they have time."""
    differences: list[str] = []

    async def try_some() -> None:
        for data in tried:
            one, other = await both(data, SILENCE_S)
            if one != other:
                one, other = await both(data, PATIENCE_S)
            if one != other:
                differences.append(f"{data!r}\n  {one}\n  {other}")

    await asyncio.gather(*(try_some() for _ in range(AT_ONCE)))
    assert not differences, f"{len(differences)} differences\n" + "\n".join(differences[:10])
