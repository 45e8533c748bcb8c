"""What every journal over a store's log promises (chatserver/journal/contract.py), on each backend."""

from __future__ import annotations

import asyncio
import json

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import BlockChange, FriendChange, PasswordChange
from chatserver.core.conversations import BROADCASTS, Range
from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Draft, Event
from chatserver.core.framing import ws_text
from chatserver.core.visibility import View
from chatserver.journal.contract import Outrun
from tests.store.kit import (
    DAY_MS,
    START_MS,
    Home,
    World,
    friend_draft,
    json_of,
    message,
    opened,
    text_of,
    told,
)
from tests.support.payments import paid

OF_ONE_PROCESS = {
    "test_a_place_is_the_time_in_microseconds_and_always_grows",
    "test_places_grow_when_the_clock_steps_back_even_over_a_restart",
    "test_the_head_survives_a_restart_also_where_its_event_is_gone",
    "test_what_waits_is_written_and_handed_on_as_one_batch",
    "test_messages_stay_and_other_events_go_after_a_week",
    "test_a_cursor_before_what_was_dropped_cannot_be_resumed",
    "test_what_was_dropped_stays_known_over_a_restart",
}
"""Where the clock of the server gives out the places and the times, and one process writes what waits."""

# places


async def test_a_place_is_the_time_in_microseconds_and_always_grows(home: Home) -> None:
    async with opened(home) as world:
        assert world.journal.head_seq == 0
        first = await world.say("ann")
        assert (first.seq, first.at_ms, first.duplicate) == (START_MS * 1000, START_MS, False)
        assert (await world.say("ann")).seq == first.seq + 1
        world.clock.now_ms += 1
        assert (await world.say("ann")).seq == first.seq + 1000
        assert world.journal.head_seq == first.seq + 1000


async def test_places_grow_when_the_clock_steps_back_even_over_a_restart(home: Home) -> None:
    seqs: list[int] = []

    async def scene(world: World) -> None:
        for _ in range(2):
            world.clock.now_ms -= 30 * DAY_MS
            standing = await world.say("ann")
            seqs.append(standing.seq)
            assert standing.at_ms == world.clock.now_ms

    async with opened(home) as world:
        await scene(world)
    async with opened(home) as world:
        await scene(world)
    assert seqs == list(range(seqs[0], seqs[0] + 4))


async def test_the_head_survives_a_restart_also_where_its_event_is_gone(home: Home) -> None:
    head = 0

    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        world.clock.now_ms += 1000
        await world.end("bob", "ann")
        head = world.journal.head_seq
        world.clock.now_ms += 8 * DAY_MS
        await world.journal.drop_passed()
    async with opened(home) as world:
        assert world.journal.head_seq == head
        world.clock.now_ms = START_MS
        assert (await world.say("ann")).seq == head + 1


async def test_an_event_shows_its_place_and_time_and_then_its_fields(home: Home) -> None:
    async with opened(home) as world:
        sent = await world.say("ann", "hé", client_id="c")
        (event,) = world.events
        assert list(json_of(event)) == ["seq", "type", "at", "from", "to", "text", "clientId"]
        assert json_of(event)["seq"] == event.seq == sent.seq
        assert json_of(event)["at"] == event.at_ms == sent.at_ms
        assert b"\n" not in event.payload and "hé".encode() in event.payload


# appending


async def test_appends_are_placed_in_call_order_and_handed_on_in_it(home: Home) -> None:
    async with opened(home) as world:
        standings = await asyncio.gather(*(world.say("ann", str(n)) for n in range(300)))
        seqs = [standing.seq for standing in standings]
        assert seqs == sorted(set(seqs))
        assert [text_of(event) for event in world.events] == [str(n) for n in range(300)]
        assert [event.seq for event in world.events] == seqs


async def test_what_waits_is_written_and_handed_on_as_one_batch(home: Home) -> None:
    async with opened(home) as world:
        await asyncio.gather(*(world.say("ann", str(n)) for n in range(300)))
        assert len(world.events) == 300 and len(world.batches) <= 3


async def test_an_answer_comes_after_the_follower_had_the_event(home: Home) -> None:
    async with opened(home) as world:

        async def say(n: int) -> None:
            standing = await world.say("ann", str(n))
            assert standing.seq in {event.seq for event in world.events}
            assert world.journal.head_seq >= standing.seq

        await asyncio.gather(*map(say, range(20)))


async def test_drafts_of_one_append_stand_side_by_side(home: Home) -> None:
    async with opened(home) as world:
        many = [friend_draft(f"u{n}", "ann", "none") for n in range(40)]
        grouped = world.journal.append(paid(), *many)
        before, standings, after = await asyncio.gather(world.say("ann"), grouped, world.say("bob"))
        seqs = [before.seq, *(standing.seq for standing in standings), after.seq]
        assert seqs == list(range(seqs[0], seqs[0] + 42))
        assert [event.actor for event in world.events][1:-1] == [f"u{n}" for n in range(40)]


async def test_live_events_carry_their_change_and_replayed_ones_do_not(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        assert [event.change is not None for event in world.events] == [True, False]
        assert all(event.change is None for event in await world.replay("ann"))


async def test_several_drafts_with_a_client_id_are_a_mistake(home: Home) -> None:
    async with opened(home) as world:
        with pytest.raises(ValueError, match="client_id"):
            await world.journal.append(paid(), message("ann", client_id="c"), message("ann"))
        with pytest.raises(ValueError, match="append"):
            await world.journal.append(paid())


async def test_a_draft_that_cannot_be_encoded_takes_no_place(home: Home) -> None:
    async with opened(home) as world:
        bad = Draft("message", Audience.FRIENDS, "ann", None, {"text": "\ud800"}, "c")
        with pytest.raises(TypeError, match="surrogates"):
            await world.journal.append(paid(), bad)
        assert (await world.say("ann", client_id="c")).seq == START_MS * 1000


async def test_a_caller_that_goes_away_takes_nobody_with_it(home: Home) -> None:
    async with opened(home) as world:
        gone = asyncio.create_task(world.say("ann", "gone", client_id="c"))
        stays = asyncio.create_task(world.say("ann", "stays"))
        repeat = asyncio.create_task(world.say("ann", "gone", client_id="c"))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await repeat).duplicate and not (await stays).duplicate
        assert [text_of(event) for event in world.events] == ["gone", "stays"]


# the same client_id again


async def test_a_repeat_is_answered_with_the_first_and_handed_on_once(home: Home) -> None:
    async with opened(home) as world:
        first = await world.say("ann", "one", client_id="c")
        world.clock.now_ms += 5
        again = await world.say("ann", "other text", client_id="c")
        assert (again.seq, again.at_ms, again.duplicate) == (first.seq, first.at_ms, True)
        other = await world.say("bob", "two", client_id="c")
        assert not other.duplicate
        assert [text_of(event) for event in world.events] == ["one", "two"]
        assert await world.texts("ann") == ["one"]


async def test_repeats_within_one_batch_and_among_others_are_found(home: Home) -> None:
    async with opened(home) as world:
        await world.say("ann", "old", client_id="0")
        ids = ["1", "0", None, "1", "2", "0", None, "2", "1"]
        calls = (world.say("ann", str(n), client_id=id_) for n, id_ in enumerate(ids))
        standings = await asyncio.gather(*calls)
        duplicates = [n for n, standing in enumerate(standings) if standing.duplicate]
        assert duplicates == [1, 3, 5, 7, 8]
        assert standings[8].seq == standings[3].seq == standings[0].seq
        assert [text_of(event) for event in world.events] == ["old", "0", "2", "4", "6"]


async def test_a_client_id_is_remembered_over_restarts(home: Home) -> None:
    async with opened(home) as world:
        first = await world.say("ann", "one", client_id="c")
        second = await world.say("ann", "two", "bob", client_id="d")
    async with opened(home) as world:
        world.clock.now_ms += 400 * DAY_MS
        head = world.journal.head_seq
        again = await world.say("ann", "one", client_id="c")
        assert again.duplicate and again.seq == first.seq == START_MS * 1000
        to_one = await world.say("ann", "two", "bob", client_id="d")
        assert to_one.duplicate and to_one.seq == second.seq and not world.batches
        assert world.journal.head_seq == head
        page = await world.store.history("ann", Range())
        assert page.seq == head, "a snapshot claims a place that nobody reaches"


# guards


async def test_who_decided_on_what_has_changed_since_is_outrun(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        guard = await world.journal.guard("ann", "bob")
        assert guard.subject == ("ann", "bob")
        await world.befriend("bob", "ann")
        payment = paid()
        ask = friend_draft("ann", "bob", "none", FriendChange("ann", "bob", "none"))
        with pytest.raises(Outrun):
            await world.journal.append(payment, ask, guard=guard)
        assert await world.store.relation("ann", "bob") == "friend"
        # The payment is good still, and what was read after a new guard may be decided upon.
        again = await world.journal.guard("bob", "ann")
        assert await world.store.relation("ann", "bob") == "friend"
        await world.journal.append(payment, ask, guard=again)
        assert await world.store.relation("ann", "bob") == "none"


async def test_of_all_who_decide_at_once_one_is_first(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        guards = [await world.journal.guard("ann", "bob") for _ in range(5)]
        change = FriendChange("ann", "bob", "friend")
        drafts = [
            friend_draft("ann", "bob", "friend", change),
            friend_draft("bob", "ann", "friend"),
        ]
        calls = [world.journal.append(paid(), *drafts, guard=guard) for guard in guards]
        outcome = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, Outrun) for each in outcome) == 4
        assert len(world.events) == 2


async def test_what_concerns_others_outruns_nobody(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        pair, user = await world.journal.guard("ann", "bob"), await world.journal.guard("ann")
        await world.say("ann", "one")
        await world.befriend("ann", "cho")
        await world.end_logins("ann", "c1")
        block = vocabulary.notice(BlockChange("ann", "bob", True))
        await world.journal.append(paid(), block, guard=pair)
        assert await world.store.blocked("ann", "bob")
        changed = vocabulary.notice(PasswordChange("ann", "new", None))
        await world.journal.append(paid(), changed, guard=user)
        for outrun, late in ((pair, block), (user, changed)):
            with pytest.raises(Outrun):
                await world.journal.append(paid(), late, guard=outrun)


async def test_what_was_acknowledged_is_shown_and_no_newer_than_the_newest(home: Home) -> None:
    async with opened(home) as world:
        place = await world.say("ann", "one")
        journal = world.journal
        assert journal.fresh and await journal.newest() >= journal.head_seq >= place.seq
        await journal.shown(await journal.newest())
        assert journal.shown_seq >= place.seq
        assert await world.texts("ann") == ["one"]


# replay


async def test_replay_shows_what_the_view_allows(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.say("bob", "before")
        await world.befriend("ann", "bob")
        await world.say("bob", "for friends")
        await world.say("cho", "stranger")
        await world.say("bob", "direct", to="ann")
        await world.say("bob", "for cho", to="cho")
        await world.say("ann", "own")
        await world.say("ann", "own to a stranger", to="cho")
        await world.read("bob", 1)
        await world.read("bob", 1, "ann")
        await world.read("ann", 1)
        await world.rename("bob", "Bob")
        found = await world.replay("ann")
        texts = [json_of(event).get("text", event.type) for event in found]
        messages = ["for friends", "direct", "own", "own to a stranger"]
        assert texts == ["friend", *messages, "read", "read", "profile"]
        # The order of the wire's own bytes, as they were handed on live.
        live = {event.seq: event.payload for event in world.events}
        assert all(live[event.seq] == event.payload for event in found)


async def test_replay_keeps_its_range_and_its_limit(home: Home) -> None:
    async with opened(home) as world:
        seqs = [(await world.say("ann", str(n))).seq for n in range(8)]
        view = View("ann", {})

        async def texts(after: int, up_to: int, limit: int) -> list[str]:
            return [text_of(e) for e in await world.journal.replay(view, after, up_to, limit)]

        assert await texts(seqs[1], seqs[5], 99) == ["2", "3", "4", "5"]
        assert await texts(seqs[1], seqs[5], 2) == ["2", "3"]
        assert await texts(0, seqs[2], 99) == ["0", "1", "2"]
        assert await texts(seqs[7], seqs[7] + 99, 99) == []
        few = await world.journal.few(view, seqs[1], seqs[5], 4)
        assert few is not None and [text_of(e) for e in few] == ["2", "3", "4", "5"]
        assert await world.journal.few(view, seqs[1], seqs[5], 3) is None
        assert await world.journal.few(view, seqs[7], seqs[7], 3) == []
        assert await world.journal.backlog(view, seqs[1], seqs[5], 99) == 4
        assert await world.journal.backlog(view, seqs[1], seqs[5], 3) == 3
        assert await world.journal.backlog(view, seqs[7], seqs[7], 3) == 0


async def test_the_newest_events_are_whosever_they_are(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        first = await world.befriend("ann", "bob")
        seqs = [(await world.say(("ann", "bob")[n % 2], str(n))).seq for n in range(6)]
        events, floor_seq = await world.journal.latest(99, 1 << 20)
        assert [event.seq for event in events] == [first, first + 1, *seqs]
        assert floor_seq == first - 1
        assert [event.payload for event in events] == [event.payload for event in world.events]
        events, floor_seq = await world.journal.latest(4, 1 << 20)
        assert [event.seq for event in events] == seqs[2:]
        assert floor_seq == seqs[2] - 1
        two = len(events[-1].payload) * 2
        assert [event.seq for event in (await world.journal.latest(99, two))[0]] == seqs[4:]
        assert (await world.journal.latest(99, 1))[0] == []


async def test_a_friend_of_the_view_counts_from_its_beginning_on(home: Home) -> None:
    async with opened(home) as world:
        seqs = [(await world.say("bob", str(n), to=("ann", None)[n % 2])).seq for n in range(6)]
        for since, count in ((0, 6), (seqs[0], 5), (seqs[3], 2), (seqs[5], 0)):
            view = View("ann", {"bob": since})
            assert await world.journal.backlog(view, 0, seqs[5], 99) == count
            told_of = [("message", "bob", seq) for seq in seqs[6 - count :]]
            assert told(await world.journal.replay(view, 0, seqs[5], 99)) == told_of
            assert told(await world.journal.few(view, 0, seqs[5], 99) or []) == told_of


# age


async def test_messages_stay_and_other_events_go_after_a_week(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await world.say("ann", "kept")
        await world.read("ann", 1)
        world.clock.now_ms += 7 * DAY_MS + 1
        young = await world.read("bob", 1)
        await world.journal.drop_passed()
        assert await world.journal.drop_passed() == 0
        assert [event.type for event in await world.replay("ann")] == ["message"]
        assert [event.type for event in await world.replay("bob")] == ["message", "read"]
        assert (await world.replay("bob"))[1].seq == young
        assert (await world.store.read_state("ann")).own == {BROADCASTS: 1}
        assert await world.store.relation("ann", "bob") == "friend"


async def test_a_cursor_before_what_was_dropped_cannot_be_resumed(home: Home) -> None:
    async with opened(home) as world:
        first = (await world.say("ann")).seq
        dropped = await world.read("ann", 1)
        view = View("ann", {})
        assert await world.journal.backlog(view, 0, world.journal.head_seq, 99) == 2
        world.clock.now_ms += 7 * DAY_MS + 1
        last = (await world.say("ann")).seq
        await world.journal.drop_passed()
        assert await world.journal.backlog(view, first, last, 99) is None
        assert await world.journal.few(view, first, last, 99) is None
        assert await world.journal.few(view, last - 1, last, 99) is not None
        assert await world.journal.backlog(view, last - 1, last, 99) == 1
        assert dropped > first
        events, floor_seq = await world.journal.latest(99, 1 << 20)
        assert [event.seq for event in events] == [last]
        assert dropped <= floor_seq < last, "what was dropped may have stood before it"


async def test_what_was_dropped_stays_known_over_a_restart(home: Home) -> None:
    async with opened(home) as world:
        await world.read("ann", 1)
        world.clock.now_ms += 7 * DAY_MS + 1
        await world.journal.drop_passed()
    async with opened(home) as world:
        assert await world.journal.backlog(View("ann", {}), 0, world.journal.head_seq, 9) is None


# the end


async def test_close_makes_durable_what_was_accepted_and_refuses_the_rest(home: Home) -> None:
    async with opened(home) as world:
        accepted = [asyncio.create_task(world.say("ann", str(n))) for n in range(50)]
        await asyncio.sleep(0)
        await world.journal.close()
        assert len(await asyncio.gather(*accepted)) == 50
        with pytest.raises(Unavailable):
            await world.say("ann", "late")
        assert not world.journal.healthy
    async with opened(home) as world:
        assert len(await world.texts("ann", limit=99)) == 50


async def test_events_are_immutable_bytes_in_the_log(home: Home) -> None:
    async with opened(home) as world:
        await world.say("ann", "x" * 4000)
        (event,) = world.events
        (again,) = await world.replay("ann")
        assert isinstance(again, Event) and again.payload == event.payload
        assert json.loads(ws_text(again.payload)[4:]) == json_of(event)
