"""A stream takes what comes next, pulls everything else, mends what is gone, and never skips or repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chatserver.core.errors import SESSION_EXPIRED, Unavailable
from chatserver.core.mailbox import BATCH_BYTES
from chatserver.delivery import catchup
from chatserver.delivery.catchup import Catchup, Missed
from chatserver.transports import stream as rules
from chatserver.transports.outlet import NOWHERE
from chatserver.transports.reader import Stage
from tests.delivery.kit import LIMITS, Place, opened
from tests.support.turns import settle
from tests.transports.kit import stream


async def write(place: Place, count: int) -> list[int]:
    return [(await place.say("ann", str(number))).seq for number in range(count)]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


async def test_what_comes_next_is_taken_as_it_comes_and_moves_the_cursor(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        seqs = await write(place, 3)
        assert paper.ids == seqs
        assert reader.cursor == seqs[-1] and reader.has_everything


async def test_what_was_missed_comes_before_what_is_new(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        paper.waits = True
        seqs = await write(place, 2)
        assert paper.ids == []
        paper.waits = False
        seqs += await write(place, 1)  # before anybody says that there is room again
        await asyncio.sleep(0)
        assert paper.ids == seqs
        assert reader.cursor == seqs[-1]


async def test_a_run_behind_a_hole_is_not_taken(tmp_path: Path) -> None:
    """The rule itself, whoever calls: `before` says up to where the reader must have everything."""
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        cursor = reader.cursor
        await write(place, 1)
        (event,) = reader.mailbox.events
        reader.cursor = cursor - 5
        paper.sent.clear()
        assert not reader.take([event], before=cursor)
        assert paper.sent == [] and reader.cursor == cursor - 5
        assert reader.take([event], before=cursor - 5)
        assert reader.cursor == event.seq
        assert not reader.take([event], before=cursor - 5), "not twice"


async def test_nothing_is_taken_while_something_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        paper.waits = True
        paper.sent.clear()
        seqs = await write(place, 3)
        await asyncio.sleep(0)
        assert paper.sent == []
        paper.waits = False
        reader.drained()
        await asyncio.sleep(0)
        assert paper.ids == seqs and len(paper.sent) == 1, "as one write"
        seqs += await write(place, 2)
        assert paper.ids == seqs


async def test_what_left_the_mailbox_is_replayed_page_by_page_each_after_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "REPLAY_PAGE_EVENTS", 3)
    page, asked = Catchup.page, list[int]()

    async def noted(self: Catchup, mailbox: object, after: int) -> object:
        asked.append(after)
        return await page(self, mailbox, after)  # type: ignore[arg-type]

    monkeypatch.setattr(Catchup, "page", noted)
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        seqs = await write(place, 10)
        reader, paper = await stream(place, "ann", after=start)
        paper.stays_full = True
        await until(lambda: len(paper.ids) == 3)
        await settle()
        assert asked == [start], "the next page is not asked for before this one has left"
        while paper.waits or reader.stage is Stage.MENDING:
            paper.waits = False
            reader.drained()
            await asyncio.sleep(0.005)
        assert paper.ids == seqs and reader.stage is Stage.OPEN
        assert asked == [start, seqs[2], seqs[5], seqs[8]]


async def test_more_than_may_be_replayed_is_a_reset_on_the_stream(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        seqs = await write(place, LIMITS.replay_events + 5)
        reader, paper = await stream(place, "ann", after=start)
        assert b'"resumed":false' in paper.sent[0] and b'"reset"' in paper.sent[1]
        assert reader.cursor == seqs[-1]


async def test_a_stream_that_falls_too_far_behind_is_reset_and_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        paper.waits = True
        await write(place, LIMITS.mailbox_events + LIMITS.replay_events)
        paper.waits = False
        paper.sent.clear()
        reader.drained()
        await until(lambda: reader.stage is Stage.OPEN and bool(paper.sent))
        assert b'"reset"' in paper.sent[0]
        paper.sent.clear()
        assert await write(place, 1) == paper.ids


async def test_what_little_was_missed_comes_in_one_write_with_the_greeting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Catchup, "page", None)  # nothing more is asked
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        seqs = await write(place, 3)
        reader, paper = await stream(place, "ann", after=start)
        assert paper.ids == seqs and reader.cursor == seqs[-1]
        assert [b'"hello"' in data for data in paper.sent] == [True]
        assert await write(place, 1) == paper.ids[3:] and reader.stage is Stage.OPEN


async def test_a_journal_that_cannot_say_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MEND_AGAIN_S", 0.01)
    asked: list[int] = []
    monkeypatch.setattr(catchup, "REPLAY_PAGE_EVENTS", 1)
    missed = Catchup.missed

    async def sometimes(self: Catchup, mailbox: object, after: int) -> Missed:
        asked.append(after)
        if len(asked) % 3:
            raise Unavailable("not now")
        return await missed(self, mailbox, after)  # type: ignore[arg-type]

    page, paged = Catchup.page, list[int]()

    async def not_at_first(self: Catchup, mailbox: object, after: int) -> object:
        paged.append(len(asked))
        if len(paged) == 1:
            raise Unavailable("not now")
        return await page(self, mailbox, after)  # type: ignore[arg-type]

    monkeypatch.setattr(Catchup, "missed", sometimes)
    monkeypatch.setattr(Catchup, "page", not_at_first)
    async with opened(tmp_path) as place:
        start, joins = (await place.say("ann")).seq, place.delivery.joins
        seqs = await write(place, 2)
        async with joins:
            reader, paper = await stream(place, "ann", after=start)
        await until(lambda: paper.ids == seqs and joins.under_way == 0)
        assert len(asked) == 6, "at joining, and again where that was long ago"
        assert paged == [3, 6, 6], "what was just said at joining is not asked again"
        assert reader.stage is Stage.OPEN


async def test_a_login_that_expires_ends_its_stream_at_the_next_visit(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        assert reader.visit(place.now_s) == LIMITS.heartbeat_s
        place.logins.ended.add("l")
        assert reader.visit(place.now_s) is None
        assert SESSION_EXPIRED.reason.encode() in paper.sent[-1]
        assert paper.said == ["close_soon"] and not reader.attached
        assert reader.visit(place.now_s) is None


async def test_no_heartbeat_is_added_to_what_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        paper.waits = True
        paper.sent.clear()
        assert reader.visit(place.now_s) == rules.WAITING_S
        assert paper.sent == []


async def test_a_stream_that_is_lost_lets_go_of_everything_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        reader.cut()
        assert paper.said == ["abort"]
        reader.connection_lost()
        assert not place.delivery.readers.all and reader.outlet is NOWHERE
        reader.end(SESSION_EXPIRED)
        reader.flush()
        assert place.delivery.readers.live_bytes("ann") == {}


async def test_a_stream_that_is_lost_in_the_middle_of_a_replay_leaves_nothing_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "REPLAY_PAGE_EVENTS", 3)
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        await write(place, 10)
        reader, paper = await stream(place, "ann", after=start)
        paper.stays_full = True
        await until(lambda: len(paper.ids) == 3)
        mending = [task for task in asyncio.all_tasks() if "_mend" in repr(task.get_coro())]
        assert mending
        reader.connection_lost()
        await asyncio.wait_for(asyncio.gather(*mending), 10)


async def test_a_peer_that_takes_nothing_is_told_that_it_is_too_slow(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        reader.stuck()
        assert b"too slow" in paper.sent[-1] and reader.stage is Stage.ENDED


async def test_what_is_more_than_one_write_is_written_to_its_end_though_nothing_follows(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        paper.waits = True
        texts = [letter * (BATCH_BYTES * 2 // 5) for letter in "abcdefghi"]
        seqs = [(await place.say("ann", text)).seq for text in texts]
        paper.waits = False
        reader.drained()
        for _ in range(10):
            place.hub.flush()
        assert paper.ids == seqs
