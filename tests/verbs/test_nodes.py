"""Two nodes over one order and one store: what one says, the other keeps to, however far it lags behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.conversations import Range
from chatserver.core.errors import ChatError, RateLimited, Unauthenticated, Unavailable
from chatserver.core.limits import Limits
from chatserver.http.house import House
from chatserver.store import behind
from tests.support.houses import Nodes, two_houses
from tests.support.logins import known, resolve

FREE = Limits(meter=False)


async def people(nodes: Nodes, *names: str) -> list[str]:
    """The ids of new accounts with these first names."""
    found = []
    for name in names:
        fields = {"email": f"{name}@example.com", "password": "correct horse", "firstName": name}
        found.append((await nodes.one.accounts.register(fields, None)).id)
    return found


@asynccontextmanager
async def friends(folder: Path, limits: Limits = FREE) -> AsyncIterator[tuple[Nodes, str, str]]:
    """Two nodes, and two friends."""
    async with two_houses(folder, limits) as nodes:
        ann, bob = await people(nodes, "Ann", "Bob")
        await nodes.one.friendships.befriend(ann, bob)
        await nodes.other.friendships.befriend(bob, ann)
        yield nodes, ann, bob


async def say(house: House, user_id: str, text: str, **more: str) -> int:
    return (await house.messages.send(user_id, {"text": text, **more})).seq


async def texts(house: House, user_id: str) -> list[str]:
    page = json.loads(await house.messages.history(user_id, Range()))
    return [message["text"] for message in page["messages"]]


# Guards.


async def test_two_nodes_that_change_one_pair_at_once_agree(data: Path) -> None:
    """200 rounds, each of two verbs about one pair at two nodes at once; then both ask both nodes and the store."""
    rng = random.Random(12)
    async with two_houses(data, FREE) as nodes:
        ann, bob = await people(nodes, "Ann", "Bob")
        for lap in range(200):
            nodes.stream.lag = rng.randrange(4)
            first = _verb(rng, nodes.one, ann, bob)
            second = _verb(rng, nodes.other, bob, ann)
            await asyncio.gather(_refused_or_done(first), _refused_or_done(second))
            await _agree(nodes, ann, bob, f"round {lap}")


def _verb(rng: random.Random, house: House, user_id: str, other_id: str) -> Awaitable[Any]:
    verbs = house.friendships
    verb = rng.choice((verbs.befriend, verbs.befriend, verbs.unfriend, verbs.block, verbs.unblock))
    return verb(user_id, other_id)


async def _refused_or_done(verb: Awaitable[Any]) -> None:
    try:
        await verb
    except Unavailable:
        raise
    except ChatError:
        pass  # blocked, or blocking


MIRRORED = {"none": "none", "friend": "friend", "incoming": "outgoing", "outgoing": "incoming"}


async def _agree(nodes: Nodes, ann: str, bob: str, when: str) -> None:
    store = nodes.store
    relation = await store.relation(ann, bob)
    assert MIRRORED[relation] == await store.relation(bob, ann), when
    blocked = await store.blocked(ann, bob) or await store.blocked(bob, ann)
    assert not (blocked and relation != "none"), f"{when}: {relation} over a block"
    told = {ann: "none", bob: "none"}
    for entry in nodes.stream.entries:
        for event in entry.events:
            if event.type == "friend":
                told[event.actor] = json.loads(event.payload)["relation"]
    assert told == {ann: relation, bob: MIRRORED[relation]}, when
    for house in (nodes.one, nodes.other):
        seen = await house.friendships.friends(ann)
        assert [each["id"] for each in seen["friends"]] == ([bob] if relation == "friend" else [])


async def test_of_two_profiles_given_at_once_at_two_nodes_neither_undoes_the_other(
    data: Path,
) -> None:
    async with two_houses(data, FREE) as nodes:
        (ann,) = await people(nodes, "Ann")
        login = await nodes.one.sessions.begin(ann, 0, "")
        await asyncio.gather(
            nodes.one.accounts.change(login, {"firstName": "Anna"}),
            nodes.other.accounts.change(login, {"lastName": "Berg"}),
        )
        for house in (nodes.one, nodes.other):
            me = await house.accounts.me(ann)
            assert (me["firstName"], me["lastName"]) == ("Anna", "Berg")
            assert (await house.users.user(ann)).name == "Anna Berg"


# R1: what was followed is shown.


@pytest.mark.parametrize("follows", [True, False], ids=["followed there", "not followed there"])
async def test_what_was_written_at_one_node_is_in_the_history_at_the_other(
    data: Path, follows: bool
) -> None:
    async with friends(data) as (nodes, ann, bob):
        nodes.stream.held = True
        nodes.other_node.held = not follows
        await say(nodes.one, ann, "hello")
        asked = asyncio.create_task(texts(nodes.other, bob))
        await nodes.settle()
        assert not asked.done(), "answered from a store that does not show it"
        await nodes.stream.show()
        nodes.stream.held = False
        nodes.other_node.release()
        assert await asked == ["hello"]


async def test_a_snapshot_that_waits_too_long_is_answered_as_of_before(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind, "NEWEST_S", 0.01)
    async with friends(data) as (nodes, ann, bob):
        shown_seq = nodes.stream.shown_seq
        nodes.stream.held = nodes.other_node.held = True
        seq = await say(nodes.one, ann, "hello")
        page = json.loads(await nodes.other.messages.history(bob, Range()))
        assert page["messages"] == [] and page["seq"] == shown_seq < seq


async def test_a_message_before_a_friendship_is_not_for_who_reads_a_store_that_is_ahead(
    data: Path,
) -> None:
    """The store shows a friendship that this node has not followed: what stands before it is not for the new friend."""
    async with two_houses(data, FREE) as nodes:
        ann, bob = await people(nodes, "Ann", "Bob")
        await nodes.one.friendships.befriend(ann, bob)
        nodes.other_node.held = nodes.other_node.silent = True
        before = await say(nodes.one, ann, "before")
        await nodes.one.friendships.befriend(bob, ann)
        opening = asyncio.create_task(nodes.other.delivery.mailboxes.open(bob))
        await nodes.settle()
        nodes.other_node.release()
        mailbox = await opening
        assert ann in mailbox.friends
        assert before not in [event.seq for event in mailbox.events]


async def test_an_end_that_the_store_shows_late_is_kept_to_by_a_mailbox_opened_meanwhile(
    data: Path,
) -> None:
    async with friends(data) as (nodes, ann, bob):
        nodes.stream.held = True
        ending = asyncio.create_task(nodes.one.friendships.unfriend(ann, bob))
        await nodes.until_followed()
        opening = asyncio.create_task(nodes.other.delivery.mailboxes.open(bob))
        await nodes.settle()
        nodes.stream.held = False
        await nodes.stream.show()
        await ending
        mailbox = await opening
        assert mailbox.friends == {}
        await say(nodes.one, ann, "not for Bob any more")
        await nodes.until_followed()
        assert not [event for event in mailbox.events if event.type == "message"]


async def test_a_cursor_of_a_node_that_is_ahead_is_waited_for(data: Path) -> None:
    async with friends(data) as (nodes, ann, bob):
        mailbox = await nodes.other.delivery.mailboxes.open(bob)
        nodes.other_node.held = nodes.other_node.silent = True
        seq = await say(nodes.one, ann, "hello")
        asked = asyncio.create_task(nodes.other.delivery.catchup.missed(mailbox, seq))
        await nodes.settle()
        assert not asked.done()
        nodes.other_node.release()
        assert (await asked).reason is None
        reason = (await nodes.other.delivery.catchup.missed(mailbox, seq + 1_000_000_000)).reason
        assert reason == "beyond the head"


async def test_what_was_read_at_a_node_that_is_behind_counts_whole(data: Path) -> None:
    async with friends(data) as (nodes, ann, bob):
        await nodes.other.delivery.mailboxes.open(bob)
        nodes.other_node.held = nodes.other_node.silent = True
        seq = await say(nodes.one, ann, "hello")
        reading = asyncio.create_task(nodes.other.reads.read(bob, {"upTo": seq}))
        await nodes.settle()
        nodes.other_node.silent = False
        nodes.other_node.release()
        await reading
        state = await nodes.one.reads.read_state(bob)
        assert state["read"] == [{"with": None, "upTo": seq}]
        # And a smaller one at the first node, which has followed it, changes nothing.
        await nodes.one.reads.read(bob, {"upTo": seq - 1})
        assert (await nodes.one.reads.read_state(bob))["read"][0]["upTo"] == seq


# R2: the next request, on every node.


async def test_a_login_that_ends_at_one_node_ends_at_the_other_before_it_is_answered(
    data: Path,
) -> None:
    async with two_houses(data, FREE) as nodes:
        (ann,) = await people(nodes, "Ann")
        login = await nodes.one.sessions.begin(ann, 0, "")
        cookie = nodes.one.sessions.cookie(login, secure=False).partition(";")[0]
        assert (await resolve(nodes.other.sessions, cookie, None)).id == login.id
        nodes.other_node.held = True
        ending = asyncio.create_task(nodes.one.accounts.sign_out(login))
        await nodes.settle()
        assert not ending.done(), "answered while the other node still lets it in"
        nodes.other_node.release()
        await ending
        with pytest.raises(Unauthenticated):
            await resolve(nodes.other.sessions, cookie, None)


async def test_a_new_name_is_on_what_the_other_node_sends_from_then_on(data: Path) -> None:
    async with friends(data) as (nodes, ann, bob):
        await say(nodes.other, ann, "as Ann")
        login = await nodes.one.sessions.begin(ann, 0, "")
        await nodes.one.accounts.change(login, {"firstName": "Anna"})
        seq = await say(nodes.other, ann, "as Anna")
        page = json.loads(await nodes.one.messages.history(bob, Range()))
        names = {message["seq"]: message["from"]["name"] for message in page["messages"]}
        assert names[seq] == "Anna"


async def test_a_rate_holds_for_all_nodes_together(data: Path) -> None:
    limits = Limits(send_rate=0.001, send_burst=6)
    async with friends(data, limits) as (nodes, ann, _):
        for number in range(6):
            await say((nodes.one, nodes.other)[number % 2], ann, str(number))
        for house in (nodes.one, nodes.other):
            with pytest.raises(RateLimited):
                await say(house, ann, "one too many")


# R3: what is not fresh serves nothing.


async def test_a_node_that_is_not_fresh_serves_nothing(data: Path) -> None:
    async with friends(data) as (nodes, ann, bob):
        login = await nodes.other.sessions.begin(ann, 0, "")
        cookie = nodes.other.sessions.cookie(login, secure=False).partition(";")[0]
        house = nodes.other
        await resolve(house.sessions, cookie, None)
        await house.users.user(ann)
        assert known(house.sessions, cookie, None) is not None
        nodes.other_node.fresh = False
        assert known(house.sessions, cookie, None) is None
        for asked in (
            resolve(house.sessions, cookie, None),
            house.messages.send(ann, {"text": "hello"}),
            house.messages.history(ann, Range()),
            house.friendships.friends(ann),
            house.reads.read_state(ann),
            house.reads.conversations(ann),
            house.friendships.befriend(ann, bob),
            house.delivery.mailboxes.open(ann),
        ):
            with pytest.raises(Unavailable):
                await asked
        with pytest.raises(Unavailable):
            house.messages.submit_now(ann, {"text": "hello"}, lambda place: None)
        with pytest.raises(Unavailable):
            house.delivery.readers.refuse_while_draining()
        nodes.other_node.fresh = True
        await say(house, ann, "hello")
