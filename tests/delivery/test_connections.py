"""What connections share: how many polls a turn answers, what their frames cost, and whether there is room for more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.limits import Limits
from chatserver.delivery.clockwork import Clockwork
from chatserver.delivery.connections import LATELY_S, POLLS_A_TURN, Connections

LIMITS = Limits(frame_rate=10, frame_burst=40, send_rate=2, send_burst=8, connections=1)


class Hall:
    """Connections by a clock that the test moves."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now_s = 100.0
        clockwork = Clockwork(limits, lambda: self.now_s, lambda: 0)
        self.connections = Connections(clockwork, limits)

    def burst(self) -> int:
        """How many frames a user may send at once."""
        frames = self.connections.frames
        assert frames is not None
        return sum(frames.take("ann", self.now_s) == 0 for _ in range(1000))


async def test_a_turn_answers_so_many_polls_and_the_next_one_as_many() -> None:
    connections = Hall().connections
    for _ in range(2):
        taken = [connections.take_turn() for _ in range(POLLS_A_TURN + 5)]
        assert taken == [True] * POLLS_A_TURN + [False] * 5
        await asyncio.sleep(0)


def test_who_may_write_faster_may_send_more_frames_and_without_a_meter_none_costs_anything() -> (
    None
):
    assert Hall().burst() == 40
    assert Hall(replace(LIMITS, send_burst=100)).burst() == 200
    free = Hall(replace(LIMITS, meter=False)).connections
    assert free.frames is None and "frames" not in free.shared()


def test_frames_and_requests_count_at_all_nodes() -> None:
    connections = Hall().connections
    shared = connections.shared()
    assert shared["frames"] is connections.frames
    connections.tolls.user_pays("ann", 5)
    connections.tolls.address_pays("here", 7)
    for name, key in (("requests of users", "ann"), ("requests of addresses", "here")):
        assert shared[name].wait_s(key, 100.0, 10_000) > shared[name].wait_s("x", 100.0, 10_000)
    assert len(shared) == 3


def test_answers_that_say_that_something_is_wrong_here_are_counted() -> None:
    connections = Hall().connections
    for status in (200, 404, 499, 500, 503, 503):
        connections.answered(status)
    assert connections.answers == {500: 1, 503: 2}


def test_a_server_without_room_is_not_ready_until_nobody_was_refused_for_a_while() -> None:
    hall = Hall()
    connections = hall.connections
    assert connections.trouble() == "The server takes no new connections."
    connections.accepting = True
    assert connections.trouble() is None
    connections.seats.take(None)
    with pytest.raises(Unavailable):
        connections.seats.take(None)
    assert connections.trouble() == "The server has no room for more connections."
    hall.now_s += 1.0
    connections.starved_at_s = hall.now_s
    assert connections.trouble() == "The server has run out of descriptors."
    hall.now_s += LATELY_S - 1.0
    assert connections.trouble() == "The server has run out of descriptors."
    hall.now_s += 1.0
    assert connections.trouble() is None
