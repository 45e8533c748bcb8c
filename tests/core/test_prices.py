"""Payments: made by tills alone, out of buckets, and good for one append."""

from __future__ import annotations

import pytest

from chatserver.core.errors import RateLimited
from chatserver.core.prices import Buckets, Payment, Till, Unpaid, free_of_charge


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_payment_is_made_by_nobody_but_a_till() -> None:
    with pytest.raises(Unpaid):
        Payment(object(), None, ())
    with pytest.raises(Unpaid):
        free_of_charge("")


@pytest.mark.parametrize("what", [None, object(), "paid", 1.0])
def test_what_is_no_payment_is_refused(what: object) -> None:
    with pytest.raises(Unpaid):
        Payment.collect(what)  # type: ignore[arg-type]


def test_a_payment_pays_once() -> None:
    till = Till("Too fast.", Clock(), Buckets(1, 5))
    for payment in (till.pay("ann"), till.offer("ann"), free_of_charge("a test")):
        assert payment is not None
        Payment.collect(payment)
        with pytest.raises(Unpaid):
            Payment.collect(payment)


def test_a_till_takes_from_all_its_buckets_or_from_none() -> None:
    clock = Clock()
    till = Till("Too fast.", clock, Buckets(0.1, 2), Buckets(0.01, 3))
    for _ in range(2):
        till.pay("ann bob", "ann")
    with pytest.raises(RateLimited, match=r"Too fast\.") as refusal:
        till.pay("ann bob", "ann")
    assert refusal.value.retry_after_s == pytest.approx(10)
    till.pay("ann cho", "ann")
    with pytest.raises(RateLimited) as refusal:
        till.pay("ann dee", "ann")
    assert refusal.value.retry_after_s == pytest.approx(100)
    clock.now_s += 100
    till.pay("ann dee", "ann")


def test_what_is_given_back_comes_back_once() -> None:
    till = Till("Too fast.", Clock(), Buckets(1, 1))
    payment = till.pay("ann")
    assert till.offer("ann") is None and till.wait_s("ann") == pytest.approx(1)
    payment.give_back()
    assert till.offer("ann") is not None
    payment.give_back()
    assert till.offer("ann") is None


def test_without_a_meter_nobody_waits_and_nothing_is_remembered() -> None:
    buckets = Buckets(1, 1, metered=False)
    till = Till("Too fast.", Clock(), buckets)
    for n in range(1000):
        till.pay(f"user {n % 3}")
    assert len(buckets) == 0 and till.wait_s("user 0") == 0


def test_a_refusal_says_to_come_later_also_where_what_was_missing_has_come_meanwhile() -> None:
    now_s = 0.0
    till = Till("Too fast.", lambda: now_s, Buckets(1.0, 1))
    assert till.offer("ann") is not None and till.offer("ann") is None
    now_s = 5.0
    assert till.refuse("ann").retry_after_s > 0
