"""What every store promises (chatserver/store/contract.py), on each backend."""

from __future__ import annotations

import asyncio

import pytest

from chatserver.core.errors import Conflict
from chatserver.core.people import User
from tests.store.kit import START_MS, Home, World, account, login, opened

# accounts


async def test_an_account_is_found_by_id_and_by_email_without_case(home: Home) -> None:
    async with opened(home) as world:
        ann = account("Ann")
        await world.store.add_account(ann)
        assert await world.store.account("Ann") == ann
        assert await world.store.account_by_email("aNN@EXAMPLE.com") == ann
        assert await world.store.account("nobody") is None
        assert await world.store.account_by_email("ann") is None


async def test_an_email_is_taken_once_whatever_its_case(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        taken = account("other")
        again = type(taken)(taken.user, "ANN@example.COM", "hash", START_MS)
        with pytest.raises(Conflict):
            await world.store.add_account(again)
        assert await world.store.account("other") is None
        assert await world.store.search("nobody", "other", 5) == []
        same_id = type(taken)(taken.user, "third@example.com", "hash", START_MS)
        await world.store.add_account(same_id)
        with pytest.raises(Conflict):
            await world.store.add_account(taken)
        tries = (world.store.add_account(account("bob")) for _ in range(5))
        outcome = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(each, Conflict) for each in outcome) == 4


async def test_users_gives_those_that_exist(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        found = await world.store.users(["bob", "nobody", "ann", "bob"])
        assert found == {n: User(n, n, "", "#0000aa") for n in ("ann", "bob")}
        assert await world.store.users([]) == {}
        assert len(await world.store.users([f"u{n}" for n in range(1200)] + ["ann"])) == 1


async def test_what_was_written_is_there_after_a_restart(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await world.change_password("ann", "$argon2id$new")
        await world.say("ann", "kept")
    async with opened(home) as world:
        found = await world.store.account("ann")
        assert found is not None and found.password == "$argon2id$new"
        assert await world.store.relation("ann", "bob") == "friend"
        assert await world.texts("bob") == ["kept"]


async def test_last_seen_only_grows_and_is_told_of_friends(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.befriend("ann", "cho")
        await world.store.set_last_seen({"bob": 500, "nobody": 1})
        await world.store.set_last_seen({"bob": 400})
        await world.store.set_last_seen({})
        friends = (await world.store.friends("ann")).friends
        assert [(user.id, seen) for user, seen in friends] == [("bob", 500), ("cho", 0)]


# search


async def _search(world: World, query: str, viewer: str = "me", limit: int = 20) -> list[str]:
    return [user.id for user, _ in await world.store.search(viewer, query, limit)]


async def test_search_finds_words_by_their_beginnings(home: Home) -> None:
    async with opened(home) as world:
        people = [("u1", "Anna", "Lind"), ("u2", "Hannah", "Anders"), ("u3", "Zoë", "O'Neil")]
        for id_, first, last in [*people, ("u4", "annabel", ""), ("me", "Anna", "Self")]:
            await world.store.add_account(account(id_, first, last))
        assert await _search(world, "ANN") == ["u1", "u4"]
        assert await _search(world, "an") == ["u1", "u4", "u2"]
        assert await _search(world, "li an") == ["u1"]
        assert await _search(world, "nn") == []
        assert await _search(world, "neil") == ["u3"]
        assert await _search(world, "zoe\u0308 o'n") == ["u3"]
        assert await _search(world, "an", limit=2) == ["u1", "u4"]


async def test_search_finds_the_given_name_in_a_full_name_that_was_given_as_one(home: Home) -> None:
    """小明 used to find nobody who had put 王小明 into one field."""
    async with opened(home) as world:
        people = [("u1", "王小明", ""), ("u2", "小明", "王"), ("u3", "김민수", "")]
        for id_, first, last in [*people, ("u4", "アレクサンドロ", ""), ("me", "小明", "Self")]:
            await world.store.add_account(account(id_, first, last))
        assert sorted(await _search(world, "小明")) == ["u1", "u2"]
        assert sorted(await _search(world, "王 小明")) == ["u1", "u2"]
        assert await _search(world, "王小明") == ["u1"]
        assert await _search(world, "민") == ["u3"]
        assert await _search(world, "レクサ") == []
        await world.rename("u1", "李小红", "")
        assert await _search(world, "小明") == ["u2"]
        assert await _search(world, "小红") == ["u1"]


async def test_search_takes_no_pattern_and_no_nothing(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "me")
        await world.store.add_account(account("smile", "\N{GRINNING FACE}"))
        for query in ("", "   ", "%", "_nn", "a*n", ".*", "%nn", "[a]nn", "$gt", "\\"):
            assert await _search(world, query) == [], query
        assert await _search(world, "\N{GRINNING FACE}") == ["smile"]


async def test_search_finds_an_email_only_when_whole(home: Home) -> None:
    async with opened(home) as world:
        await world.store.add_account(account("qx7", "Ann"))
        await world.join("me")
        assert await _search(world, "QX7@example.com") == ["qx7"]
        assert await _search(world, "qx7@example") == []
        assert await _search(world, "qx7") == []


async def test_search_follows_a_new_name(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "me")
        await world.rename("ann", "Berta", "Ost")
        assert await _search(world, "ann") == []
        assert await _search(world, "ost") == ["ann"]


async def test_search_tells_relations_and_leaves_out_the_blocked(home: Home) -> None:
    async with opened(home) as world:
        names = ("kai", "kea", "kim", "kit", "koa", "kyo")
        await world.join("me", *names)
        await world.befriend("me", "kai")
        await world.relate("asked", "me", "kea")
        await world.relate("asked", "kim", "me")
        await world.block("me", "koa", True)
        await world.block("kyo", "me", True)
        found = [(user.id, relation) for user, relation in await world.store.search("me", "k", 20)]
        expected = [("kai", "friend"), ("kea", "outgoing"), ("kim", "incoming"), ("kit", "none")]
        assert found == expected


# friends


async def test_a_friendship_stands_for_both_from_the_first_event_on(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.relate("asked", "ann", "bob")
        assert await world.store.relation("ann", "bob") == "outgoing"
        assert await world.store.relation("bob", "ann") == "incoming"
        assert (await world.store.friends_since("ann"))[0] == {}
        asked = await world.store.friends("bob")
        assert [user.id for user in asked.incoming] == ["ann"] and not asked.outgoing
        since = await world.befriend("bob", "ann")
        head = world.journal.head_seq
        assert await world.store.friends_since("ann") == ({"bob": since}, head, head)
        assert await world.store.friends_since("bob") == ({"ann": since}, head, head)
        friends = await world.store.friends("ann")
        assert [user.id for user, _ in friends.friends] == ["bob"]
        assert (friends.incoming, friends.outgoing, friends.seq) == ([], [], head)


async def test_asking_and_befriending_again_change_nothing(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.relate("asked", "ann", "bob")
        await world.relate("asked", "bob", "ann")
        assert await world.store.relation("ann", "bob") == "outgoing"
        since = await world.befriend("ann", "bob")
        await world.befriend("bob", "ann")
        await world.relate("asked", "bob", "ann")
        assert (await world.store.friends_since("ann"))[0] == {"bob": since}


async def test_an_end_is_an_end_for_both(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.befriend("ann", "cho")
        await world.relate("none", "bob", "ann")
        assert await world.store.relation("ann", "bob") == "none"
        assert await world.store.relation("bob", "ann") == "none"
        assert list((await world.store.friends_since("ann"))[0]) == ["cho"]
        assert not await world.store.blocked("bob", "ann")


async def test_a_block_may_come_with_the_end_or_alone(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.relate("none", "ann", "bob", block=True)
        await world.block("ann", "cho", True)
        await world.block("ann", "cho", True)
        assert await world.store.blocked("ann", "bob") and not await world.store.blocked(
            "bob", "ann"
        )
        assert [user.id for user in await world.store.blocks("ann")] == ["bob", "cho"]
        await world.block("ann", "bob", False)
        await world.block("bob", "cho", False)
        assert [user.id for user in await world.store.blocks("ann")] == ["cho"]


async def test_lists_of_people_are_ordered_by_name(home: Home) -> None:
    async with opened(home) as world:
        for id_, first in (("u1", "cho"), ("u2", "Bob"), ("u3", "ann"), ("u4", "Ann")):
            await world.store.add_account(account(id_, first))
        await world.join("me")
        for id_ in ("u1", "u2", "u3", "u4"):
            await world.befriend("me", id_)
        friends = [user.id for user, _ in (await world.store.friends("me")).friends]
        assert friends == ["u3", "u4", "u2", "u1"]


async def test_a_new_profile_shows_wherever_the_user_does(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await world.rename("bob", "Bert", "Brecht", "#aa0000")
        new = User("bob", "Bert", "Brecht", "#aa0000")
        assert await world.store.users(["bob"]) == {"bob": new}
        assert [user for user, _ in (await world.store.friends("ann")).friends] == [new]


# logins


async def test_logins_are_found_by_id_and_secret_and_listed_newest_first(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        old = login("c1", "ann", created_at=1)
        new = login("c2", "ann", created_at=2, expires_at=99)
        token = login("t1", "ann", "token", secret_hash=b"\x00secret\xff")
        for each in (old, new, token, login("c3", "bob")):
            await world.store.add_login(each)
        assert await world.store.login("c1") == old
        assert await world.store.login("nothing") is None
        assert await world.store.login_by_secret(b"\x00secret\xff") == token
        assert await world.store.login_by_secret(b"") is None
        assert await world.store.logins("ann", "cookie") == [new, old]
        assert await world.store.logins("ann", "token") == [token]


async def test_newcomers_are_found_by_id_and_secret_with_profile_and_friends(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        since = await world.befriend("ann", "bob")
        await world.relate("asked", "cho", "ann")
        cookie, token = login("c1", "ann"), login("t1", "ann", "token", secret_hash=b"\x00t1")
        others = login("c2", "bob"), login("t2", "cho", "token", secret_hash=b"t2")
        for each in (cookie, token, *others, login("c3", "bob")):
            await world.store.add_login(each)
        newcomers = world.store.newcomers
        head = world.journal.head_seq
        found = await newcomers(["c1", "c2", "none"], [b"\x00t1", b"t2", b"none"], {"bob"})
        assert {
            key: (one.login, one.user.first_name, one.friends) for key, one in found.items()
        } == {
            "c1": (cookie, "ann", {"bob": since}),
            b"\x00t1": (token, "ann", {"bob": since}),
            "c2": (others[0], "bob", None),
            b"t2": (others[1], "cho", {}),
        }
        assert found["c1"].seqs == found[b"t2"].seqs == (head, head)
        assert await newcomers([], [], ()) == {}
        await world.change_password("ann", "new", "c1")
        assert set(await newcomers(["c1"], [b"\x00t1"], ())) == {"c1"}, "of the generation of now"
        await world.end("bob", "ann")
        assert await newcomers(["c2"], [], ()) == {}, "who has no account comes in no more"


async def test_a_login_ends_by_hand_by_time_and_is_touched_forwards_only(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        for id_, expires_at in (("c1", None), ("c2", 50), ("c3", 51), ("c4", None)):
            await world.store.add_login(login(id_, "ann", expires_at=expires_at))
        await world.store.drop_expired_logins(50)
        await world.end_logins("ann", "c4", "nothing")
        await world.end_logins("ann")
        await world.store.touch_logins({"c1": START_MS + 5, "c3": START_MS - 5, "gone": 1})
        left = {each.id: each.last_used_at for each in await world.store.logins("ann", "cookie")}
        assert left == {"c1": START_MS + 5, "c3": START_MS}


async def test_friends_in_common_are_counted(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho", "dee", "eve")
        for one, other in (("ann", "bob"), ("ann", "cho"), ("dee", "bob"), ("cho", "dee")):
            await world.befriend(one, other)
        await world.befriend("eve", "cho")
        await world.relate("asked", "eve", "bob")
        found = await world.store.in_common("ann", ["dee", "eve", "nobody"])
        assert [found.get(who, 0) for who in ("dee", "eve", "nobody")] == [2, 1, 0]
        await world.relate("none", "ann", "cho")
        found = await world.store.in_common("ann", ["dee", "eve"])
        assert [found.get(who, 0) for who in ("dee", "eve")] == [1, 0]
