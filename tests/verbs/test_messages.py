"""Writing and typing: to whom, how often, and what a repeat costs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chatserver.core.errors import Forbidden, InvalidField, RateLimited, Unavailable
from chatserver.core.limits import Limits
from tests.delivery.kit import Probe
from tests.verbs.test_accounts import opened, person

SLOW = Limits(send_rate=0.001, send_burst=2)


async def test_only_friends_hear_that_somebody_is_typing(data: Path) -> None:
    async with opened(data) as house:
        ann, bob, cho = [await person(house, name) for name in ("ann", "bob", "cho")]
        await house.friendships.befriend(ann.id, bob.id)
        await house.friendships.befriend(bob.id, ann.id)
        probes = {}
        for user in (bob, cho):
            mailbox = await house.delivery.mailboxes.open(user.id)
            probes[user.id] = Probe(house.delivery.readers, mailbox)
            house.delivery.readers.attach(probes[user.id])
        await house.messages.typing(ann.id, {"to": bob.id})
        await house.messages.typing(ann.id, {})
        with pytest.raises(Forbidden):
            await house.messages.typing(ann.id, {"to": cho.id})
        with pytest.raises(InvalidField):
            await house.messages.typing(ann.id, {"to": ann.id})
        said = [json.loads(signal.payload) for signal in probes[bob.id].signals]
        assert [one["to"] for one in said if one["type"] == "typing"] == [bob.id, None]
        assert [s for s in probes[cho.id].signals if s.type == "typing"] == []


async def test_typing_too_often_is_heard_by_nobody_and_refused_to_nobody(data: Path) -> None:
    async with opened(data, SLOW) as house:
        ann = await person(house, "ann")
        published: list[object] = []
        house.messages._signals.publish = lambda *a: published.append(a)  # type: ignore[method-assign]
        for _ in range(5):
            await house.messages.typing(ann.id, {})
        assert len(published) == SLOW.send_burst


async def test_a_repeat_costs_nothing_whether_it_is_under_way_or_stored(data: Path) -> None:
    async with opened(data, SLOW) as house:
        ann = await person(house, "ann")
        fields = {"text": "hi", "clientId": "c1"}
        places = await asyncio.gather(*(house.messages.send(ann.id, fields) for _ in range(5)))
        for _ in range(5):
            places.append(await house.messages.send(ann.id, fields))
        assert len({place.seq for place in places}) == 1
        assert sum(not place.duplicate for place in places) == 1
        assert not (await house.messages.send(ann.id, {"text": "another"})).duplicate
        with pytest.raises(RateLimited) as refused:
            await house.messages.send(ann.id, {"text": "one too many"})
        assert refused.value.retry_after_s > 0
        assert (await house.messages.send(ann.id, fields)).duplicate, "even then"


async def test_a_repeat_to_a_former_friend_gets_its_place_for_nothing_and_a_new_message_does_not(
    data: Path,
) -> None:
    async with opened(data, SLOW) as house:
        ann, bob = [await person(house, name) for name in ("ann", "bob")]
        await house.friendships.befriend(ann.id, bob.id)
        await house.friendships.befriend(bob.id, ann.id)
        fields = {"text": "hi", "to": bob.id, "clientId": "c1"}
        first = await house.messages.send(ann.id, fields)
        await house.friendships.unfriend(bob.id, ann.id)
        assert (await house.messages.send(ann.id, fields)).seq == first.seq
        with pytest.raises(Forbidden):
            await house.messages.send(ann.id, {"text": "hi", "to": bob.id})


async def test_who_cannot_be_answered_with_a_place_hears_why_and_can_say_it_again(
    data: Path,
) -> None:
    async with opened(data, SLOW) as house:
        ann = await person(house, "ann")
        fields = {"text": "hi", "clientId": "c1"}
        write = house.store.log.write  # type: ignore[attr-defined]

        async def away(entries: object) -> None:
            house.store.log.write = write  # type: ignore[attr-defined]
            raise Unavailable("The disk is full.", 1.0)

        house.store.log.write = away  # type: ignore[attr-defined]
        with pytest.raises(Unavailable, match="disk"):
            await house.messages.send(ann.id, fields)
        measured = house.messages.append_s
        before = sum(measured.counts)
        assert not (await house.messages.send(ann.id, fields)).duplicate
        assert sum(measured.counts) == before + 1
