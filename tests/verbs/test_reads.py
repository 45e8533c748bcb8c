"""Read positions in memory follow the order: nothing is appended that is behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chatserver.core import vocabulary
from chatserver.core.conversations import BROADCASTS, ReadState
from chatserver.core.events import encode_event
from chatserver.core.people import User
from chatserver.http.house import House
from tests.verbs.test_accounts import opened, person


async def _ann_and_head(house: House) -> tuple[User, int]:
    ann = await person(house, "ann")
    return ann, (await house.messages.send(ann.id, {"text": "hello"})).seq


async def _positions(house: House, user: User) -> list[object]:
    return [row["upTo"] for row in (await house.reads.read_state(user.id))["read"]]


async def test_a_position_moves_forward_only_and_is_written_once(data: Path) -> None:
    async with opened(data) as house:
        ann, head = await _ann_and_head(house)
        for up_to in (head - 2, head - 1, head - 2, head - 1):
            await house.reads.read(ann.id, {"upTo": up_to})
        assert await _positions(house, ann) == [head - 1]
        mailbox = await house.delivery.mailboxes.open(ann.id)
        events, _ = await house.delivery.catchup.page(mailbox, 0)
        assert [event.type for event in events] == ["message", "read", "read"]


async def test_a_position_that_another_node_has_moved_is_not_taken_back(data: Path) -> None:
    async with opened(data) as house:
        ann, head = await _ann_and_head(house)
        await house.reads.read(ann.id, {"upTo": head - 5})
        place = house.journal.head_seq
        house.reads.follow([encode_event(vocabulary.read(ann.id, BROADCASTS, head), head + 1, 0)])
        await house.reads.read(ann.id, {"upTo": head - 1})
        assert house.journal.head_seq == place, "nothing was appended"


async def test_a_position_that_moves_while_it_is_read_is_not_taken_back(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(data) as house:
        ann, head = await _ann_and_head(house)
        read: Callable[[str], asyncio.Future[ReadState]] = house.store.read_state  # type: ignore[assignment]

        async def read_slowly(user_id: str) -> ReadState:
            state = await read(user_id)
            draft = vocabulary.read(ann.id, BROADCASTS, head)
            house.reads.follow([encode_event(draft, head + 1, 0)])
            return state

        monkeypatch.setattr(house.store, "read_state", read_slowly)
        place = house.journal.head_seq
        await house.reads.read(ann.id, {"upTo": head - 1})
        assert house.journal.head_seq == place, "nothing was appended"
