"""The hub on the loop: one flush a turn, a count, the lag, and a reader that fails is cut alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatserver.core.events import Event
from chatserver.delivery.connections import Connections
from tests.delivery.kit import Probe, opened


class Stubborn(Probe):
    """A reader that takes nothing, and pulls at the flush; or fails in it."""

    failing = False
    flushes = 0

    def take(self, run: list[Event], before: int) -> bool:
        return False

    def flush(self) -> None:
        self.flushes += 1
        if self.failing:
            raise RuntimeError("a mistake of ours")


async def test_marked_readers_are_flushed_once_a_turn(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        probe = Stubborn(place.delivery.readers, await place.delivery.mailboxes.open("ann"))
        place.delivery.readers.attach(probe)
        place.hub.mark(probe)
        place.hub.mark(probe)
        assert (probe.flushes, place.hub.flush_due) == (0, True)
        await asyncio.sleep(0)
        assert (probe.flushes, place.hub.flush_due) == (1, False)


async def test_events_are_counted_and_the_lag_is_noted_with_or_without_a_flush(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        taking = await place.reader("ann")
        await place.say("ann")
        assert taking.got == [place.journal.head_seq]
        stubborn = Stubborn(place.delivery.readers, taking.mailbox)
        place.delivery.readers.attach(stubborn)
        place.clock.now_ms += 5
        await place.say("ann")
        await asyncio.sleep(0)
        assert stubborn.flushes == 1
        assert place.fanout.applied_events == 2
        assert sum(place.fanout.lag.seconds.counts) == 2


async def test_a_reader_that_fails_is_cut_and_the_others_get_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as place:
        failing = Stubborn(place.delivery.readers, await place.delivery.mailboxes.open("ann"))
        failing.failing = True
        place.delivery.readers.attach(failing)
        other = await place.reader("ann")
        await place.say("ann")
        for _ in range(3):
            await asyncio.sleep(0)
        assert (failing.cuts, other.cuts, len(other.got)) == (1, 0, 1)
        assert caplog.text.count("cut a reader that failed") == 1


async def test_failures_are_counted_in_all_and_by_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as place:
        connections: Connections = place.delivery.connections
        for _ in range(2):
            try:
                raise RuntimeError("a mistake of ours")
            except RuntimeError as error:
                connections.failed("10.0.0.1", error)
        connections.failed("10.0.0.2", RuntimeError("never raised"))
        assert connections.counts == {"failed": 3}
        first, second, third = caplog.messages
        assert "10.0.0.1, the 1. of" in first and "the 2. of" in second and "the 1. of" in third
        assert "test_failures_are_counted" in first


async def test_the_rooms_start_and_close_together(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        place.delivery.start()
        await asyncio.sleep(0)
        await place.delivery.close()
