"""The same damaged request to the first look and to Tornado: the same answer, so the first look is only quicker."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.limits import Limits
from chatserver.delivery.seats import SeatedSocket
from tests.support.damage import SILENCE_S, answered_alike, damage
from tests.support.inprocess import Inside, inside

SEED = 20261129
MUTANTS = 1_500

SOCKET = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
FRAME = b"\x81\x8f" + bytes(4) + b'{"type":"ping"}'
CHANGING = re.compile(rb"(?im)^(date|content-length): [^\r\n]*\r\n")
VARYING = re.compile(rb'"(seq|retryAfter|reconnectIn|at)":[0-9.]+|retry: \d+')
LIMITS = Limits(readers_per_user=200, meter=False)


def requests(token: str) -> list[bytes]:
    """What is damaged."""
    who = f"Authorization: Bearer {token}"

    def one(target: str, *headers: str, method: str = "GET") -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    return [
        one("/ws", who, *SOCKET),
        one("/ws", who, *SOCKET) + FRAME,
        one("/ws?after=0", who, *SOCKET, "Sec-WebSocket-Protocol: a, chat.v1"),
        one("/ws", *SOCKET),
        one("/ws", who),
        one("/ws", who, *SOCKET, "Origin: http://localhost"),
        one("/ws", "Cookie: chat=x", *SOCKET, "Origin: http://elsewhere"),
        one("/events", who),
        one("/events?after=1", who, "Accept: text/event-stream", "Last-Event-ID: 0"),
        one("/events"),
        one("/events", who, method="HEAD"),
        one("/events", who, "X-Chat-User: somebody"),
    ]


async def answer(end: socket.socket, silence_s: float) -> tuple[bytes, list[bytes], bytes]:
    """First line, header lines in order of the alphabet, and what is said first; numbers that vary are left out."""
    loop, data = asyncio.get_running_loop(), bytearray()
    try:
        while b'"presence"' not in data and b'"bye"' not in data:
            piece = await asyncio.wait_for(loop.sock_recv(end, 1 << 16), silence_s)
            if not piece:
                break
            data += piece
    except (TimeoutError, ConnectionResetError):
        pass
    finally:
        end.close()
    head, _, rest = CHANGING.sub(b"", bytes(data)).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    said, greeted, _ = VARYING.sub(b"#", rest).partition(b'"presence"')  # the rest may come later
    return first, sorted(line.lower() for line in lines), said[said.find(b"{") :] + greeted


async def both(it: Inside, data: bytes, silence_s: float) -> tuple[object, object]:
    """What becomes of `data` at the first look, and at Tornado."""
    quick = await answer(it.looked_at(data), silence_s)
    end = it.pair()
    end.send(data)
    return quick, await answer(end, silence_s)


@pytest.mark.timeout(0)
async def test_the_first_look_answers_as_tornado_does(
    tmp_path: Path, fuzz: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(SEED)
    async with inside(tmp_path, limits=LIMITS) as it:
        whole = requests(it.token)
        mutants = (damage(chance, whole) for _ in range(MUTANTS * fuzz))
        await answered_alike(chain(whole, mutants), partial(both, it))
    faults = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert not faults, faults[:10]


async def test_what_is_plain_goes_past_tornado(tmp_path: Path) -> None:
    async with inside(tmp_path, limits=LIMITS) as it:
        given: list[bytes] = []

        def keep(sock: SeatedSocket, _: object) -> None:
            given.append(sock.recv(4096))
            sock.close()

        it.server._first_look._give = keep
        for data in requests(it.token):
            end = it.looked_at(data)
            await answer(end, SILENCE_S)
        assert [data.split(b" HTTP")[0] for data in given] == [
            b"GET /ws",  # signed out
            b"GET /ws",  # no upgrade
            b"GET /ws",  # a foreign origin
            b"GET /events",  # signed out
            b"HEAD /events",
            b"GET /events",  # of another account
        ]


async def away(*_: object) -> Any:
    """In the place of a question to the store."""
    raise Unavailable("The database is away.")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("at", [0, 7])
async def test_what_fails_on_the_way_in_ends_that_connection_with_one_line(
    tmp_path: Path,
    at: int,
    alone: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(reader: object) -> None:
        raise RuntimeError("planted")

    async with inside(tmp_path, limits=LIMITS) as it:
        if alone:
            monkeypatch.setattr(it.house.store, "newcomers", away)
        monkeypatch.setattr(it.house.delivery.readers, "attach", fails)
        first, *_ = await answer(it.looked_at(requests(it.token)[at]), 20)
        assert first == b""
        assert not it.house.delivery.readers.all and not it.house.delivery.joins.under_way
    assert len([record for record in caplog.records if "planted" in record.getMessage()]) == 1


async def test_where_the_store_is_away_tornado_answers_with_nothing_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bytes] = []

    def keep(sock: SeatedSocket, _: object) -> None:
        given.append(sock.recv(4096))
        sock.close()

    async with inside(tmp_path, limits=LIMITS) as it:
        for question in ("newcomers", "friends_since"):
            monkeypatch.setattr(it.house.store, question, away)
        it.server._first_look._give = keep
        for data in (requests(it.token)[0], requests(it.token)[7]):
            await answer(it.looked_at(data), SILENCE_S)
            assert given.pop() == data


@pytest.mark.parametrize("at", [0, 7])
async def test_whoever_goes_on_the_way_in_leaves_no_reader_behind(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(tmp_path, limits=LIMITS) as it:
        seats, found = it.house.delivery.connections.seats, it.house.store.newcomers

        async def goes(*asked: Any) -> Any:
            newcomers = await found(*asked)
            seat = next(iter(seats._signed_out))
            assert seat.end is not None
            seat.end()  # as whoever has no login gives way in a full hall
            return newcomers

        monkeypatch.setattr(it.house.store, "newcomers", goes)
        first, *_ = await answer(it.looked_at(requests(it.token)[at]), 20)
        assert first == b"" and not len(seats)
        assert not it.house.delivery.readers.all and not it.house.delivery.joins.under_way


async def greeted(end: socket.socket) -> bytes:
    """What is said up to the whole presence; the connection stays."""
    said = b""
    async with asyncio.timeout(20):
        while b'"presence"' not in said:
            piece = await asyncio.get_running_loop().sock_recv(end, 1 << 16)
            assert piece, said
            said += piece
    return said


@pytest.mark.parametrize("at", [0, 7])
async def test_whoever_is_let_in_pays_for_the_connection_from_then_on(
    tmp_path: Path, at: int
) -> None:
    """Or the bound of connections of a user would not hold for those that come the quick way."""
    async with inside(tmp_path, limits=LIMITS) as it:
        seats, ends = it.house.delivery.connections.seats, []
        for count in (1, 2, 3):
            ends.append(it.looked_at(requests(it.token)[at]))
            await greeted(ends[-1])
            assert seats.of_user(it.user_id) == count and not seats.signed_out
        for end in ends:
            end.close()


@pytest.mark.parametrize("at", [0, 7])
async def test_the_quick_way_in_is_no_cheaper(tmp_path: Path, at: int) -> None:
    limits = Limits(connections_per_user=2, http_burst=4, http_rate=0.001)
    async with inside(tmp_path, limits=limits) as it:
        answered = []
        for _ in range(6):
            with it.looked_at(requests(it.token)[at]) as end:
                head = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(end, 4096), 20)
                answered.append(head.split()[1])
        assert answered[:4] == answered[:1] * 4 and answered[0] in (b"101", b"200")
        assert answered[4:] == [b"429"] * 2
