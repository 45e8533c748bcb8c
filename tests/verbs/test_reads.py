"""Read positions: nothing is appended that is behind them, or that is no news; and no more than one a second."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from chatserver.core import vocabulary
from chatserver.core.conversations import BROADCASTS, Conversation
from chatserver.core.errors import Forbidden, InvalidField, RateLimited
from chatserver.core.events import MAX_SEQ, encode_event
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.core.prices import Payment
from chatserver.http.house import House
from tests.support.payments import paid
from tests.verbs.test_accounts import befriended, opened, person


async def _ann_and_head(house: House) -> tuple[User, int]:
    ann = await person(house, "ann")
    return ann, (await house.messages.send(ann.id, {"text": "hello"})).seq


async def _positions(house: House, user: User) -> list[object]:
    return [row["upTo"] for row in (await house.reads.read_state(user.id))["read"]]


async def test_a_position_moves_forward_only_and_is_written_once(data: Path) -> None:
    async with opened(data) as house:
        ann, first = await _ann_and_head(house)
        second = (await house.messages.send(ann.id, {"text": "again"})).seq
        for up_to in (first, second, first, second):
            await house.reads.read(ann.id, {"upTo": up_to})
        assert await _positions(house, ann) == [second]
        assert await _types(house, ann) == ["message", "message", "read", "read"]


async def _types(house: House, user: User) -> list[str]:
    mailbox = await house.delivery.mailboxes.open(user.id)
    events, _ = await house.delivery.catchup.page(mailbox, 0)
    return [event.type for event in (*events, *mailbox.after(0))]


async def _count(house: House) -> int:
    """Rows that events have in the store."""
    found: int = await house.store.archive.count("events")  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("mailbox_is_open", [True, False], ids=["in memory", "in the store"])
async def test_a_position_that_passes_no_message_is_no_news(
    data: Path, mailbox_is_open: bool
) -> None:
    """A client that always says "all of it": its own event moves the head, over which it could move again."""
    async with opened(data, Limits(meter=False)) as house:
        ann, bob = await befriended(house)
        if mailbox_is_open:
            await house.delivery.mailboxes.open(bob.id)
        await house.messages.send(ann.id, {"text": "to all"})
        await house.messages.send(ann.id, {"text": "to you", "to": bob.id})
        before = await _count(house)
        for _ in range(50):
            await house.reads.read(bob.id, {"upTo": MAX_SEQ})
            await house.reads.read(bob.id, {"upTo": MAX_SEQ, "with": ann.id})
            await house.reads.read(ann.id, {"upTo": MAX_SEQ, "with": bob.id})
        assert await _count(house) == before + 3, "one for each conversation"
        last = (await house.messages.send(bob.id, {"text": "and back", "to": ann.id})).seq
        for _ in range(3):
            await house.reads.read(ann.id, {"upTo": last, "with": bob.id})
            await house.reads.read(ann.id, {"upTo": last})
        assert (await _types(house, ann))[-3:] == ["message", "read", "read"]


async def test_a_message_from_before_the_mailbox_was_opened_is_news(data: Path) -> None:
    async with opened(data, Limits(meter=False)) as house:
        ann, bob = await befriended(house)
        await house.messages.send(ann.id, {"text": "to all"})
        mailbox = await house.delivery.mailboxes.open(bob.id)
        assert mailbox.floor_seq >= house.journal.head_seq
        before = await _count(house)
        for _ in range(3):
            await house.reads.read(bob.id, {"upTo": MAX_SEQ})
        assert await _count(house) == before + 1


async def test_positions_of_a_user_are_written_one_a_second_and_the_furthest(data: Path) -> None:
    async with opened(data, Limits(read_rate=5.0)) as house:
        ann = await person(house, "ann")
        seqs = [(await house.messages.send(ann.id, {"text": f"{n}"})).seq for n in range(12)]
        began_s = time.monotonic()
        await asyncio.gather(*(house.reads.read(ann.id, {"upTo": seq}) for seq in seqs[:6]))
        for seq in seqs[6:]:
            await house.reads.read(ann.id, {"upTo": seq}, patient=False)
        assert time.monotonic() - began_s < 0.6, "who is not patient does not wait"
        await house.reads.read(ann.id, {"upTo": seqs[-1]})
        assert time.monotonic() - began_s > 0.15
        assert await _positions(house, ann) == [seqs[-1]]
        assert (await _types(house, ann)).count("read") <= 3


async def test_who_reads_too_many_conversations_at_once_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatserver.verbs.reads.CONVERSATIONS_WAITING", 2)
    async with opened(data, Limits(read_rate=0.01)) as house:
        ann = await person(house, "ann")
        friends = [await person(house, f"f{n}") for n in range(4)]
        for friend in friends:
            await house.friendships.befriend(ann.id, friend.id)
            await house.friendships.befriend(friend.id, ann.id)
            await house.messages.send(friend.id, {"text": "hi", "to": ann.id})
        wishes = [
            asyncio.create_task(house.reads.read(ann.id, {"upTo": MAX_SEQ, "with": friend.id}))
            for friend in friends
        ]
        waiting = set(wishes)
        while len(waiting) > 2:
            _, waiting = await asyncio.wait(
                waiting, timeout=30, return_when=asyncio.FIRST_COMPLETED
            )
        done = set(wishes) - waiting
        refused = [task.exception() for task in done if task.exception()]
        assert len(waiting) == 2 and [type(each) for each in refused] == [RateLimited]
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_a_position_that_another_node_has_moved_is_not_taken_back(data: Path) -> None:
    async with opened(data) as house:
        ann, _ = await _ann_and_head(house)
        first = (await house.messages.send(ann.id, {"text": "again"})).seq
        await house.reads.read(ann.id, {"upTo": first - 1})
        place = house.journal.head_seq
        read = vocabulary.read(ann.id, BROADCASTS, first + 1)
        house.reads.follow([encode_event(read, place + 1, 0)])
        await house.reads.read(ann.id, {"upTo": first})
        assert house.journal.head_seq == place, "nothing was appended"


async def test_a_position_that_moves_while_it_is_read_is_not_taken_back(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(data) as house:
        ann, head = await _ann_and_head(house)
        read = house.store.read_position

        async def read_slowly(user_id: str, conversation: Conversation) -> int:
            position = await read(user_id, conversation)
            draft = vocabulary.read(ann.id, BROADCASTS, head)
            house.reads.follow([encode_event(draft, head + 1, 0)])
            return position

        monkeypatch.setattr(house.store, "read_position", read_slowly)
        place = house.journal.head_seq
        await house.reads.read(ann.id, {"upTo": head})
        assert house.journal.head_seq == place, "nothing was appended"


async def test_only_conversations_that_one_has_are_read(data: Path) -> None:
    async with opened(data) as house:
        ann, head = await _ann_and_head(house)
        bob = await person(house, "bob")
        place = house.journal.head_seq
        for fields, error in (
            ({"with": ann.id}, InvalidField),
            ({"with": bob.id}, Forbidden),
            ({"upTo": "1"}, InvalidField),
            ({"upTo": -1}, InvalidField),
        ):
            with pytest.raises(error):
                await house.reads.read(ann.id, {"upTo": head, **fields})
        assert house.journal.head_seq == place


async def test_what_a_conversation_holds_moves_with_what_is_read(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await befriended(house)
        last = (await house.messages.send(ann.id, {"text": "hi", "to": bob.id})).seq
        for unread in (1, 0):
            found = json.loads(await house.reads.conversations(bob.id))
            (row,) = [each for each in found["conversations"] if each["with"] == ann.id]
            assert (row["unread"], row["last"]["seq"]) == (unread, last)
            await house.reads.read(bob.id, {"upTo": last, "with": ann.id})


async def test_a_position_that_another_node_writes_while_it_is_paid_is_not_written_again(
    data: Path,
) -> None:
    async with opened(data) as house:
        ann, head = await _ann_and_head(house)
        pay = house.reads._pay

        async def pay_slowly(user_id: str) -> Payment:
            payment = await pay(user_id)
            house.reads.follow(
                [encode_event(vocabulary.read(ann.id, BROADCASTS, head), head + 1, 0)]
            )
            return payment

        house.reads._pay = pay_slowly  # type: ignore[method-assign]
        place = house.journal.head_seq
        await house.reads.read(ann.id, {"upTo": head})
        assert house.journal.head_seq == place, "nothing was appended"


async def test_who_does_not_wait_has_the_furthest_written_once_and_hears_of_no_failure(
    data: Path,
) -> None:
    async with opened(data, Limits(read_rate=0.001, read_burst=1)) as house:
        ann, first = await _ann_and_head(house)
        seqs = [(await house.messages.send(ann.id, {"text": f"{n}"})).seq for n in range(4)]
        await house.reads.read(ann.id, {"upTo": first})
        asked, second = asyncio.Event(), asyncio.Event()

        async def pay(user_id: str) -> Payment:
            asked.set()
            await second.wait()
            return paid()

        house.reads._pay = pay  # type: ignore[method-assign]
        await house.reads.read(ann.id, {"upTo": seqs[0]}, patient=False)
        await asked.wait()
        for seq in seqs[1:3]:
            await house.reads.read(ann.id, {"upTo": seq}, patient=False)
        assert len(house.reads._later) == 1, "it goes along with the one that waits"
        second.set()
        await asyncio.gather(*house.reads._later)
        assert await _positions(house, ann) == [seqs[2]]
        await house.reads.read(ann.id, {"upTo": seqs[3]}, patient=False)
        house.users.begin_leaving(ann.id)
        await asyncio.gather(*house.reads._later)
        house.users.end_leaving(ann.id)
        assert await _positions(house, ann) == [seqs[2]]
