"""A replay takes a turn of its user, and keeps nobody else from joining while it waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.events import MAX_SEQ, Event
from chatserver.core.limits import Limits
from chatserver.core.mailbox import Mailbox
from chatserver.core.visibility import View
from chatserver.delivery import catchup
from chatserver.http.house import House
from tests.support.turns import settle
from tests.verbs.test_accounts import opened, person


class Slow:
    """The journal's look at what is few, which ends when it is let go; nothing of it is in memory."""

    def __init__(self, house: House) -> None:
        self.under_way = self.peak = 0
        self.go_on = asyncio.Event()
        house.journal.few = self.few  # type: ignore[method-assign]
        house.delivery.catchup.recent.forget(MAX_SEQ)

    async def has(self, count: int) -> None:
        """Return when so many are under way."""
        async with asyncio.timeout(30):
            while self.under_way < count:
                await asyncio.sleep(0.001)

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        await self.go_on.wait()
        self.under_way -= 1
        return []


async def joined(house: House, mailbox: Mailbox) -> str | None:
    async with house.delivery.joins:
        return (await house.delivery.catchup.missed(mailbox, 0)).reason


async def mailbox_of(house: House, name: str) -> Mailbox:
    user = await person(house, name)
    await house.messages.send(user.id, {"text": "hi"})
    return await house.delivery.mailboxes.open(user.id)


@pytest.fixture
def slow_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has so few friends that finding what is few needs no turn."""
    monkeypatch.setattr(catchup, "QUICK_FRIENDS", -1)


async def test_a_herd_waits_for_no_turns_and_who_comes_over_and_over_does(data: Path) -> None:
    async with opened(data, Limits(joins=50)) as house:
        crowd = [await mailbox_of(house, f"p{number}") for number in range(8)]
        ann = await mailbox_of(house, "ann")
        slow = Slow(house)
        joins = [asyncio.create_task(joined(house, mailbox)) for mailbox in crowd]
        joins += [asyncio.create_task(joined(house, ann)) for _ in range(20)]
        await slow.has(len(crowd) + 1 + 2)
        await settle(house.store)
        assert slow.under_way == len(crowd) + 1 + 2, "ann's first, and two turns of hers"
        slow.go_on.set()
        assert await asyncio.gather(*joins) == [None] * len(joins)
        assert house.delivery.joins.under_way == 0


@pytest.mark.usefixtures("slow_for_all")
async def test_replays_of_one_user_leave_the_joins_to_others(data: Path) -> None:
    async with opened(data, Limits(joins=5)) as house:
        ann, bob = await mailbox_of(house, "ann"), await mailbox_of(house, "bob")
        slow = Slow(house)
        crowd = [asyncio.create_task(joined(house, ann)) for _ in range(30)]
        await slow.has(2)
        await settle(house.store)
        assert slow.under_way == 2, "two turns of one user"
        assert house.delivery.joins.room >= 3, "whoever waits for their own holds no join"
        other = asyncio.create_task(joined(house, bob))
        await slow.has(3)
        slow.go_on.set()
        assert await asyncio.gather(*crowd, other) == [None] * 31
        assert slow.peak == 3 and house.delivery.joins.under_way == 0


@pytest.mark.usefixtures("slow_for_all")
async def test_a_reader_with_too_many_replays_asks_again(data: Path) -> None:
    async with opened(data, Limits(reads_waiting=1)) as house:
        ann = await mailbox_of(house, "ann")
        slow = Slow(house)
        crowd = [asyncio.create_task(joined(house, ann)) for _ in range(3)]
        await slow.has(2)
        await settle(house.store)
        with pytest.raises(Unavailable):
            await joined(house, ann)
        slow.go_on.set()
        await asyncio.gather(*crowd)
        assert house.delivery.joins.under_way == 0
