"""What a request costs, and whose bucket pays."""

from __future__ import annotations

import socket
from functools import partial

import pytest

from chatserver.core.errors import RateLimited
from chatserver.core.limits import Limits
from chatserver.core.prices import TokenBucket
from chatserver.delivery.seats import SeatedSocket, Seats, seat_of, sign_in
from chatserver.delivery.tolls import FILE, POLL, REQUEST, Tolls


class Gate:
    """Tolls of two requests a second, four at once, for a user and for an address; and a clock."""

    def __init__(self, meter: bool = True) -> None:
        self.now_s = 100.0
        self.limits = Limits(
            meter=meter,
            http_rate=2,
            http_burst=4,
            http_rate_per_address=2,
            http_burst_per_address=4,
            connections_per_user=1,
        )
        self.tolls = Tolls(self.limits, lambda: self.now_s)


def test_a_user_has_a_burst_and_then_a_rate_and_another_user_their_own() -> None:
    gate = Gate()
    for _ in range(4):
        assert gate.tolls.user_pays("eve", REQUEST) == 0.0
    with pytest.raises(RateLimited) as refusal:
        gate.tolls.user_pays("eve", REQUEST)
    assert refusal.value.retry_after_s == pytest.approx(0.5)
    gate.tolls.user_pays("ann", REQUEST)
    gate.now_s += 0.5
    gate.tolls.user_pays("eve", REQUEST)
    assert gate.tolls.refused == 1


def test_a_poll_and_a_file_cost_less_than_a_request() -> None:
    gate = Gate()
    for _ in range(40):
        gate.tolls.address_pays("a", POLL)
    for _ in range(8):
        gate.tolls.address_pays("b", FILE)
    for address in ("a", "b"):
        with pytest.raises(RateLimited):
            gate.tolls.address_pays(address, POLL)


def test_a_file_is_held_back_before_it_is_refused() -> None:
    gate = Gate()
    waits_s = [gate.tolls.user_pays("ann", REQUEST, patience_s=1.0) for _ in range(6)]
    assert waits_s == pytest.approx([0, 0, 0, 0, 0.5, 1.0])
    with pytest.raises(RateLimited):
        gate.tolls.user_pays("ann", REQUEST, patience_s=1.0)
    assert (gate.tolls.held, gate.tolls.refused) == (2, 1)
    gate.now_s += 0.5
    assert gate.tolls.user_pays("ann", REQUEST, patience_s=1.0) == pytest.approx(1.0)


def test_who_must_have_the_price_does_not_pay_it_yet() -> None:
    gate = Gate()
    for _ in range(50):
        gate.tolls.address_must_have("a", REQUEST)
    for _ in range(4):
        gate.tolls.address_pays("a", REQUEST)
    gate.tolls.address_must_have("a", REQUEST, patience_s=0.5)
    with pytest.raises(RateLimited, match="this address"):
        gate.tolls.address_must_have("a", REQUEST, patience_s=0.4)
    assert (gate.tolls.refused, gate.tolls.held) == (1, 0)


def test_whoever_turns_out_to_be_signed_in_pays_instead_of_the_address() -> None:
    gate = Gate()
    for number in range(50):
        gate.tolls.address_pays("school", REQUEST)
        gate.tolls.user_pays_instead("school", REQUEST, f"pupil {number}")
    for _ in range(4):
        gate.tolls.address_pays("school", REQUEST)
        gate.tolls.user_pays_instead("school", REQUEST, "eve")
    with pytest.raises(RateLimited):
        gate.tolls.user_pays("eve", REQUEST)


def test_a_sign_in_settles_what_the_address_has_paid_once() -> None:
    gate = Gate()
    seats = Seats(gate.limits, lambda: gate.now_s)
    ours, theirs = socket.socketpair()
    seated = SeatedSocket.of(ours, seats, seats.take("a"))
    seat = seat_of(seated)
    assert seat is not None and seat_of(theirs) is None
    for _ in range(4):
        gate.tolls.address_pays("a", REQUEST)
    seat.owed = partial(gate.tolls.user_pays_instead, "a", REQUEST)
    sign_in(seated, "ann")
    sign_in(seated, "ann")
    gate.tolls.address_pays("a", REQUEST)
    with pytest.raises(RateLimited):
        gate.tolls.address_pays("a", REQUEST)
    seated.close()
    theirs.close()


def test_whoever_may_have_more_connections_may_ask_more() -> None:
    limits = Limits(http_burst=4, connections_per_user=600)
    tolls = Tolls(limits, lambda: 0.0)
    for _ in range(1200):
        tolls.user_pays("ann", REQUEST)


def test_with_the_meter_off_nothing_is_refused() -> None:
    gate = Gate(meter=False)
    for _ in range(100):
        assert gate.tolls.user_pays("eve", REQUEST) == gate.tolls.address_pays("a", REQUEST) == 0.0


def test_what_is_borrowed_is_there_sooner_or_later_and_too_much_is_not_given() -> None:
    bucket = TokenBucket(rate=1, burst=2, now_s=0)
    assert bucket.borrow(0, 2, 3) == 0.0
    assert bucket.borrow(0, 1, 3) == pytest.approx(1)
    assert bucket.borrow(0, 2, 3) == pytest.approx(3)
    assert bucket.borrow(0, 1, 3) == pytest.approx(4), "and nothing is taken"
    assert bucket.take(4, 1) == 0.0
    assert bucket.full_at_s() == pytest.approx(6)
