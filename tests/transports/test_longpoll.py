"""A poll from its headers to its answer: cursors, what is said to come, and when it ends by itself."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from chatserver.command.build import opened
from chatserver.command.settings import Settings
from chatserver.core.errors import RateLimited
from chatserver.core.limits import Limits
from chatserver.core.mailbox import BATCH_BYTES
from chatserver.core.vocabulary import ping
from chatserver.http.house import House
from chatserver.transports.longpoll import JITTER, Poll
from chatserver.transports.pollanswer import MARGIN_S
from chatserver.transports.pollreader import PollReader
from chatserver.transports.pollrequest import PollRequest
from tests.store.kit import account


class Line:
    """Where the answers of polls go, without a socket."""

    def __init__(self, house: House, token: str, user_id: str) -> None:
        self.house = house
        self.headers = HTTPHeaders({"Authorization": f"Bearer {token}", "Host": "here"})
        self.user_id = user_id
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.cuts = 0
        self.rests = 0

    def charge(self, request: PollRequest) -> None: ...

    def rest(self, request: PollRequest) -> None:
        self.rests += 1

    def respond(self, data: bytes) -> None:
        self.answers.put_nowait(data)

    def cut(self) -> None:
        self.cuts += 1

    def sign_in(self, user_id: str) -> None: ...

    def poll(self, query: str) -> Poll:
        bearer = self.house.admission.bearer(self.headers)
        request = PollRequest("GET", f"/poll?{query}", self.headers, bearer)
        poll = Poll(self, request, self.house.admission, self.house.delivery)
        poll.begin()
        return poll

    async def answer(self) -> dict[str, Any]:
        data = await asyncio.wait_for(self.answers.get(), 10)
        found: dict[str, Any] = json.loads(data.partition(b"\r\n\r\n")[2])
        return found

    async def ask(self, query: str) -> dict[str, Any]:
        self.poll(query)
        return await self.answer()

    async def say(self, text: str) -> int:
        return (await self.house.messages.send(self.user_id, {"text": text})).seq


@asynccontextmanager
async def line(data: Path) -> AsyncIterator[Line]:
    limits = Limits(send_rate=10_000, send_burst=10_000, mailbox_events=16, text_chars=BATCH_BYTES)
    async with opened(Settings(data=data, limits=limits)) as house:
        fields = {"email": "ann@example.com", "password": "correct horse", "firstName": "Ann"}
        ann = await house.accounts.register(fields, None)
        browser = await house.sessions.begin(ann.id, 0, "test")
        _, token = await house.sessions.issue_token(browser, "test", None)
        yield Line(house, token, ann.id)


async def test_each_answers_cursor_leads_to_the_next_event_and_to_no_other(data: Path) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0"))["cursor"]
        seqs = [await it.say(str(number)) for number in range(3)]
        first = await it.ask(f"after={cursor}&wait=0")
        assert [event["seq"] for event in first["events"]] == seqs
        assert (first["cursor"], first["more"]) == (seqs[-1], False)
        again = await it.ask(f"after={seqs[0]}&wait=0")
        assert [event["seq"] for event in again["events"]] == seqs[1:]
        nothing = await it.ask(f"after={seqs[-1]}&wait=0")
        assert (nothing["events"], nothing["cursor"]) == ([], seqs[-1])


async def test_a_poll_that_is_not_paid_for_is_refused_before_anything_is_looked_at(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RateLimited("You ask too fast.", 2.0)

    async with line(data) as it:
        monkeypatch.setattr(it.house.admission, "charge_known", refuse)
        it.poll("after=nothing&wait=0")
        head = await asyncio.wait_for(it.answers.get(), 10)
        assert head.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 2\r\n" in head
        assert it.rests == 1


async def test_an_answer_that_is_full_says_that_there_is_more(data: Path) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0"))["cursor"]
        texts = [letter * (BATCH_BYTES // 5) for letter in "abcdefgh"]
        for text in texts:
            await it.say(text)
        first = await it.ask(f"after={cursor}&wait=0")
        assert (len(first["events"]), first["more"]) == (4, True)
        second = await it.ask(f"after={first['cursor']}&wait=0")
        assert (len(second["events"]), second["more"]) == (4, False)
        both = [event["text"] for event in first["events"] + second["events"]]
        assert both == texts


async def test_a_signal_comes_with_the_next_events_and_changes_nothing_of_their_cursor(
    data: Path,
) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0&client=page"))["cursor"]
        for letter in "abcdefgh":
            await it.say(letter * (BATCH_BYTES // 5))
        (reader,) = it.house.delivery.readers.all
        reader.offer(ping(1))
        first = await it.ask(f"after={cursor}&wait=0&client=page")
        assert [said["type"] for said in first["events"]] == ["message"] * 4 + ["ping"]
        assert (first["cursor"], first["more"]) == (first["events"][3]["seq"], True)
        second = await it.ask(f"after={first['cursor']}&wait=0&client=page")
        assert [said["type"] for said in second["events"]] == ["message"] * 4
        reader.offer(ping(2))
        third = await it.ask(f"after={second['cursor']}&wait=0&client=page")
        assert [said["type"] for said in third["events"]] == ["ping"]
        assert (third["cursor"], third["more"]) == (second["cursor"], False)


async def test_what_left_the_mailbox_is_replayed_and_joined_by_what_is_in_it(data: Path) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0"))["cursor"]
        seqs = [await it.say(str(number)) for number in range(40)]
        got: list[int] = []
        while True:
            answer = await it.ask(f"after={cursor}&wait=0")
            got += [event["seq"] for event in answer["events"]]
            cursor = answer["cursor"]
            if not answer["more"]:
                break
        assert got == seqs


async def test_a_waiting_poll_is_answered_by_what_comes(data: Path) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0"))["cursor"]
        it.poll(f"after={cursor}&wait=50")
        await asyncio.sleep(0)
        assert it.answers.empty()
        seq = await it.say("hi")
        assert (await it.answer())["cursor"] == seq


@pytest.mark.parametrize("drawn", [0.0, 0.5, 1.0])
async def test_a_wait_is_shortened_by_chance_so_that_not_all_come_back_at_once(
    data: Path, monkeypatch: pytest.MonkeyPatch, drawn: float
) -> None:
    monkeypatch.setattr(random, "random", lambda: drawn)
    async with line(data) as it:
        cursor = (await it.ask("wait=0"))["cursor"]
        poll = it.poll(f"after={cursor}&wait=50")
        waits_s = poll.ends_s - it.house.delivery.clockwork.clock_s()
        assert waits_s == pytest.approx(50 * (1 - JITTER * drawn), abs=1)
        poll.connection_lost()


@pytest.mark.parametrize("named", ["&client=page", ""])
async def test_a_long_wait_ends_when_the_clockwork_comes_by_and_no_sooner_than_its_time(
    data: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    async with line(data) as it:
        clockwork = it.house.delivery.clockwork
        cursor = (await it.ask("wait=0" + named))["cursor"]
        for _ in range(3):
            it.poll(f"after={cursor}&wait=50{named}")
            seq = await it.say("hi")
            assert (await it.answer())["cursor"] == seq
            cursor = seq
        poll = it.poll(f"after={cursor}&wait=50{named}")
        await clockwork.close()
        # Each second of the fifty, as the clockwork goes.
        for early_s in range(48, 0, -1):
            clockwork.turn(poll.ends_s - early_s)
        assert poll.waiting and it.answers.empty()
        clockwork.turn(poll.ends_s + 1.5)
        assert not poll.waiting
        assert (await it.answer())["events"] == []
        assert bool(it.house.delivery.readers.all) == bool(named)
        for late_s in range(2, 120):
            clockwork.turn(poll.ends_s + late_s)
        assert not it.house.delivery.readers.all, "who does not come back is forgotten"


async def test_the_timeout_of_an_answer_is_the_wait_and_a_margin(data: Path) -> None:
    async with line(data) as it:
        assert (await it.ask("wait=20"))["timeout"] == (20 + MARGIN_S) * 1000


async def test_a_client_that_polls_and_goes_is_forgotten_when_its_next_poll_is_overdue(
    data: Path,
) -> None:
    async with line(data) as it:
        readers = it.house.delivery.readers
        await it.ask("wait=0&client=page")
        (reader,) = readers.all
        now_s = it.house.delivery.clockwork.clock_s()
        assert not reader.parked
        assert reader.visit(now_s) is not None and reader.visit(reader.due_s) is None
        assert not readers.all and reader.visit(now_s) is None


async def test_a_waiting_poll_can_be_cut_as_a_bad_network_would(data: Path) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0&client=page"))["cursor"]
        it.poll(f"after={cursor}&wait=50&client=page")
        it.house.delivery.readers.cut(it.user_id, "page")
        assert it.cuts == 1


async def test_a_poll_whose_client_has_moved_to_another_node_ends_with_nothing_and_presence_comes_anew(
    data: Path,
) -> None:
    async with line(data) as it:
        cursor = (await it.ask("wait=0&client=page"))["cursor"]
        it.poll(f"after={cursor}&wait=50&client=page")
        (reader,) = it.house.delivery.readers.all
        assert isinstance(reader, PollReader) and reader.parked
        reader.moved()
        assert (await it.answer())["events"] == [] and not reader.parked
        (presence,) = (await it.ask(f"after={cursor}&wait=0&client=page"))["events"]
        assert presence["type"] == "presence"
        reader.offer(ping(1))
        reader.offered_elsewhere()
        assert (await it.ask(f"after={cursor}&wait=0&client=page"))["events"] == []


async def test_who_polls_on_after_a_restart_is_told_once_who_is_there_now(data: Path) -> None:
    async with line(data) as it:
        await it.say("before")
        cursor, headers = (await it.ask("wait=0&client=page"))["cursor"], it.headers
    async with opened(Settings(data=data)) as house:
        it.house, it.headers = house, headers
        answers = [await it.ask(f"after={cursor}&wait=0&client=page") for _ in range(2)]
        assert [[said["type"] for said in one["events"]] for one in answers] == [["presence"], []]
        seq = await it.say("new here")
        (said,) = (await it.ask(f"after={cursor}&wait=0&client=other"))["events"][:-1]
        assert said["seq"] == seq
        answers = [await it.ask(f"after={seq}&wait=0&client=third")]
        assert answers[0]["events"] == [], "its cursor is of this process"


async def with_friends(it: Line, *names: str) -> None:
    """Make friends of the line's user of these, who are not here."""
    for name in names:
        await it.house.store.add_account(account(name))
        await it.house.friendships.befriend(name, it.user_id)
        await it.house.friendships.befriend(it.user_id, name)


async def waits(it: Line, query: str) -> PollReader:
    """The reader of a client whose poll waits."""
    poll = it.poll(query)
    async with asyncio.timeout(10):
        while not poll.waiting:
            await asyncio.sleep(0.001)
    (reader,) = it.house.delivery.readers.all
    assert isinstance(reader, PollReader)
    return reader


async def test_who_is_owed_the_whole_presence_is_woken_by_the_first_who_comes_and_told_of_no_other_one_by_one(
    data: Path,
) -> None:
    async with line(data) as it:
        await with_friends(it, "bob", "cho", "dee", "eve")
        cursor, headers = it.house.delivery.hub.head_seq, it.headers
    async with opened(Settings(data=data)) as house:
        it.house, it.headers = house, headers
        await waits(it, f"after={cursor}&wait=50&client=page")
        for name in ("bob", "cho", "dee"):
            house.delivery.attendance.polled(name, 20.0)
        first, whole = (await it.answer())["events"]
        assert (first["user"], first["online"]) == ("bob", True)
        assert set(whole["online"]) == {"bob", "cho", "dee"}
        await waits(it, f"after={cursor}&wait=50&client=page")
        house.delivery.attendance.polled("eve", 20.0)
        assert [said["user"] for said in (await it.answer())["events"]] == ["eve"]


@pytest.mark.parametrize("gone", ["moved", "offered_elsewhere"])
async def test_who_comes_wakes_a_client_that_is_owed_the_presence_also_once_what_waited_is_gone(
    data: Path, gone: str
) -> None:
    async with line(data) as it:
        await with_friends(it, "bob", "cho")
        attendance = it.house.delivery.attendance
        cursor = (await it.ask("wait=0&client=page"))["cursor"]
        reader = await waits(it, f"after={cursor}&wait=50&client=page")
        reader.moved()
        await it.answer()
        attendance.polled("bob", 20.0)
        getattr(reader, gone)()
        await waits(it, f"after={cursor}&wait=50&client=page")
        attendance.polled("cho", 20.0)
        first, whole = (await it.answer())["events"]
        assert first["user"] == "cho" and set(whole["online"]) == {"bob", "cho"}


async def test_a_poll_with_another_login_of_the_same_client_ends_with_that_one(data: Path) -> None:
    async with line(data) as it:
        sessions, cursor = it.house.sessions, (await it.ask("wait=0&client=page"))["cursor"]
        (first,) = await sessions.listed(it.user_id, "token")
        _, token = await sessions.issue_token(first, "test", None)
        it.headers = HTTPHeaders({"Authorization": f"Bearer {token}", "Host": "here"})
        it.poll(f"after={cursor}&wait=20&client=page")
        (reader,) = it.house.delivery.readers.of(it.user_id)
        await sessions.end(first)
        assert reader.parked
        await sessions.end(reader.login)
        assert [said["type"] for said in (await it.answer())["events"]] == ["bye"]
