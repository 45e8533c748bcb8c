"""An end of a friendship that waits: taken back it has never been, and nothing is lost; else it comes, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


@pytest.mark.parametrize("turns", range(6))
async def test_an_end_taken_back_while_the_server_begins_to_stop_does_not_come(turns: int) -> None:
    """In whichever turn: it has begun, or it never will."""
    ended: list[str] = []

    async def end(user_id: str, other_id: str) -> None:
        ended.append(other_id)

    waiting = Partings(end)
    waiting.put_off("ann", "bob", 60)
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "parting"]
    await asyncio.sleep(0)
    closing = asyncio.create_task(waiting.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    taken = waiting.take_back("ann", "bob")
    await closing
    await asyncio.wait([task])
    assert ended == ([] if taken else ["bob"])
    assert task.cancelled() is taken and (taken or task.exception() is None)


async def test_an_end_that_is_being_carried_out_is_not_taken_back_and_not_put_off_again() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def end(user_id: str, other_id: str) -> None:
        begun.set()
        await go_on.wait()
        ended.append(other_id)

    waiting = Partings(end)
    waiting.put_off("ann", "bob", 60)
    closing = asyncio.create_task(waiting.close())
    await begun.wait()
    with pytest.raises(Conflict):
        await waiting.keep("ann", "bob")
    waiting.put_off("ann", "bob", 60)
    go_on.set()
    await closing
    assert ended == ["bob"] and waiting.of("ann") == []


async def test_a_server_that_stops_tries_an_end_once_more_and_does_not_wait_for_the_database() -> (
    None
):
    tried: list[str] = []

    async def end(user_id: str, other_id: str) -> None:
        tried.append(other_id)
        raise Unavailable("away", 1.0)

    waiting = Partings(end)
    waiting.put_off("ann", "bob", 60)
    await waiting.close()
    assert tried == ["bob"]


async def test_an_end_that_was_put_off_does_not_end_what_came_after_it(data: Path) -> None:
    """It has been ended meanwhile and asked for anew; or one of the two has left."""
    async with opened(data) as house:
        ann, bob = await befriended(house)
        verbs = house.friendships
        await verbs.end_later(ann.id, bob.id, 60)
        await verbs.unfriend(bob.id, ann.id)
        assert await verbs.befriend(bob.id, ann.id) == "outgoing"
        await verbs.partings.close()
        assert await house.store.relation(bob.id, ann.id) == "outgoing"
        assert await verbs.befriend(ann.id, bob.id) == "friend"
        house.users.begin_leaving(bob.id)
        place = house.journal.head_seq
        await verbs._carry_out(ann.id, bob.id)
        assert house.journal.head_seq == place, "the other's leaving ends it"
        house.users.end_leaving(bob.id)


# Several nodes.


class Wire:
    """What `journal.errands` is to the nodes: each asks all others."""

    def __init__(self) -> None:
        self.nodes: list[Partings] = []

    def others(self, asking: Partings) -> Any:
        async def ask_all(kind: str, fields: Any) -> list[Any]:
            assert kind == partings.KIND
            return [await node.hear(fields) for node in self.nodes if node is not asking]

        return SimpleNamespace(ask_all=ask_all)


@asynccontextmanager
async def nodes(ended: list[str]) -> AsyncIterator[tuple[Partings, Partings]]:
    async def end(user_id: str, other_id: str) -> None:
        ended.append(other_id)

    wire = Wire()
    wire.nodes = [Partings(end), Partings(end)]
    for node in wire.nodes:
        node.others = wire.others(node)
    yield wire.nodes[0], wire.nodes[1]
    for node in wire.nodes:
        await node.close()


async def test_what_waits_at_one_node_is_known_at_all_and_taken_back_at_any() -> None:
    ended: list[str] = []
    async with nodes(ended) as (one, other):
        for taking in (other, one):
            await one.put_off_for_all("ann", "bob", 30)
            for node in (one, other):
                left_s = node.ends_in_s("ann", "bob")
                assert node.of("ann") == ["bob"] and left_s and 25 < left_s <= 30
                assert node.of("bob") == [] and node.ends_in_s("bob", "ann") is None
            await taking.keep("ann", "bob")
            assert one.of("ann") == other.of("ann") == []
        with pytest.raises(Conflict):
            await other.keep("ann", "bob")
    assert ended == []


async def test_an_end_put_off_anew_waits_at_the_node_that_was_asked_last_alone() -> None:
    ended: list[str] = []
    async with nodes(ended) as (one, other):
        await one.put_off_for_all("ann", "bob", 30)
        await other.put_off_for_all("ann", "bob", 50)
        for node in (one, other):
            left_s = node.ends_in_s("ann", "bob")
            assert node.of("ann") == ["bob"] and left_s and left_s > 30
    assert ended == ["bob"]


async def test_an_end_that_has_come_waits_at_no_node_any_more() -> None:
    ended: list[str] = []
    async with nodes(ended) as (one, other):
        await one.put_off_for_all("ann", "bob", 60)
        await one.close()
        assert ended == ["bob"] and other.of("ann") == []


async def test_what_waits_at_a_node_that_is_gone_is_forgotten_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr(partings, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    async with nodes([]) as (one, other):
        await one.put_off_for_all("ann", "bob", 60)
        one.take_back("ann", "bob")
        for clock.now_s, left_s in ((100.0, 60), (159.5, 1), (161.0, 0)):
            assert other.of("ann") == ["bob"] and other.ends_in_s("ann", "bob") == left_s
        clock.now_s = 160.0 + partings.GRACE_S
        assert other.of("ann") == []
