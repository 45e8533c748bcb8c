"""Joins: at most so many at once, the others in order, and a place is never lost."""

from __future__ import annotations

import asyncio
import random

from chatserver.delivery.joins import Joins


async def test_no_more_than_the_bound_are_under_way_and_all_have_their_turn_in_order() -> None:
    joins, order = Joins(3), list[int]()

    async def join(number: int) -> None:
        async with joins:
            order.append(number)
            assert joins.under_way <= 3
            await asyncio.sleep(0)

    await asyncio.gather(*[join(number) for number in range(20)])
    assert order == list(range(20))
    assert (joins.peak, joins.under_way, joins.waiting, joins.done) == (3, 0, 0, 20)


async def test_whoever_waits_for_something_else_gives_its_place_on_meanwhile() -> None:
    joins = Joins(1)
    await joins.enter()
    second = asyncio.create_task(joins.enter())
    await asyncio.sleep(0)
    assert joins.waiting == 1 and joins.room == 0
    joins.leave()
    await second
    assert joins.under_way == 1


async def test_whoever_is_cancelled_takes_no_place_with_it() -> None:
    joins = Joins(2)
    dice = random.Random(1)

    async def join() -> None:
        async with joins:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    for _ in range(50):
        tasks = [asyncio.create_task(join()) for _ in range(8)]
        for _ in range(dice.randrange(6)):
            await asyncio.sleep(0)
        for task in dice.sample(tasks, 4):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (joins.under_way, joins.waiting) == (0, 0)


async def test_who_left_for_a_while_and_is_cancelled_on_the_way_back_is_counted_out_once() -> None:
    joins = Joins(1)
    hold = asyncio.Event()

    async def leave_for_a_while() -> None:
        async with joins:
            joins.leave()
            try:
                await asyncio.sleep(3600)
            finally:
                await joins.enter_again()

    async def stay() -> None:
        async with joins:
            await hold.wait()

    first = asyncio.create_task(leave_for_a_while())
    await asyncio.sleep(0)
    second = asyncio.create_task(stay())
    await asyncio.sleep(0)
    for _ in range(2):  # out of the sleep, then out of the wait for a place
        first.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(first, return_exceptions=True)
    assert joins.under_way == 1, "of the one who stays"
    hold.set()
    await second
    assert joins.under_way == 0


async def test_room_is_told_when_one_ends_and_nobody_waits() -> None:
    joins, told = Joins(1), list[int]()
    joins.on_room = lambda: told.append(joins.room)
    async with joins:
        assert told == []
    assert told == [1]
