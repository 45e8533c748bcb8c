"""WebSocket conformance of a running server, after the categories of the Autobahn test suite.

What the client of the suite sees as an echo is an `error` frame here, since its texts are no JSON of ours: so it is judged by
framing: which messages are answered, with which payload a ping comes back, and how the connection ends.
"""

from __future__ import annotations

import asyncio
import json
import struct

import pytest

from chatserver.core import framing
from tests.support.clients import Person
from tests.support.process import ServerProcess
from tests.support.websocket_cases import CASES, Case
from tests.transports.test_websocket import RawSocket

ONE_BY_ONE_BYTES = 1000
"""Up to so many, bytes are sent one at a time, too."""

Heard = tuple[str, bytes | int | None]

_people: dict[str, Person] = {}


async def somebody(url: str) -> Person:
    """The same for all cases of a server."""
    if url not in _people:
        _people[url] = await Person.register(url, "Bob")
    return _people[url]


def expected(case: Case) -> list[Heard]:
    """What the client hears beside the answers to its pings."""
    heard: list[Heard] = []
    for what, value in case.tokens:
        if what in ("text", "binary"):
            heard.append(("error", None))
        elif what in ("close", "fail"):
            heard.append(("end", value))
    return heard


def is_answer(pongs: list[bytes | int | None], case: Case) -> bool:
    """Whether these answer the pings: the newest has to be answered, others may be (RFC 6455, section 5.5.3)."""
    pings = [value for what, value in case.tokens if what == "ping"]
    left = iter(pings)
    return pongs[-1:] == pings[-1:] and all(pong in left for pong in pongs)


async def hear(client: RawSocket) -> list[Heard]:
    """What comes, to the end of the connection."""
    heard: list[Heard] = []
    while True:
        try:
            opcode, payload = await client.frame()
        except asyncio.IncompleteReadError as error:
            assert error.partial == b""
            return heard
        if opcode == framing.OP_PONG:
            heard.append(("pong", payload))
        elif opcode == framing.OP_CLOSE:
            heard.append(("end", struct.unpack_from("!H", payload)[0] if payload else None))
        elif opcode == framing.OP_TEXT and json.loads(payload)["type"] == "error":
            assert json.loads(payload)["code"] == "bad_request"
            heard.append(("error", None))


@pytest.mark.parametrize("step", [1, 1 << 20], ids=["bytes", "whole"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_server_answers_and_ends_as_the_rfc_says(
    server: ServerProcess, case: Case, step: int
) -> None:
    if step == 1 and len(case.data) > ONE_BY_ONE_BYTES:
        step = 997
    client = RawSocket()
    person = await somebody(server.url)
    assert (await client.open(server.url, person.token)).startswith(b"HTTP/1.1 101 ")
    await client.text_of("presence")
    hearing = asyncio.create_task(hear(client))
    for at in range(0, len(case.data), step):
        client.send(case.data[at : at + step])
        await asyncio.sleep(0)
    heard = await hearing
    assert [one for one in heard if one[0] != "pong"] == expected(case)
    assert is_answer([value for what, value in heard if what == "pong"], case)
    assert heard[-1][0] == "end", "nothing comes behind it"
