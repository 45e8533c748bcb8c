"""The verbs where two things happen at once, on the real store, journal and delivery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from chatserver.command import demo
from chatserver.command.cli import House, build
from chatserver.command.settings import Settings
from chatserver.core.conversations import Range
from chatserver.core.errors import ChatError, Conflict, NotFound, Unauthenticated, Unavailable
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.journal.contract import Appended

PASSWORD = "correct horse"


def run(
    data: Path, story: Callable[[House], Awaitable[None]], limits: Limits | None = None
) -> None:
    async def tell() -> None:
        house = await build(Settings(data=data, limits=limits or Limits()))
        try:
            async with asyncio.timeout(30):
                await story(house)
        finally:
            await house.close()

    asyncio.run(tell())


async def person(house: House, name: str) -> User:
    fields = {"email": f"{name}@example.com", "password": PASSWORD, "firstName": name}
    return await house.accounts.register(fields, None)


def test_wishes_that_cross_make_one_friendship(data: Path) -> None:
    async def story(house: House) -> None:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        befriend = house.friendships.befriend
        wishes = [befriend(one.id, two.id) for one, two in ((ann, bob), (bob, ann)) * 2]
        # Whose turn comes first is open: one may be told twice that the other has been asked.
        assert set(await asyncio.gather(*wishes)) == {"outgoing", "friend"}
        assert await house.store.relation(ann.id, bob.id) == "friend"
        mailbox = await house.delivery.open(ann.id)
        events, _ = await house.delivery.page(mailbox, 0)
        assert [event.type for event in events] == ["friend", "friend"]

    run(data, story)


def test_a_block_and_a_wish_that_cross_do_not_leave_friends(data: Path) -> None:
    async def story(house: House) -> None:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        verbs = house.friendships
        await verbs.befriend(ann.id, bob.id)
        await asyncio.gather(
            verbs.block(ann.id, bob.id), verbs.befriend(bob.id, ann.id), return_exceptions=True
        )
        assert await house.store.relation(ann.id, bob.id) == "none"
        assert await house.store.blocked(ann.id, bob.id)

    run(data, story)


def test_there_are_so_many_friends_and_no_more(data: Path) -> None:
    async def story(house: House) -> None:
        people = [await person(house, name) for name in ("ann", "bob", "cho", "dee")]
        ann, bob, cho, dee = (one.id for one in people)
        verbs = house.friendships
        for other in (bob, cho):
            await verbs.befriend(other, ann)
            await verbs.befriend(ann, other)
        with pytest.raises(Conflict):
            await verbs.befriend(ann, dee)
        await verbs.befriend(dee, ann)
        with pytest.raises(Conflict):
            await verbs.befriend(ann, dee)
        await verbs.unfriend(bob, ann)
        assert await verbs.befriend(ann, dee) == "friend"

    run(data, story, Limits(friends=2))


def test_messages_submitted_one_after_another_stand_in_that_order(data: Path) -> None:
    async def story(house: House) -> None:
        ann = await person(house, "ann")
        told: dict[int, Appended | Unavailable] = {}
        for n in range(20):
            fields = {"text": str(n), "clientId": f"m{n}"}
            await house.service.submit(ann.id, fields, partial(told.__setitem__, n))
        fields = {"text": "again", "clientId": "m7"}
        again = await house.service.send(ann.id, fields)
        places = [place for place in map(told.get, range(20)) if isinstance(place, Appended)]
        assert [place.seq for place in places] == sorted({place.seq for place in places})
        assert len(places) == 20 and not any(place.duplicate for place in places)
        assert (again.seq, again.duplicate) == (places[7].seq, True)

    run(data, story)


def test_a_message_shows_the_name_and_colour_of_its_moment(data: Path) -> None:
    async def story(house: House) -> None:
        ann = await person(house, "ann")
        given = {"email": "ann@example.com", "password": PASSWORD}
        _, login = await house.accounts.sign_in(given, "here", "")
        shown = []
        for name in ("Ann", "Anna"):
            await house.accounts.change(login, {"firstName": name})
            await house.service.send(ann.id, {"text": "who am I?"})
            page = json.loads(await house.service.history(ann.id, Range()))
            shown.append(page["messages"][-1]["from"]["name"])
        assert shown == ["Ann", "Anna"]

    run(data, story)


def test_signing_in_while_the_password_changes_does_not_outlive_it(data: Path) -> None:
    async def story(house: House) -> None:
        ann = await person(house, "ann")
        given = {"email": "ann@example.com", "password": PASSWORD}
        _, login = await house.accounts.sign_in(given, "here", "")
        matches = house.sessions.password_matches

        async def slow(password: str, phc: str | None) -> bool:
            right = await matches(password, phc)
            house.sessions.password_matches = matches  # type: ignore[method-assign]
            change = {"password": "a better horse", "currentPassword": PASSWORD}
            await house.accounts.change(login, change)
            return right

        house.sessions.password_matches = slow  # type: ignore[method-assign]
        with pytest.raises(Unauthenticated):
            await house.accounts.sign_in(given, "here", "")
        assert [one.id for one in await house.sessions.listed(ann.id, "cookie")] == [login.id]

    run(data, story)


def test_nothing_is_taken_from_somebody_who_is_leaving(data: Path) -> None:
    async def story(house: House) -> None:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        await house.friendships.befriend(ann.id, bob.id)
        await house.friendships.befriend(bob.id, ann.id)
        house.service.begin_leaving(ann.id)
        with pytest.raises(Unauthenticated):
            await house.service.send(ann.id, {"text": "one more"})
        with pytest.raises(NotFound):
            await house.friendships.block(bob.id, ann.id)
        house.service.end_leaving(ann.id)
        await house.service.send(ann.id, {"text": "still here"})

    run(data, story)


def test_a_store_that_cannot_be_used_is_told_as_such(data: Path) -> None:
    async def story(house: House) -> None:
        ann = await person(house, "ann")
        await house.journal.close()
        with pytest.raises(ChatError) as refusal:
            await house.service.send(ann.id, {"text": "hi"})
        assert refusal.value.code == "unavailable"

    run(data, story)


def test_making_the_demo_twice_respects_what_people_have_changed(data: Path) -> None:
    async def story(house: House) -> None:
        await demo.add(house.store, house.accounts, house.friendships)
        ann = await house.store.account_by_email("ann@example.com")
        bob = await house.store.account_by_email("bob@example.com")
        assert ann is not None and bob is not None
        await house.friendships.unfriend(ann.user.id, bob.user.id)
        await demo.add(house.store, house.accounts, house.friendships)
        assert await house.store.relation(ann.user.id, bob.user.id) == "none"

    run(data, story)
