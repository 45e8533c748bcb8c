"""The newest events in memory: whoever comes back finds the same there as in the database, or is sent to it."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.events import MAX_SEQ, Audience, Event
from chatserver.core.visibility import View
from chatserver.delivery import recent as rules
from chatserver.delivery.recent import Recent
from chatserver.transports.reader import Reader, Stage
from tests.store.kit import SqliteHome, World, opened
from tests.store.test_sqlite_missed import PEOPLE, payloads, talked
from tests.support.inprocess import Inside, inside
from tests.transports.test_arriving_together import comes, friends, until
from tests.verbs.test_accounts import opened as started

ALL = 10_000


async def in_memory(world: World) -> Recent:
    """What a server would know that had handed out all of it: the first half read at its start, the second followed."""
    recent = Recent()
    events, floor_seq = await world.journal.latest(ALL, 1 << 30)
    half = len(events) // 2
    recent.follow(events[half:])
    recent.begin(events[: half + 3], floor_seq)
    return recent


async def test_it_finds_what_the_store_finds_for_everybody_from_everywhere(tmp_path: Path) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        seqs, recent = await talked(world), await in_memory(world)
        assert recent.floor_seq < seqs[1]
        answers = 0
        for user in PEOPLE:
            view = await world.view(user)
            for after in seqs[1:]:
                for up_to in seqs[3::4]:
                    for most in (3, 500):
                        found = recent.few(view, after, up_to, most)
                        stored = await world.log.few(view, after, up_to, most)
                        assert payloads(found) == payloads(stored)
                        answers += bool(found)
        assert answers > 500


async def test_what_it_does_not_reach_it_does_not_say(tmp_path: Path) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        await talked(world)
        recent = await in_memory(world)
        view = await world.view(PEOPLE[0])
        assert recent.few(view, recent.floor_seq - 1, MAX_SEQ, 500) is None
        assert recent.few(view, recent.floor_seq, MAX_SEQ, 500) is not None
        assert Recent().few(view, world.journal.head_seq, MAX_SEQ, 500) is None


def _events(count: int, size: int = 100, first: int = 1) -> list[Event]:
    chance = random.Random(count)
    return [
        Event(seq, seq, "message", Audience.FRIENDS, chance.choice(PEOPLE), None, b"x" * size, None)
        for seq in range(first, first + count)
    ]


@pytest.mark.parametrize(("most", "size"), [(100, 10), (10**6, 5000)])
def test_it_holds_so_much_and_says_from_where(
    most: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "RECENT_EVENTS", most)
    monkeypatch.setattr(rules, "RECENT_BYTES", 500_000)
    recent, view = Recent(), View(PEOPLE[0], dict.fromkeys(PEOPLE[1:], 0))
    recent.begin([], 0)
    everything = list[Event]()
    for _ in range(60):
        some = _events(7, size, len(everything) + 1)
        everything += some
        recent.follow(some)
        held = [event for event in everything if event.seq > recent.floor_seq]
        assert len(held) <= most and sum(len(event.payload) for event in held) <= 500_000
        assert recent.few(view, recent.floor_seq, MAX_SEQ, ALL) == held
    assert len(held) < len(everything), "something has left"
    assert len(held) > min(most, 500_000 // size) // 2, "and no more than need be"


def test_whom_much_may_concern_the_journal_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """No one who comes back stops the loop, however many friends have written however much."""
    monkeypatch.setattr(rules, "LOOKED_AT", 50)
    recent, view = Recent(), View("zoe", dict.fromkeys(PEOPLE, 0))
    recent.begin(_events(51), 0)
    assert recent.few(view, 1, MAX_SEQ, ALL) is not None
    assert recent.few(view, 0, MAX_SEQ, ALL) is None


async def test_the_end_of_an_account_is_looked_up_in_the_store(tmp_path: Path) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        recent = Recent()
        recent.begin([], 0)
        recent.follow(world.events)
        view = await world.view("ann")
        assert recent.few(view, 0, MAX_SEQ, 500)
        before = len(world.events)
        ended_seq = await world.end("bob", "ann") + 1
        recent.follow(world.events[before:])
        assert recent.few(view, ended_seq - 1, MAX_SEQ, 500) is None
        assert recent.few(view, ended_seq, MAX_SEQ, 500) == []


# in a server


def no_database(it: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(*_: Any) -> Any:
        raise AssertionError("the journal was asked")

    for name in ("few", "backlog", "replay"):
        monkeypatch.setattr(it.house.journal, name, asked)


@pytest.mark.parametrize("way", ["/ws", "/events", "/poll"])
async def test_who_comes_back_after_a_restart_is_told_what_was_missed_from_memory(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(tmp_path) as house:
        await friends(house)
        send = house.messages.send
        seq = (await send("bob", {"text": "before"})).seq
        missed = [(await send("cho", {"text": f"missed {n}"})).seq for n in range(3)]
        await send("dee", {"text": "of no friend"})
    async with inside(tmp_path) as it:
        no_database(it, monkeypatch)
        cookie = await _cookie(it, "bob")
        end = comes(it, f"{way}?client=bob&after={seq}&wait=30", cookie)
        said = await until(end, re.compile(rb"missed 2[^}]*}"))
        found = [int(one) for one in re.findall(rb'\{"seq":(\d+)', said)]
        assert found == missed
        assert b"of no friend" not in said and b'"reset"' not in said
        end.close()


@pytest.mark.parametrize("way", ["/ws", "/events", "/poll"])
async def test_who_comes_back_and_has_missed_nothing_goes_on_with_what_comes(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others wrote to others lies between, and moves the cursor along."""
    async with started(tmp_path) as house:
        await friends(house)
        seq = (await house.messages.send("bob", {"text": "before"})).seq
        await house.messages.send("dee", {"text": "of no friend"})
    async with inside(tmp_path) as it:
        no_database(it, monkeypatch)
        cookie = await _cookie(it, "bob")
        end = comes(it, f"{way}?client=bob&after={seq}&wait=30", cookie)
        readers = it.house.delivery.readers
        async with asyncio.timeout(30):
            while not [one for one in readers.of("bob") if is_open(one)]:
                await asyncio.sleep(0)
        await it.house.messages.send("cho", {"text": "news"})
        said = await until(end, re.compile(rb"news[^}]*}"))
        assert b"of no friend" not in said and b'"reset"' not in said
        end.close()


def is_open(reader: object) -> bool:
    return isinstance(reader, Reader) and reader.stage is Stage.OPEN


async def _cookie(it: Inside, name: str) -> str:
    kept = await it.house.store.login(f"c-{name}")
    assert kept is not None
    return it.house.sessions.cookie(kept, secure=False).partition(";")[0]


async def test_a_node_that_is_not_fresh_says_nothing_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(tmp_path) as it:
        await friends(it.house)
        seq = (await it.house.messages.send("cho", {"text": "missed"})).seq
        mailbox = await it.house.delivery.mailboxes.open("bob")
        catchup = it.house.delivery.catchup
        missed = catchup.at_once(mailbox, seq - 1)
        assert missed is not None and [event.seq for event in missed.events] == [seq]
        monkeypatch.setattr(type(it.house.journal), "fresh", False)
        assert catchup.at_once(mailbox, seq - 1) is None
