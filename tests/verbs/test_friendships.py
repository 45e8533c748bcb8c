"""Lists of friends and of strangers: who is on them, with what, and that thousands keep nobody waiting."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from chatserver.core.errors import Conflict, InvalidField, NotFound
from chatserver.core.events import encode_json
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.http.house import House
from chatserver.verbs import friendships
from scripts.benchmark import seed
from tests.site.test_bounds import FRIENDS, fill
from tests.support.turns import without_collector
from tests.verbs.test_accounts import befriended, opened, person

TURN_S = 0.02 if sys.gettrace() is None else 0.06
"""What counts the lines that are run (`scripts/coverage`) takes its share of each."""


async def _longest_turn_s(ended: asyncio.Event) -> float:
    """The most CPU that this thread spent between two turns of this task."""
    longest_s, before_s = 0.0, time.thread_time()
    while not ended.is_set():
        await asyncio.sleep(0)
        now_s = time.thread_time()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
    return longest_s


async def test_a_list_of_five_thousand_friends_holds_no_turn_long(data: Path) -> None:
    fill(data)
    async with opened(data) as house:
        with without_collector():
            ended = asyncio.Event()
            watching = asyncio.create_task(_longest_turn_s(ended))
            found = await house.friendships.friends(seed.user_id(0))
            await asyncio.sleep(0)
            body = encode_json(found)
            await asyncio.sleep(0)
            ended.set()
            assert await watching < TURN_S
        assert len(found["friends"]) == FRIENDS and len(body) < 1_000_000


async def _friends(house: House, *pairs: tuple[User, User]) -> None:
    for one, other in pairs:
        await house.friendships.befriend(one.id, other.id)
        await house.friendships.befriend(other.id, one.id)


async def test_strangers_are_told_apart_by_friends_in_common_and_the_email_that_was_asked_for(
    data: Path,
) -> None:
    async with opened(data) as house:
        ann, bob, cho, cyd = [await person(house, name) for name in ("ann", "bob", "cho", "cyd")]
        await _friends(house, (ann, bob), (bob, cho))
        find = house.friendships.find_people
        assert await find(ann.id, "", 20) == []
        rows = {row["id"]: row for row in await find(ann.id, "c", 20)}
        assert {id_: row["inCommon"] for id_, row in rows.items()} == {cho.id: 1, cyd.id: 0}
        assert all("email" not in row and row["relation"] == "none" for row in rows.values())
        (row,) = await find(ann.id, "cho@example.com", 20)
        assert (row["id"], row["email"], row["inCommon"]) == (cho.id, "cho@example.com", 1)
        # A friend's address is nothing to tell them by, and what nobody has is found by nobody.
        (row,) = await find(ann.id, "bob@example.com", 20)
        assert row["relation"] == "friend" and "email" not in row and "inCommon" not in row
        assert await find(ann.id, "nobody@example.com", 20) == []


async def test_a_full_name_without_a_space_finds_whoever_gave_it_in_two_fields(data: Path) -> None:
    async with opened(data) as house:
        asker, users = await person(house, "asker"), {}
        for number, (first, last) in enumerate(
            [("小明", "王"), ("王小明", ""), ("小红", "王"), ("娜娜", "欧阳")]
        ):
            fields = {"email": f"p{number}@example.com", "password": "correct horse"}
            users[first, last] = await house.accounts.register(
                {**fields, "firstName": first, "lastName": last}, None
            )
        await _friends(house, (asker, users["王小明", ""]))

        async def find(query: str, limit: int = 20) -> list[tuple[str, str]]:
            found = await house.friendships.find_people(asker.id, query, limit)
            by_id = {user.id: fields for fields, user in users.items()}
            return [by_id[row["id"]] for row in found]

        # A friend stands first, nobody twice, and no more than was asked for.
        assert await find("王小明") == [("王小明", ""), ("小明", "王")]
        assert await find("王小明", 1) == [("王小明", "")]
        assert set(await find("王小")) == {("王小明", ""), ("小明", "王"), ("小红", "王")}
        assert await find("欧阳娜娜") == [("娜娜", "欧阳")]
        assert await find("王大") == []
        (row,) = await house.friendships.find_people(asker.id, "欧阳娜娜", 20)
        assert row["name"] == "欧阳娜娜"


async def test_who_looks_like_a_friend_is_marked_where_one_decides_about_strangers(
    data: Path,
) -> None:
    async with opened(data) as house:
        ann, alice = await person(house, "ann"), await person(house, "Alice")
        await _friends(house, (ann, alice))
        mask = await house.accounts.register(
            {"email": "m@example.com", "password": "correct horse", "firstName": "\u0410lice"}, None
        )
        await house.friendships.befriend(mask.id, ann.id)
        found = await house.friendships.find_people(ann.id, "\u0410lice", 20)
        asked = await house.friendships.requests(ann.id)
        listed = await house.friendships.friends(ann.id)
        for rows in (found, asked["incoming"], listed["incoming"]):
            assert {row["id"]: row.get("looksLike") for row in rows}[mask.id] == alice.id
        assert "looksLike" not in listed["friends"][0]


async def test_requests_are_listed_without_the_friends(data: Path) -> None:
    async with opened(data) as house:
        ann, bob, cho, dee = [await person(house, name) for name in ("ann", "bob", "cho", "dee")]
        assert await house.friendships.requests(ann.id) == {
            "incoming": [],
            "incomingCount": 0,
            "outgoing": [],
        }
        await _friends(house, (ann, bob))
        await house.friendships.befriend(cho.id, ann.id)
        await house.friendships.befriend(ann.id, dee.id)
        asked = await house.friendships.requests(ann.id)
        assert [row["id"] for row in asked["incoming"]] == [cho.id]
        assert [row["id"] for row in asked["outgoing"]] == [dee.id]
        assert asked["incomingCount"] == 1 and set(asked) == {
            *("incoming", "incomingCount", "outgoing")
        }


async def test_friends_come_page_by_page_and_one_by_one(data: Path) -> None:
    async with opened(data) as house:
        ann, bob, cho, dee = [await person(house, name) for name in ("ann", "bob", "cho", "dee")]
        await _friends(house, (ann, bob), (ann, cho))
        verbs = house.friendships
        pages = [await verbs.page(ann.id, skip, 1, [cho.id]) for skip in (0, 1, 2)]
        assert [[row["id"] for row in rows] for rows, _ in pages] == [[cho.id], [bob.id], []]
        assert {count for _, count in pages} == {2}
        one = await verbs.friend(ann.id, bob.id)
        assert one is not None and one == pages[1][0][0] and one["online"] is False
        assert await verbs.friend(ann.id, dee.id) is None
        assert await verbs.ending(ann.id) == []
        await verbs.part(ann.id, cho.id)
        await verbs.part(ann.id, bob.id)
        ending = await verbs.ending(ann.id)
        assert [row["id"] for row in ending] == [bob.id, cho.id], "by name"
        assert all(0 < row["endsIn"] <= 10 for row in ending)
        assert await verbs.ending(bob.id) == []
        await verbs.stay(ann.id, bob.id)
        await verbs.stay(ann.id, cho.id)
        assert await verbs.ending(ann.id) == []
        with pytest.raises(Conflict):
            await verbs.stay(ann.id, cho.id)


async def test_nobody_is_their_own_friend_or_that_of_nobody(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        for verb in (house.friendships.befriend, house.friendships.block):
            with pytest.raises(InvalidField):
                await verb(ann.id, ann.id)
            with pytest.raises(NotFound):
                await verb(ann.id, "nobody")


async def test_who_has_blocked_somebody_unblocks_them_before_they_ask(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await befriended(house)
        await house.friendships.block(ann.id, bob.id)
        assert [row["id"] for row in await house.friendships.blocks(ann.id)] == [bob.id]
        with pytest.raises(Conflict, match="unblock them first"):
            await house.friendships.befriend(ann.id, bob.id)
        await house.friendships.unblock(ann.id, bob.id)
        assert await house.friendships.befriend(ann.id, bob.id) == "outgoing"


async def test_there_are_so_many_blocks_and_no_more(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are all in one list: a user who goes on for a day made an answer of 10 MB in one turn."""
    monkeypatch.setattr(friendships, "BLOCKS_MAX", 3)
    async with opened(data) as house:
        ann = await person(house, "ann")
        others = [await person(house, f"p{n}") for n in range(5)]
        for other in others[:3]:
            await house.friendships.block(ann.id, other.id)
        with pytest.raises(Conflict, match="as many people as you may"):
            await house.friendships.block(ann.id, others[3].id)
        await house.friendships.block(ann.id, others[0].id)  # it is done already
        await house.friendships.unblock(ann.id, others[0].id)
        await house.friendships.block(ann.id, others[3].id)
        assert len(await house.friendships.blocks(ann.id)) == 3


async def test_blocks_of_different_people_at_the_same_instant_are_no_more_either(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(friendships, "BLOCKS_MAX", 3)
    async with opened(data) as house:
        ann = await person(house, "ann")
        others = [await person(house, f"p{n}") for n in range(8)]
        blocks = [house.friendships.block(ann.id, other.id) for other in others]
        outcomes = await asyncio.gather(*blocks, return_exceptions=True)
        assert [type(one) for one in outcomes].count(Conflict) == 5
        assert len(await house.friendships.blocks(ann.id)) == 3


async def test_nobody_is_accepted_by_who_has_as_many_friends_as_there_may_be(data: Path) -> None:
    """As the one who asked has, who had room when they did."""
    async with opened(data, Limits(friends=2)) as house:
        ann, bob, cho, dee = [await person(house, name) for name in ("ann", "bob", "cho", "dee")]
        await house.friendships.befriend(ann.id, bob.id)
        await _friends(house, (cho, ann), (dee, ann))
        with pytest.raises(Conflict, match="This person has as many friends"):
            await house.friendships.befriend(bob.id, ann.id)
        await house.friendships.unfriend(ann.id, cho.id)
        assert await house.friendships.befriend(bob.id, ann.id) == "friend"
