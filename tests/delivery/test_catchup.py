"""The gap ladder: nothing to do, a replay page by page, or a reset that says why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.events import MAX_SEQ
from chatserver.core.mailbox import BATCH_BYTES
from chatserver.delivery import catchup as rules
from chatserver.delivery.catchup import Missed
from chatserver.journal.local import KEEP_MS
from tests.delivery.kit import LIMITS, Place, opened
from tests.store.kit import text_of


async def read_all(place: Place, after: int) -> list[str]:
    """The texts of everything below Ann's mailbox, page by page."""
    mailbox = await place.delivery.mailboxes.open("ann")
    texts: list[str] = []
    while after < mailbox.floor_seq:
        events, position = await place.delivery.catchup.page(mailbox, after)
        assert position > after, "each page leads on"
        assert position >= (events[-1].seq if events else 0)
        texts += [text_of(event) for event in events if event.type == "message"]
        after = position
    return texts


async def test_a_cursor_at_or_above_the_floor_needs_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.say("ann")
        mailbox = await place.delivery.mailboxes.open("ann")
        catchup = place.delivery.catchup
        assert (await catchup.missed(mailbox, mailbox.floor_seq)).reason is None
        assert await catchup.page(mailbox, mailbox.floor_seq) == ([], mailbox.floor_seq)
        assert not catchup.resets


async def test_what_was_missed_is_replayed_in_pages_without_a_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "REPLAY_PAGE_EVENTS", 3)
    async with opened(tmp_path) as place:
        start = (await place.say("ann", "first")).seq
        for number in range(8):
            await place.say("ann", str(number))
        mailbox = await place.delivery.mailboxes.open("ann")
        assert (await place.delivery.catchup.missed(mailbox, start)).reason is None
        assert await read_all(place, start) == [str(number) for number in range(8)]


async def test_a_page_is_bounded_in_bytes_and_the_next_one_goes_on_behind_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        texts = [letter * (BATCH_BYTES * 2 // 5) for letter in "abcd"]
        for text in texts:
            await place.say("ann", text)
        mailbox = await place.delivery.mailboxes.open("ann")
        events, position = await place.delivery.catchup.page(mailbox, start)
        assert [text_of(event) for event in events] == texts[:2]
        assert position == events[-1].seq
        assert await read_all(place, start) == texts


async def test_what_little_was_missed_is_read_with_the_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        texts = [letter * (BATCH_BYTES * 2 // 5) for letter in "abc"]
        for text in texts:
            await place.say("ann", text)
        mailbox = await place.delivery.mailboxes.open("ann")
        monkeypatch.setattr(place.journal, "backlog", None)
        missed = await place.delivery.catchup.missed(mailbox, start)
        assert [text_of(event) for event in missed.events] == texts[:2], (
            "as much as one write takes"
        )
        assert missed.position == missed.events[-1].seq
        rest = await place.delivery.catchup.missed(mailbox, missed.position)
        assert [text_of(event) for event in rest.events] == texts[2:]
        assert rest.position == mailbox.floor_seq


async def two_messages(place: Place) -> tuple[int, int]:
    """Of Bob and of Ann, his friend; the seqs of the friendship and of hers."""
    start = await place.befriend("ann", "bob")
    await place.say("bob")
    return start, (await place.say("ann")).seq


def end_while_read(place: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the friendship end once this question of the journal has found both messages."""
    ask = getattr(place.journal, name)

    async def slowly(*asked: Any) -> Any:
        found = await ask(*asked)
        assert len(found) == 2
        await place.relate("none", "ann", "bob")
        return found

    monkeypatch.setattr(place.journal, name, slowly)


async def test_what_was_missed_of_a_friend_who_went_while_it_was_read_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as place:
        start, own = await two_messages(place)
        mailbox = await place.delivery.mailboxes.open("ann")
        end_while_read(place, monkeypatch, "few")
        catchup = place.delivery.catchup
        missed = await catchup.missed(mailbox, start + 1)
        assert [event.seq for event in missed.events] == [own]
        assert not catchup._looking, "and the next look needs no turn either"


async def test_a_page_of_a_replay_leaves_out_a_friend_who_went_while_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as place:
        start, own = await two_messages(place)
        mailbox = await place.delivery.mailboxes.open("ann")
        end_while_read(place, monkeypatch, "replay")
        events, position = await place.delivery.catchup.page(mailbox, start + 1)
        assert [event.seq for event in events] == [own] and position == own


async def test_where_nothing_concerned_the_user_one_page_leads_to_the_mailbox(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        await place.say("bob")
        mailbox = await place.delivery.mailboxes.open("ann")
        assert await place.delivery.catchup.page(mailbox, start) == ([], mailbox.floor_seq)


async def test_more_than_may_be_replayed_is_a_reset_and_not_a_part(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        for _ in range(LIMITS.replay_events - 1):
            await place.say("ann")
        mailbox = await place.delivery.mailboxes.open("ann")
        catchup = place.delivery.catchup
        await place.say("ann")
        assert (await catchup.missed(mailbox, start)).reason is None, (
            "the last one stands in the mailbox"
        )
        await place.say("ann")
        assert (await catchup.missed(mailbox, start)).reason == "too much missed"
        assert catchup.resets == {"too much missed": 1}


async def test_a_cursor_from_before_what_was_dropped_by_age_is_told_so(tmp_path: Path) -> None:
    """Events that are no messages go after a week: whether there were any cannot be known any more."""
    async with opened(tmp_path) as place:
        start = (await place.say("ann")).seq
        await place.befriend("ann", "bob")
        later = (await place.say("ann")).seq
        place.clock.now_ms += KEEP_MS + 1000
        assert await place.journal.drop_passed() > 0
        mailbox = await place.delivery.mailboxes.open("ann")
        catchup = place.delivery.catchup
        assert (await catchup.missed(mailbox, start)).reason == "too long ago"
        assert (await catchup.missed(mailbox, later)).reason is None, (
            "after what was dropped all is there"
        )
        assert catchup.resets == {"too long ago": 1}


async def test_a_cursor_beyond_the_head_is_told_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        mailbox = await place.delivery.mailboxes.open("ann")
        assert (await place.delivery.catchup.missed(mailbox, MAX_SEQ)).reason == "beyond the head"


async def test_a_cursor_that_the_hub_has_yet_to_reach_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        mailbox = await place.delivery.mailboxes.open("ann")
        seq = (await place.say("ann")).seq
        place.hub.head_seq = seq - 1
        missed = await asyncio.wait_for(place.delivery.catchup.missed(mailbox, seq), 30)
        assert missed == Missed(None, [], seq)


async def test_a_reset_leads_to_the_head_and_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        head = (await place.say("ann")).seq
        seq, payload = place.delivery.catchup.reset("too long ago")
        said = json.loads(payload)
        assert seq == said["seq"] == head
        assert (said["type"], said["reason"]) == ("reset", "too long ago")
