"""What every store promises of the history, of reading and of ended accounts, on each backend."""

from __future__ import annotations

import asyncio

from chatserver.core.conversations import BROADCASTS, Direct, Range
from tests.store.kit import Home, account, json_of, login, opened

# the history


async def test_the_broadcasts_are_ones_own_and_those_of_friends_since_they_are(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.say("bob", "before")
        await world.befriend("ann", "bob")
        await world.say("bob", "b1")
        await world.say("ann", "a1")
        await world.say("cho", "stranger")
        await world.say("ann", "direct", to="bob")
        await world.rename("bob", "bob")
        assert await world.texts("ann") == ["b1", "a1"]
        assert await world.texts("bob") == ["before", "b1", "a1"]
        assert await world.texts("cho") == ["stranger"]
        await world.relate("none", "ann", "bob")
        assert await world.texts("ann") == ["a1"]
        await world.befriend("ann", "bob")
        await world.say("bob", "b2")
        assert await world.texts("ann") == ["a1", "b2"]


async def test_a_direct_talk_is_seen_by_its_two_alone(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.befriend("ann", "cho")
        await world.say("ann", "to bob", to="bob")
        seq = (await world.say("bob", "to ann", to="ann")).seq
        await world.read("ann", seq, "bob")
        await world.say("cho", "cho here", to="ann")
        for pair in (("ann", "bob"), ("bob", "ann")):
            assert await world.texts(*pair) == ["to bob", "to ann"]
        assert await world.texts("cho", "bob") == []
        assert await world.texts("ann", "cho") == ["cho here"]
        await world.relate("none", "bob", "ann")
        assert await world.texts("ann", "bob") == ["to bob"]
        assert await world.texts("bob", "ann") == ["to ann"]


async def test_friends_who_made_up_see_nothing_of_the_others_time_before(home: Home) -> None:
    """The second friendship begins where it begins: what the other wrote in the first does not come back."""
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await world.say("bob", "old, to ann", to="ann")
        await world.say("bob", "old, to all")
        await world.say("ann", "mine, to bob", to="bob")
        await world.relate("none", "ann", "bob")
        await world.befriend("bob", "ann")
        await world.say("bob", "new, to ann", to="ann")
        await world.say("bob", "new, to all")
        assert await world.texts("ann", "bob") == ["mine, to bob", "new, to ann"]
        assert await world.texts("ann") == ["new, to all"]


async def test_pages_are_ascending_bounded_and_say_whether_there_are_more(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        seqs = [(await world.say(("ann", "bob")[n % 2], str(n))).seq for n in range(10)]

        async def page(before: int | None, after: int | None, limit: int) -> tuple[list[int], bool]:
            found = await world.store.history("ann", Range(BROADCASTS, before, after, limit))
            assert found.seq == world.journal.head_seq
            return [seqs.index(event.seq) for event in found.events], found.more

        assert await page(None, None, 3) == ([7, 8, 9], True)
        assert await page(seqs[7], None, 3) == ([4, 5, 6], True)
        assert await page(seqs[3], None, 3) == ([0, 1, 2], False)
        assert await page(None, seqs[3], 3) == ([4, 5, 6], True)
        assert await page(None, seqs[6], 3) == ([7, 8, 9], False)
        assert await page(None, 0, 20) == (list(range(10)), False)
        assert await page(seqs[8], seqs[3], 3) == ([4, 5, 6], True)
        assert await page(seqs[6], seqs[3], 3) == ([4, 5], False)
        assert await page(None, seqs[9], 3) == ([], False)
        assert await page(0, None, 3) == ([], False)


async def test_history_gives_the_bytes_of_the_live_event(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        text = 'tab\t, line\n, \u2028, quote ", \U0001f600, <b>, e\u0301'
        await world.say("ann", text, client_id="c")
        (live,) = world.events
        (stored,) = (await world.store.history("ann", Range())).events
        fields = ("seq", "at_ms", "type", "audience", "actor", "to", "payload")
        for name in fields:
            assert getattr(stored, name) == getattr(live, name), name
        assert type(stored.payload) is bytes and json_of(stored)["text"] == text


async def test_a_message_is_found_by_the_id_its_sender_gave_it(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        sent = await world.say("ann", client_id="x:1")
        assert await world.store.find_message("ann", "x:1") == (sent.seq, sent.at_ms)
        assert await world.store.find_message("bob", "x:1") is None
        assert await world.store.find_message("ann:x", "1") is None
        assert await world.store.find_message("ann", "") is None


# reading


async def test_read_positions_only_grow_and_peers_are_friends(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.befriend("ann", "cho")
        await world.read("ann", 70)
        await world.read("ann", 60)
        await world.read("ann", 50, "bob")
        await world.read("bob", 40, "ann")
        await world.read("cho", 30, "ann")
        await world.relate("none", "ann", "cho")
        state = await world.store.read_state("ann")
        assert state.own == {BROADCASTS: 70, Direct("bob"): 50}
        assert state.peers == {"bob": 40}
        assert state.seq == world.journal.head_seq


async def test_unread_counts_others_messages_after_ones_own_position(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.say("bob", "before")
        await world.befriend("ann", "bob")
        await world.befriend("ann", "cho")
        seqs = [(await world.say("bob", str(n))).seq for n in range(4)]
        await world.say("ann", "own")
        direct = [(await world.say("cho", str(n), to="ann")).seq for n in range(3)]
        await world.say("ann", "own", to="cho")
        await world.say("bob", "not for ann", to="cho")
        assert (await world.store.read_state("ann")).unread == {BROADCASTS: 4, Direct("cho"): 3}
        await world.read("ann", seqs[1])
        await world.read("ann", direct[0], "cho")
        assert (await world.store.read_state("ann")).unread == {BROADCASTS: 2, Direct("cho"): 2}
        await world.relate("none", "ann", "cho")
        await world.read("ann", seqs[3])
        assert (await world.store.read_state("ann")).unread == {}


async def test_unread_is_counted_to_a_thousand(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        said = [world.say("bob", str(n), to=("ann", None)[n % 2]) for n in range(2010)]
        await asyncio.gather(*said)
        assert (await world.store.read_state("ann")).unread == {
            BROADCASTS: 1000,
            Direct("bob"): 1000,
        }


# the end of an account


async def test_an_ended_account_leaves_nothing_it_wrote(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.relate("asked", "bob", "ann")
        await world.befriend("ann", "bob")
        await world.store.add_login(login("c1", "bob"))
        await world.store.add_login(login("t1", "bob", "token", secret_hash=b"s"))
        await world.say("bob", "b1", client_id="c")
        await world.say("bob", "b2", to="ann")
        await world.say("ann", "a1")
        await world.say("ann", "a2", to="bob")
        await world.read("bob", 5, "ann")
        await world.read("ann", 5, "bob")
        await world.rename("bob", "Bob")
        await world.block("ann", "bob", True)
        await world.block("bob", "ann", True)
        end = await world.end("bob", "ann")
        store = world.store
        assert await store.account("bob") is None
        assert await store.account_by_email("bob@example.com") is None
        assert await store.login("c1") is None and await store.login_by_secret(b"s") is None
        assert await store.relation("ann", "bob") == "none"
        assert await store.blocks("ann") == [] and not await store.blocked("bob", "ann")
        assert (await store.friends("ann")).friends == []
        assert await store.search("ann", "bob", 5) == []
        assert await store.find_message("bob", "c") is None
        assert await world.texts("ann") == ["a1"] and await world.texts("ann", "bob") == ["a2"]
        assert (await store.read_state("ann")).peers == {}
        seen = [(e.type, e.seq >= end) for e in await world.replay("ann")]
        assert seen == [("message", False), ("message", False), ("read", False), ("friend", True)]
        assert [(e.type, e.seq >= end) for e in await world.replay("bob")] == [("friend", True)]


async def test_news_of_an_end_outlives_the_account_it_names(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        await world.befriend("cho", "bob")
        cursor = world.journal.head_seq
        await world.relate("none", "bob", "cho")
        await world.end("bob", "ann")
        (heard,) = await world.replay("cho", cursor)
        assert json_of(heard)["relation"] == "none"
        assert await world.journal.backlog(await world.view("cho"), 0, cursor, 9) == 0


async def test_an_email_is_free_again_after_its_account_ended(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.end("bob", "ann")
        fresh = account("bob2")
        await world.store.add_account(type(fresh)(fresh.user, "bob@example.com", "h", 1))
        found = await world.store.account_by_email("bob@example.com")
        assert found is not None and found.user.id == "bob2"


async def test_a_login_is_not_kept_for_an_account_that_has_gone(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.end("bob", "ann")
        assert not await world.store.add_login(login("late", "bob"))
        assert await world.store.login("late") is None


async def test_a_closed_store_can_be_opened_again_and_closed_twice(home: Home) -> None:
    for _ in range(2):
        async with opened(home) as world:
            assert world.store.healthy and world.journal.healthy
        await world.store.close()
        assert not world.store.healthy and not world.journal.healthy
