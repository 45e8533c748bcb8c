"""The mark of what was dropped is remembered for as long as nothing is dropped."""

from __future__ import annotations

import asyncio

from chatserver.journal.dropping import DropMark


async def test_the_mark_is_read_once_and_anew_when_events_were_dropped() -> None:
    reads, marks = [0], [7]
    slow = asyncio.Event()
    slow.set()

    async def read() -> int:
        reads[0] += 1
        found = marks[0]
        await slow.wait()
        return found

    mark = DropMark(read)
    assert [await mark.seq(), await mark.seq()] == [7, 7] and reads == [1]
    with mark.moving():
        marks[0] = 9
        assert [await mark.seq(), await mark.seq()] == [9, 9] and reads == [3]
    assert [await mark.seq(), await mark.seq()] == [9, 9] and reads == [4]
    with mark.moving():
        pass
    slow.clear()
    late = asyncio.ensure_future(mark.seq())
    await asyncio.sleep(0)
    with mark.moving():
        marks[0] = 11
    slow.set()
    assert await late == 9, "what was read before the drop"
    assert await mark.seq() == 11, "and is not remembered"
