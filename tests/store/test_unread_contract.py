"""Unread counts, on every backend: kept as messages come and positions move, exact up to the cap."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatserver.core.conversations import BROADCASTS, Conversation, Direct
from chatserver.store.mongo import history as mongo_history
from chatserver.store.mongo import unread as mongo_unread
from chatserver.store.sqlite import unread as sqlite_unread
from tests.store.kit import Home, MongoHome, World, opened


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap that a test reaches, and a fold every few messages."""
    for module in (sqlite_unread, mongo_unread, mongo_history):
        monkeypatch.setattr(module, "MAX_UNREAD", 5)
    monkeypatch.setattr(mongo_unread, "FOLD_EVENTS", 3)
    monkeypatch.setattr(mongo_unread, "KEEP_BROADCASTS", 1)
    monkeypatch.setattr(mongo_unread, "MOVED_FRIENDS", 1)


async def _unread(world: World, who: str) -> dict[Conversation, int]:
    return dict((await world.store.read_state(who)).unread)


async def _several(world: World, count: int, to: str | None = "bob") -> list[int]:
    return [(await world.say("ann", str(n), to)).seq for n in range(count)]


async def test_messages_are_counted_up_to_the_cap_and_from_there_when_read(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        seqs = []
        for n in range(1, 9):
            seqs += await _several(world, 1)
            assert await _unread(world, "bob") == {Direct("ann"): min(n, 5)}
        for left, seq in zip(range(7, -1, -1), seqs, strict=True):
            await world.read("bob", seq, "ann")
            assert await _unread(world, "bob") == ({Direct("ann"): min(left, 5)} if left else {})
        assert await _unread(world, "ann") == {}
    async with opened(home) as world:
        assert await _unread(world, "bob") == {}
        await _several(world, 2)
        assert await _unread(world, "bob") == {Direct("ann"): 2}


async def test_a_repeat_and_another_kind_of_event_are_not_counted(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        for _ in range(3):
            await world.say("ann", "once", "bob", client_id="c")
        await world.read("ann", world.journal.head_seq, "bob")
        await world.rename("ann", "Ann")
        assert await _unread(world, "bob") == {Direct("ann"): 1}


async def test_one_batch_counts_in_the_order_of_its_events(home: Home) -> None:
    """A position that moves between two messages written together knows only the first."""
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        before = (await _several(world, 1))[0]
        batches = len(world.batches)
        await asyncio.gather(
            world.say("ann", "2", "bob"),
            world.read("bob", before, "ann"),
            world.say("ann", "3", "bob"),
        )
        assert len(world.batches) == batches + 1
        assert await _unread(world, "bob") == {Direct("ann"): 2}


async def test_a_friendship_that_begins_again_has_nothing_unread(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await _several(world, 2)
        await world.befriend("ann", "bob")
        assert await _unread(world, "bob") == {}
        await _several(world, 4)
        await world.befriend("ann", "bob")  # which they are already
        assert await _unread(world, "bob") == {Direct("ann"): 4}
        await world.relate("none", "ann", "bob")
        assert await _unread(world, "bob") == {}
        await world.relate("asked", "ann", "bob")
        await _several(world, 1)
        await world.befriend("ann", "bob")
        assert await _unread(world, "bob") == {}
        await _several(world, 1)
        assert await _unread(world, "bob") == {Direct("ann"): 1}


async def test_broadcasts_of_all_friends_are_one_number(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.befriend("cho", "bob")
        seqs = await _several(world, 3, to=None)
        await world.say("cho", "x")
        await world.say("bob", "my own")
        assert await _unread(world, "bob") == {BROADCASTS: 4}
        await world.read("bob", seqs[1])
        assert await _unread(world, "bob") == {BROADCASTS: 2}
        await _several(world, 9, to=None)
        assert await _unread(world, "bob") == {BROADCASTS: 5}


async def test_unread_broadcasts_follow_whoever_becomes_and_stays_a_friend(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.say("cho", "before")
        await _several(world, 2, to=None)
        assert await _unread(world, "bob") == {BROADCASTS: 2}
        await world.befriend("cho", "bob")
        await world.say("cho", "after")
        assert await _unread(world, "bob") == {BROADCASTS: 3}
        await world.relate("none", "ann", "bob")
        assert await _unread(world, "bob") == {BROADCASTS: 1}
        await world.befriend("ann", "bob")
        await _several(world, 7, to=None)
        assert await _unread(world, "bob") == {BROADCASTS: 5}
        assert await _unread(world, "bob") == {BROADCASTS: 5}
        await world.end("ann", "bob")
        assert await _unread(world, "bob") == {BROADCASTS: 1}
        await world.read("bob", world.journal.head_seq)
        assert await _unread(world, "bob") == {}


async def test_broadcasts_that_were_counted_are_not_read_again(
    mongo: MongoHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite counts them by an index, and keeps nothing.
    spans = []
    looks = mongo_history._broadcasts

    async def look(db: Any, view: Any, span: Any, people: Any) -> Any:
        spans.append(span)
        return await looks(db, view, span, people)

    monkeypatch.setattr(mongo_history, "_broadcasts", look)
    async with opened(mongo) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await _several(world, 3, to=None)
        assert await _unread(world, "bob") == {BROADCASTS: 3}
        counted = world.journal.head_seq
        await _several(world, 9, to=None)
        assert await _unread(world, "bob") == {BROADCASTS: 5}
        assert (spans[-1].after, spans[-1].limit) == (counted, 2)
        looked = len(spans)
        assert await _unread(world, "bob") == {BROADCASTS: 5}
        assert len(spans) == looked, "at the cap nothing is read"
