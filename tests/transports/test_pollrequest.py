"""A poll whose bytes differ from the one before in the cursor only: it is not read again, and is judged as if it were."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from chatserver.core.errors import BadRequest
from chatserver.core.limits import Limits
from chatserver.http.admission import Admission
from chatserver.http.heads import plain_fields, poll_line
from chatserver.transports import pollrequest
from chatserver.transports.longpoll import Poll
from chatserver.transports.pollrequest import PollRequest, remember
from tests.support.damage import damage
from tests.support.inprocess import Inside, inside
from tests.support.turns import settle

LIMITS = Limits()
MUTANTS = 20_000


def head(it: Inside, query: str, more: str = "") -> bytes:
    return (
        f"GET /poll{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n{more}\r\n"
    ).encode()


def read(data: bytes, admission: Admission) -> PollRequest | None:
    """What a head that is nothing but a plain poll asks, if it can be read; None for any other bytes."""
    line, _, rest = data.partition(b"\r\n")
    asked = poll_line(line)
    headers = plain_fields(rest[:-2]) if rest.endswith(b"\r\n\r\n") else None
    if asked is None or headers is None:
        return None
    request = PollRequest(*asked, headers, admission.bearer(headers))
    with contextlib.suppress(BadRequest):
        request.read(admission, LIMITS)
    return request


def remembered(it: Inside, data: bytes) -> pollrequest.Repeated | None:
    request = read(data, it.house.admission)
    assert request is not None
    line, sign, rest = data.partition(b"\r\n")
    return remember(request, line, sign + rest)


def same(one: PollRequest, other: PollRequest, but_cursor: int) -> bool:
    assert one.ask is not None and other.ask is not None
    one.ask.after = but_cursor
    return (one.ask, one.wait_s, one.client, one.method) == (
        other.ask,
        other.wait_s,
        other.client,
        other.method,
    )


async def test_whatever_is_taken_for_a_repetition_says_the_same_to_who_reads_it_whole(
    tmp_path: Path,
) -> None:
    chance = random.Random(20261129)
    async with inside(tmp_path) as it:
        queries = ("?after=7", "?wait=3&after=7&client=x", "?after=7&x=1", "?x?y&after=7&user=")
        whole = [head(it, query, more) for query in queries for more in ("", "Accept: */*\r\n")]
        whole.append(whole[0].replace(b"GET", b"HEAD"))
        known = [remembered(it, data) for data in whole]
        assert None not in known
        taken = 0
        for _ in range(MUTANTS):
            at = chance.randrange(len(whole))
            number = "".join(chance.choices("0123456789+-_ \u0663", (9,) * 10 + (1,) * 5, k=3))
            data = whole[at].replace(b"=7", f"={number}".encode())
            data = damage(chance, [data]) if chance.random() < 0.7 else data
            repeated = known[at]
            assert repeated is not None
            cursor = repeated.cursor(data)
            if cursor is not None:
                taken += 1
                slow = read(data, it.house.admission)
                assert slow is not None and slow.after == cursor
                assert same(repeated.request, slow, cursor)
        assert taken > MUTANTS / 20


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?wait=0",
        "?after=",
        "?after=007",
        "?after=7&after=8",
        "?client=after=7&after=7",
        "?after=7&after",
        "?after&after=7",
        "?after=7&%61fter=8",
        "?after=7&client=a+b",
        "?after=7&client=a%20b",
        "?after=7;after=8",
        "?x?after=7",
        "?client=after=7",
        f"?after=7&x={'x' * 2030}",
        "?after=7&client=lab-1",
    ],
)
async def test_a_head_whose_cursor_is_not_plainly_one_run_of_digits_is_not_remembered(
    tmp_path: Path, query: str
) -> None:
    async with inside(tmp_path) as it:
        assert remembered(it, head(it, query)) is None


async def test_only_digits_that_are_a_cursor_are_taken_for_one(tmp_path: Path) -> None:
    async with inside(tmp_path) as it:
        repeated = remembered(it, head(it, "?after=7&wait=1"))
        assert repeated is not None
        for said in ("0", "007", "9" * 16):
            assert repeated.cursor(head(it, f"?after={said}&wait=1")) == int(said)
        for said in ("", "9" * 17, "-1", "+1", "1_0", "1 ", "x", "1&after=2", "\u0661"):
            assert repeated.cursor(head(it, f"?after={said}&wait=1")) is None
        again = head(it, "?after=8&wait=1")
        for data in (again * 2, again[:-1], b" " + again, again.replace(b"wait=1", b"wait=2")):
            assert repeated.cursor(data) is None
        assert repeated.cursor(again.replace(b"after=8&wait=1", b"after=&wait=1")) is None


async def test_its_headers_are_known_without_their_line(tmp_path: Path) -> None:
    async with inside(tmp_path) as it:
        whole = head(it, "?after=7", "Accept: */*\r\n")
        repeated, fields = remembered(it, whole), whole.partition(b"\r\n")[2][:-2]
        assert repeated is not None and repeated.has(fields)
        lines = fields.splitlines(keepends=True)
        for others in (b"", b"".join(lines[1:]), b"".join(lines[:-1]), fields + b"A: b\r\n"):
            assert not repeated.has(others)


class Talk:
    """A connection that has polled twice from a cursor: its head is known by heart."""

    def __init__(self, it: Inside, end: socket.socket) -> None:
        self.it = it
        self.end = end

    async def ask(self, cursor: int, more: str = "") -> tuple[int, Any]:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.end, head(self.it, f"?wait=0&client=x&after={cursor}", more))
        data = await asyncio.wait_for(loop.sock_recv(self.end, 1 << 16), 10)
        status, body = int(data.split()[1]), data.partition(b"\r\n\r\n")[2]
        return status, json.loads(body)


@contextlib.asynccontextmanager
async def talk(
    folder: Path, send_bytes: int = 0, **settings: Any
) -> AsyncIterator[tuple[Inside, Talk]]:
    async with inside(folder, **settings) as it:
        with contextlib.closing(it.pair(send_bytes)) as end:
            line = Talk(it, end)
            for _ in range(4):
                assert (await line.ask(0))[0] == 200
            yield it, line


def never(query: str) -> NoReturn:
    raise AssertionError(f"read again: {query}")


async def test_the_next_poll_of_a_connection_is_not_read_again_and_has_its_own_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talk(tmp_path) as (it, line):
        seqs = [(await it.house.messages.send(it.user_id, {"text": text})).seq for text in "abc"]
        monkeypatch.setattr(pollrequest, "parse_query", never)
        for at, cursor in enumerate(seqs):
            status, body = await line.ask(cursor)
            assert status == 200 and body["cursor"] == seqs[-1]
            assert [event["seq"] for event in body["events"]] == seqs[at + 1 :]


async def test_who_comes_back_with_a_cursor_and_waits_is_known_by_heart_from_the_first_poll_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(tmp_path) as it:
        loop, newest = asyncio.get_running_loop(), it.house.journal.head_seq
        comes = it.looked_at(head(it, f"?wait=50&client=x&after={newest}"))
        with contextlib.closing(comes) as end:
            while not it.house.delivery.readers.all:
                await asyncio.sleep(0.001)
            seq = (await it.house.messages.send(it.user_id, {"text": "a"})).seq
            assert b'"cursor":%d,' % seq in await loop.sock_recv(end, 1 << 16)
            monkeypatch.setattr(pollrequest, "parse_query", never)
            await loop.sock_sendall(end, head(it, f"?wait=50&client=x&after={seq - 1}"))
            assert b'"cursor":%d,' % seq in await loop.sock_recv(end, 1 << 16)


async def test_a_head_with_another_line_is_read(tmp_path: Path) -> None:
    async with talk(tmp_path) as (it, line):
        assert (await line.ask(0, "X-Chat-User: somebody else\r\n"))[0] == 409
        assert (await line.ask(0))[0] == 200


async def test_a_login_that_has_ended_is_refused_though_its_head_is_known_by_heart(
    tmp_path: Path,
) -> None:
    async with talk(tmp_path) as (it, line):
        await it.house.sessions.end_one(it.user_id, "token", it.login_id)
        status, body = await line.ask(0)
        assert (status, body["code"]) == (401, "unauthenticated")


async def test_a_server_that_sends_everybody_away_refuses_who_asks_on(tmp_path: Path) -> None:
    async with talk(tmp_path) as (it, line):
        it.house.delivery.readers.draining = True
        assert (await line.ask(0))[0] == 503
        it.house.delivery.readers.draining = False


async def test_each_poll_is_paid_for_and_has_its_place_in_a_turn(tmp_path: Path) -> None:
    limits = Limits(http_rate=0.001, http_burst=2, connections_per_user=1)
    async with talk(tmp_path, limits=limits) as (it, line):
        connections, turns = it.house.delivery.connections, 0
        take_turn = connections.take_turn

        def counted() -> bool:
            nonlocal turns
            turns += 1
            return take_turn()

        connections.take_turn = counted  # type: ignore[method-assign]
        # Each is a tenth of a request. Three of the four before were the user's; the first one's login was not known yet.
        assert [(await line.ask(0))[0] for _ in range(18)] == [200] * 17 + [429]
        assert turns == 18
        line.end.send(head(it, "?wait=0&client=x&after=0"))
        await settle()
        with pytest.raises(BlockingIOError):
            line.end.recv(1)  # who was refused is not answered for a while


async def test_a_poll_that_repeats_another_is_looked_up_where_its_mailbox_was_forgotten(
    tmp_path: Path,
) -> None:
    async with talk(tmp_path) as (it, line):
        delivery = it.house.delivery
        (reader,) = delivery.readers.of(it.user_id)
        reader.leave()  # type: ignore[attr-defined]
        delivery.hub.close(it.user_id)
        assert delivery.hub.mailbox(it.user_id) is None
        assert (await line.ask(0))[0] == 200
        assert delivery.hub.mailbox(it.user_id) is not None


async def test_who_asks_on_by_their_own_login_ends_with_that_one_though_another_has_asked_since(
    tmp_path: Path,
) -> None:
    async with talk(tmp_path) as (it, line):
        (reader,) = it.house.delivery.readers.of(it.user_id)
        (own,) = await it.house.sessions.listed(it.user_id, "token")
        other, _ = await it.house.sessions.issue_token(own, "another", None)
        it.house.delivery.readers.change_login(reader, other)
        assert (await line.ask(0))[0] == 200
        assert it.house.delivery.readers.of(it.user_id) == [reader]
        assert reader.login.id == own.id == it.login_id


async def test_other_nodes_hear_of_each_poll_though_its_head_is_known_by_heart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talk(tmp_path) as (it, line):
        neighbours, heard = it.house.delivery.neighbours, list[object]()
        monkeypatch.setattr(neighbours, "several", True)
        monkeypatch.setattr(neighbours, "polled", heard.append)
        assert (await line.ask(0))[0] == 200
        assert heard == it.house.delivery.readers.of(it.user_id)


async def test_a_poll_whose_head_is_known_waits_until_the_answer_before_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talk(tmp_path, 4096) as (it, line):
        loop, asked = asyncio.get_running_loop(), head(it, "?wait=0&client=x&after=0")
        for _ in range(20):
            await it.house.messages.send(it.user_id, {"text": "x" * 4000})
        begun: list[Poll] = []
        begin = Poll.begin

        def counted(poll: Poll) -> None:
            begun.append(poll)
            begin(poll)

        monkeypatch.setattr(Poll, "begin", counted)
        for _ in range(2):
            line.end.send(asked)
            await settle()
        assert len(begun) == 1
        answers = b""
        while answers.count(b'"timeout"') < 2:
            answers += await asyncio.wait_for(loop.sock_recv(line.end, 1 << 16), 10)
        assert len(begun) == 2


async def test_a_poll_that_comes_while_another_waits_is_answered_after_it(tmp_path: Path) -> None:
    async with talk(tmp_path) as (it, line):
        loop, newest = asyncio.get_running_loop(), it.house.journal.head_seq
        waits = head(it, f"?wait=50&client=x&after={newest}")
        assert remembered(it, waits) is not None
        brief = head(it, "?wait=0&client=x&after=0")
        for data in (brief, waits, waits):
            await loop.sock_sendall(line.end, data)
            await settle()
            if data is brief:
                assert (await loop.sock_recv(line.end, 1 << 16)).startswith(b"HTTP/1.1 200 ")
        assert it.house.delivery.readers.of(it.user_id)[0].parked
        seq = (await it.house.messages.send(it.user_id, {"text": "a"})).seq
        answers = b""
        while answers.count(b'"cursor"') < 2:
            answers += await asyncio.wait_for(loop.sock_recv(line.end, 1 << 16), 10)
        assert answers.count(b'"cursor":%d,' % seq) == 2
