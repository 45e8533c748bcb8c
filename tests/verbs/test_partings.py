"""An end of a friendship that waits: taken back it has never been, and nothing is lost; else it comes, whatever happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chatserver.core.conversations import Direct, Range
from chatserver.core.errors import Conflict, RateLimited, Unavailable
from chatserver.core.people import User
from chatserver.http.house import House
from chatserver.verbs import partings
from chatserver.verbs.partings import PARTINGS_OF_EACH, Partings
from tests.verbs.test_accounts import befriended, opened


async def _friend_events(house: House, who: User) -> list[str]:
    mailbox = await house.delivery.mailboxes.open(who.id)
    events, _ = await house.delivery.catchup.page(mailbox, 0)
    found = [json.loads(event.payload) for event in (*events, *mailbox.after(0))]
    return [event["relation"] for event in found if event["type"] == "friend"]


async def _ends_at(house: House, who: User) -> list[bool]:
    return ["endsIn" in row for row in (await house.friendships.friends(who.id))["friends"]]


async def test_an_end_that_is_taken_back_has_never_been(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await befriended(house)
        verbs = house.friendships
        await house.messages.send(bob.id, {"text": "before", "to": ann.id})
        for keeps in (False, True):
            assert await verbs.end_later(ann.id, bob.id, 10)
            assert (await _ends_at(house, ann), await _ends_at(house, bob)) == ([True], [False])
            await house.messages.send(bob.id, {"text": "meanwhile", "to": ann.id})
            if keeps:
                await verbs.partings.keep(ann.id, bob.id)
            else:
                assert await verbs.befriend(ann.id, bob.id) == "friend"
            assert await _ends_at(house, ann) == [False]
            tasks = [task for task in asyncio.all_tasks() if task.get_name() == "parting"]
            assert all(task.cancelling() for task in tasks)
        # Not the other's to take back.
        assert await verbs.end_later(ann.id, bob.id, 10)
        with pytest.raises(Conflict):
            await verbs.partings.keep(bob.id, ann.id)
        await verbs.partings.keep(ann.id, bob.id)
        page = json.loads(await house.messages.history(ann.id, Range(Direct(bob.id))))
        assert [one["text"] for one in page["messages"]] == ["before", "meanwhile", "meanwhile"]
    async with opened(data) as house:
        assert await _friend_events(house, ann) == ["outgoing", "friend"]


async def test_an_end_comes_when_its_time_has_come(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partings, "GRACE_S", 0.0)
    async with opened(data) as house:
        ann, bob = await befriended(house)
        verbs = house.friendships
        verbs.partings.put_off(ann.id, bob.id, 0.01)
        (waiting,) = [task for task in asyncio.all_tasks() if task.get_name() == "parting"]
        await waiting
        assert await _friend_events(house, bob) == ["incoming", "friend", "none"]
        with pytest.raises(Conflict):
            await verbs.partings.keep(ann.id, bob.id)
        assert await verbs.befriend(ann.id, bob.id) == "outgoing"
        # What is no friendship ends at once.
        assert not await verbs.end_later(ann.id, bob.id, 10)
        assert await house.store.relation(ann.id, bob.id) == "none"


async def test_a_server_that_stops_carries_out_what_waits(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await befriended(house)
        assert await house.friendships.end_later(ann.id, bob.id, 60)
    async with opened(data) as house:
        assert await house.store.relation(ann.id, bob.id) == "none"


async def test_an_end_at_once_leaves_none_that_waits(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await befriended(house)
        verbs = house.friendships
        await verbs.end_later(ann.id, bob.id, 60)
        await verbs.unfriend(ann.id, bob.id)
        for one, other in ((ann, bob), (bob, ann)):
            await verbs.befriend(one.id, other.id)
    async with opened(data) as house:
        assert await house.store.relation(ann.id, bob.id) == "friend"


async def test_an_end_that_fails_is_tried_again_and_no_more_than_so_many_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partings, "GRACE_S", 0.0)
    monkeypatch.setattr(partings, "AGAIN_S", 0.0)
    tried: list[str] = []
    done = asyncio.Event()

    async def end(user_id: str, other_id: str) -> None:
        tried.append(other_id)
        if len(tried) < 3:
            raise Unavailable("away", 1.0)
        done.set()

    waiting = Partings(end)
    waiting.put_off("ann", "bob", 0.0)
    await done.wait()
    assert tried == ["bob"] * 3
    for n in range(PARTINGS_OF_EACH):
        waiting.put_off("ann", f"u{n}", 60)
    waiting.put_off("ann", "u0", 60)
    with pytest.raises(RateLimited):
        waiting.put_off("ann", "one more", 60)
    assert waiting.take_back("ann", "u1")
    waiting.put_off("ann", "one more", 60)
    await waiting.close()
    assert sorted(tried[3:]) == sorted(
        {f"u{n}" for n in range(PARTINGS_OF_EACH)} - {"u1"} | {"one more"}
    )
