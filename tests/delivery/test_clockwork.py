"""One clock for everybody: each is visited about when it should, whatever the others do."""

from __future__ import annotations

import asyncio
import json

import pytest

from chatserver.core.limits import Limits
from chatserver.delivery.clockwork import TICK_MAX_S, TICK_MIN_S, Clockwork


class Patient:
    """Wants to be visited again in `again_s`; fails on its visit where `failing`."""

    def __init__(self, again_s: float | None, failing: bool = False) -> None:
        self.again_s = again_s
        self.failing = failing
        self.visits: list[float] = []

    def visit(self, now_s: float) -> float | None:
        self.visits.append(now_s)
        if self.failing:
            raise RuntimeError("a mistake of ours")
        return self.again_s


def clockwork(now_s: float = 100.0) -> Clockwork:
    return Clockwork(Limits(), lambda: now_s, lambda: int(now_s * 1000))


def turns(clock: Clockwork, until_s: int) -> None:
    for now_s in range(101, until_s + 1):
        clock.turn(float(now_s))


def test_a_visit_is_not_early_at_most_a_tick_late_and_comes_again_as_asked() -> None:
    clock, patient = clockwork(), Patient(again_s=10.0)
    clock.look_after(patient, 5.0)
    turns(clock, 130)
    assert patient.visits == [106.0, 117.0, 128.0]


def test_who_wants_no_more_visits_and_who_is_looked_away_from_gets_none() -> None:
    clock, once, never = clockwork(), Patient(None), Patient(1.0)
    clock.look_after(once, 1.0)
    clock.look_after(never, 1.0)
    clock.look_away(never)
    turns(clock, 130)
    assert (len(once.visits), never.visits) == (1, [])


def test_one_visit_that_fails_takes_nobody_elses(caplog: pytest.LogCaptureFixture) -> None:
    clock = clockwork()
    patients = [Patient(None, failing=number % 2 == 0) for number in range(6)]
    for patient in patients:
        clock.look_after(patient, 1.0)
    turns(clock, 110)
    assert [len(patient.visits) for patient in patients] == [1] * 6
    assert [record.message for record in caplog.records] == ["a visit failed"] * 3


async def test_the_work_of_each_turn_is_done_whatever_one_of_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clockwork(Limits(offline_grace_s=0.05), lambda: 100.0, lambda: 100_000)
    done = asyncio.Event()

    def fails(now_s: float) -> None:
        raise RuntimeError("a mistake of ours")

    def works(now_s: float) -> None:
        done.set()

    clock.start(fails, works)
    await asyncio.wait_for(done.wait(), 30)
    await clock.close()
    assert "a turn of the clockwork failed" in caplog.text


async def test_a_clockwork_that_never_began_can_be_closed() -> None:
    await clockwork().close()


def test_the_heartbeat_of_a_turn_is_one_signal_with_its_time() -> None:
    clock = clockwork()
    before = clock.ping
    clock.turn(101.0)
    assert clock.ping is not before
    assert json.loads(clock.ping.payload) == {"type": "ping", "at": 100_000}


@pytest.mark.parametrize(("grace_s", "tick_s"), [(10.0, TICK_MAX_S), (0.001, TICK_MIN_S)])
def test_the_tick_follows_the_shortest_wait_within_its_bounds(
    grace_s: float, tick_s: float
) -> None:
    clock = Clockwork(Limits(offline_grace_s=grace_s), lambda: 0.0, lambda: 0)
    assert clock._wheel.tick_s == tick_s
