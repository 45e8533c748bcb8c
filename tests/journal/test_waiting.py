"""Who waits for a position goes on when it is reached, hears why when it is not, and is not kept either way."""

from __future__ import annotations

import asyncio

import pytest

from chatserver.core.errors import Unavailable
from chatserver.journal import waiting
from chatserver.journal.waiting import Reached


async def test_each_goes_on_at_its_own_position_and_nobody_is_kept() -> None:
    reached = Reached("It is behind.")
    reached.reach(5)
    reached.reach(4)
    await reached.wait(5)
    tasks = [asyncio.create_task(reached.wait(seq)) for seq in (7, 6, 9)]
    await asyncio.sleep(0)
    assert reached.awaited
    for seq, done in (
        (6, [False, True, False]),
        (4, [False, True, False]),
        (8, [True, True, False]),
    ):
        reached.reach(seq)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == done and reached.seq >= seq
    assert reached.seq == 8
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert not reached.awaited


async def test_who_waits_for_too_long_hears_why_and_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store may be behind for hours, and each request would be kept as long."""
    monkeypatch.setattr(waiting, "CAUGHT_UP_S", 0.0)
    reached = Reached("It is behind.")
    asked = [reached.wait(9) for _ in range(20)]
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, Unavailable) and answer.detail == "It is behind."
    assert not reached.awaited


async def test_who_is_cancelled_in_the_turn_in_which_it_is_reached_disturbs_nobody() -> None:
    reached = Reached("It is behind.")
    one, other = [asyncio.create_task(reached.wait(9)) for _ in range(2)]
    await asyncio.sleep(0)
    one.cancel()
    reached.reach(9)
    reached.reach(10)
    await other
    await asyncio.wait([one])
    assert one.cancelled() and not reached.awaited
