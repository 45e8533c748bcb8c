"""The verbs where two things happen at once, on the real store, journal and delivery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from chatserver.command import demo
from chatserver.command.build import build
from chatserver.command.settings import Settings
from chatserver.core.conversations import Direct, Range
from chatserver.core.errors import (
    BadRequest,
    ChatError,
    Conflict,
    Forbidden,
    InvalidField,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.limits import Limits
from chatserver.core.people import Login, User
from chatserver.http.house import House
from chatserver.journal.contract import Appended
from chatserver.store.sqlite import friendships

PASSWORD = "correct horse"


@asynccontextmanager
async def opened(data: Path, limits: Limits | None = None) -> AsyncIterator[House]:
    """All of the server but its HTTP, on an empty store."""
    house = await build(Settings(data=data, limits=limits or Limits()))
    try:
        async with asyncio.timeout(30):
            yield house
    finally:
        await house.close()


async def person(house: House, name: str) -> User:
    fields = {"email": f"{name}@example.com", "password": PASSWORD, "firstName": name}
    return await house.accounts.register(fields, None)


async def test_wishes_that_cross_make_one_friendship(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        befriend = house.friendships.befriend
        wishes = [befriend(one.id, two.id) for one, two in ((ann, bob), (bob, ann)) * 2]
        # Whose turn comes first is open: one may be told twice that the other has been asked.
        assert set(await asyncio.gather(*wishes)) == {"outgoing", "friend"}
        assert await house.store.relation(ann.id, bob.id) == "friend"
        mailbox = await house.delivery.mailboxes.open(ann.id)
        events, _ = await house.delivery.catchup.page(mailbox, 0)
        assert [event.type for event in events] == ["friend", "friend"]


async def test_a_block_and_a_wish_that_cross_do_not_leave_friends(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        verbs = house.friendships
        await verbs.befriend(ann.id, bob.id)
        await asyncio.gather(
            verbs.block(ann.id, bob.id), verbs.befriend(bob.id, ann.id), return_exceptions=True
        )
        assert await house.store.relation(ann.id, bob.id) == "none"
        assert await house.store.blocked(ann.id, bob.id)


async def test_there_are_so_many_friends_and_no_more(data: Path) -> None:
    async with opened(data, Limits(friends=2)) as house:
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


async def test_messages_submitted_one_after_another_stand_in_that_order(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        answers: dict[int, Appended | Unavailable] = {}
        for n in range(20):
            fields = {"text": str(n), "clientId": f"m{n}"}
            await house.messages.submit(ann.id, fields, partial(answers.__setitem__, n))
        fields = {"text": "again", "clientId": "m7"}
        again = await house.messages.send(ann.id, fields)
        places = [place for place in map(answers.get, range(20)) if isinstance(place, Appended)]
        assert [place.seq for place in places] == sorted({place.seq for place in places})
        assert len(places) == 20 and not any(place.duplicate for place in places)
        assert (again.seq, again.duplicate) == (places[7].seq, True)


async def test_a_message_shows_the_name_and_colour_of_its_moment(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        given = {"email": "ann@example.com", "password": PASSWORD}
        _, login = await house.accounts.sign_in(given, "here", "")
        shown = []
        for name in ("Ann", "Anna"):
            await house.accounts.change(login, {"firstName": name})
            await house.messages.send(ann.id, {"text": "who am I?"})
            page = json.loads(await house.messages.history(ann.id, Range()))
            shown.append(page["messages"][-1]["from"]["name"])
        assert shown == ["Ann", "Anna"]


async def test_signing_in_while_the_password_changes_does_not_outlive_it(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        given = {"email": "ann@example.com", "password": PASSWORD}
        _, login = await house.accounts.sign_in(given, "here", "")
        matches = house.passwords.matches

        async def slow(password: str, phc: str | None, payer: str) -> bool:
            right = await matches(password, phc, payer)
            house.passwords.matches = matches  # type: ignore[method-assign]
            change = {"password": "a better horse", "currentPassword": PASSWORD}
            await house.accounts.change(login, change)
            return right

        house.passwords.matches = slow  # type: ignore[method-assign]
        with pytest.raises(Unauthenticated):
            await house.accounts.sign_in(given, "here", "")
        assert [one.id for one in await house.sessions.listed(ann.id, "cookie")] == [login.id]


async def test_nothing_is_taken_from_somebody_who_is_leaving(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        await house.friendships.befriend(ann.id, bob.id)
        await house.friendships.befriend(bob.id, ann.id)
        house.users.begin_leaving(ann.id)
        with pytest.raises(Unauthenticated):
            await house.messages.send(ann.id, {"text": "one more"})
        with pytest.raises(NotFound):
            await house.friendships.block(bob.id, ann.id)
        house.users.end_leaving(ann.id)
        await house.messages.send(ann.id, {"text": "still here"})


async def test_leaving_withdraws_every_request_and_not_only_those_that_are_listed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(friendships, "MAX_INCOMING", 2)
    async with opened(data) as house:
        ann, *askers = [await person(house, name) for name in ("ann", "bob", "cho", "dee", "eve")]
        for asker in askers:
            await house.friendships.befriend(asker.id, ann.id)
        await house.accounts.leave(
            await house.sessions.begin(ann.id, 0, ""), {"password": PASSWORD}
        )
        for asker in askers:
            assert not (await house.store.friends(asker.id)).outgoing
            mailbox = await house.delivery.mailboxes.open(asker.id)
            events, _ = await house.delivery.catchup.page(mailbox, 0)
            told = [event for event in events if event.type == "friend"]
            assert json.loads(told[-1].payload)["relation"] == "none"


async def befriended(house: House) -> tuple[User, User]:
    ann, bob = await person(house, "ann"), await person(house, "bob")
    await house.friendships.befriend(ann.id, bob.id)
    await house.friendships.befriend(bob.id, ann.id)
    return ann, bob


def leaves_while_looked_up(house: House, login: Login) -> None:
    """From now on whoever has `login` ends their account just after somebody's relation was looked up."""
    relation = house.store.relation

    async def look_slowly(viewer: str, other: str) -> str:
        found = await relation(viewer, other)
        await house.accounts.leave(login, {"password": PASSWORD})
        return found

    house.store.relation = look_slowly  # type: ignore[method-assign]


async def test_a_message_under_way_does_not_outlive_its_author(data: Path) -> None:
    """Whether they are friends is looked up; meanwhile the author's account ends."""
    async with opened(data) as house:
        ann, bob = await befriended(house)
        login = await house.sessions.begin(ann.id, 0, "")
        leaves_while_looked_up(house, login)
        with pytest.raises(Unauthenticated):
            await house.messages.send(ann.id, {"text": "from beyond", "to": bob.id})
        page = json.loads(await house.messages.history(bob.id, Range(Direct(ann.id))))
        assert page["messages"] == []


async def test_a_wish_under_way_makes_no_friend_of_somebody_who_has_left(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        await house.friendships.befriend(ann.id, bob.id)
        login = await house.sessions.begin(ann.id, 0, "")
        leaves_while_looked_up(house, login)
        with pytest.raises(NotFound):
            await house.friendships.befriend(bob.id, ann.id)
        assert (await house.friendships.friends(bob.id))["friends"] == []


async def test_a_password_is_not_changed_by_a_login_that_has_ended_meanwhile(data: Path) -> None:
    """A thief's request that was waiting for its hash when the owner signed it out."""
    async with opened(data) as house:
        await person(house, "ann")
        given = {"email": "ann@example.com", "password": PASSWORD}
        _, login = await house.accounts.sign_in(given, "here", "")
        hash_password = house.passwords.hash

        async def hash_slowly(password: str, payer: str, line: int = 0) -> str:
            phc = await hash_password(password, payer, line)
            await house.sessions.end(login)
            return phc

        house.passwords.hash = hash_slowly  # type: ignore[method-assign]
        change = {"password": "a thief's horse", "currentPassword": PASSWORD}
        with pytest.raises(Unauthenticated):
            await house.accounts.change(login, change)
        house.passwords.hash = hash_password  # type: ignore[method-assign]
        await house.accounts.sign_in(given, "here", "")


async def test_an_account_is_not_deleted_by_a_login_that_has_ended_meanwhile(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        matches = house.passwords.matches

        async def match_slowly(password: str, phc: str | None, payer: str) -> bool:
            right = await matches(password, phc, payer)
            await house.sessions.end(login)
            return right

        house.passwords.matches = match_slowly  # type: ignore[method-assign]
        with pytest.raises(Unauthenticated):
            await house.accounts.leave(login, {"password": PASSWORD})
        assert await house.store.account(ann.id) is not None


async def test_name_and_password_change_together_or_not_at_all(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        change = {"firstName": "Anna", "password": "a better horse", "currentPassword": PASSWORD}
        changed = await house.accounts.change(login, change)
        account = await house.store.account(ann.id)
        assert account is not None
        assert changed["firstName"] == account.user.first_name == "Anna"
        assert account.generation > 0 and house.sessions.is_current(login)
        await house.journal.close()
        again = {"firstName": "Eve", "password": PASSWORD, "currentPassword": "a better horse"}
        with pytest.raises(Unavailable):
            await house.accounts.change(login, again)
        assert await house.store.account(ann.id) == account


async def test_a_store_that_cannot_be_used_is_answered_as_such(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        await house.journal.close()
        with pytest.raises(ChatError) as refusal:
            await house.messages.send(ann.id, {"text": "hi"})
        assert refusal.value.code == "unavailable"


async def test_making_the_demo_twice_respects_what_people_have_changed(data: Path) -> None:
    async with opened(data) as house:
        await demo.add(house.store, house.accounts, house.friendships)
        ann = await house.store.account_by_email("ann@example.com")
        bob = await house.store.account_by_email("bob@example.com")
        assert ann is not None and bob is not None
        await house.friendships.unfriend(ann.user.id, bob.user.id)
        await demo.add(house.store, house.accounts, house.friendships)
        assert await house.store.relation(ann.user.id, bob.user.id) == "none"


async def test_registering_with_what_makes_no_sense_costs_nothing(data: Path) -> None:
    async with opened(data, Limits(register_burst=1, register_rate=0.001)) as house:
        fields = {"email": "ann@example.com", "password": PASSWORD, "firstName": "Ann"}
        for name in fields:
            with pytest.raises(InvalidField) as refused:
                await house.accounts.register({**fields, name: ""}, "here")
            assert refused.value.field == name
        await house.accounts.register(fields, "here")
        with pytest.raises(RateLimited):
            await house.accounts.register(fields, "here")


async def test_changes_of_one_profile_at_once_do_not_undo_each_other(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        changes = [{"lastName": "Berg"}, *({"firstName": f"Ann{n}"} for n in range(8))]
        await asyncio.gather(*(house.accounts.change(login, change) for change in changes))
        me = await house.accounts.me(ann.id)
        assert (me["firstName"], me["lastName"]) == ("Ann7", "Berg")


async def test_a_change_that_is_none_or_of_nobody_is_refused(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        for nothing in ({}, {"email": "eve@example.com"}, {"currentPassword": PASSWORD}):
            with pytest.raises(BadRequest, match="Nothing to change"):
                await house.accounts.change(login, nothing)
        for without in (None, 1, "x" * 10_000):
            with pytest.raises(InvalidField) as refused:
                change = {"password": "a better horse", "currentPassword": without}
                await house.accounts.change(login, change)
            assert refused.value.field == "currentPassword"
        with pytest.raises(Forbidden):
            change = {"password": "a better horse", "currentPassword": "a wrong horse"}
            await house.accounts.change(login, change)
        with pytest.raises(Unauthenticated):
            await house.accounts.me("nobody")


async def test_a_user_sees_their_tokens_and_browsers_and_no_secret(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        phone, desk = [await house.sessions.begin(ann.id, 0, name) for name in ("phone", "desk")]
        made = await house.accounts.issue_token(phone, {"label": "script", "expiresIn": 60})
        await house.accounts.issue_token(phone, {"label": "for good"})
        listed = {one["label"]: one for one in await house.accounts.tokens(ann.id)}
        assert listed["script"]["id"] == made["id"]
        assert listed["script"]["expiresAt"] == listed["script"]["createdAt"] + 60_000
        assert listed["for good"]["expiresAt"] is None and len(listed) == 2
        assert made["token"] not in json.dumps(list(listed.values()))
        browsers = {one["userAgent"]: one for one in await house.accounts.devices(desk)}
        assert {name: one["current"] for name, one in browsers.items()} == {
            "phone": False,
            "desk": True,
        }
        assert await house.accounts.tokens(bob.id) == []
        for life_s in (0, -1, 10**12, "60"):
            with pytest.raises(InvalidField) as refused:
                await house.accounts.issue_token(phone, {"label": "x", "expiresIn": life_s})
            assert refused.value.field == "expiresIn"
