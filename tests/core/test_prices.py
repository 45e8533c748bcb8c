"""Payments: made by tills alone, out of buckets, and good for one append."""

from __future__ import annotations

import pytest

from chatserver.core.addresses import SITE_TIMES, address, bucket_key
from chatserver.core.errors import RateLimited
from chatserver.core.prices import AddressBuckets, Buckets, Payment, Till, Unpaid, free_of_charge


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


def key_of(number: int, site: int = 1) -> str:
    """Of the /64 of this number in a /48."""
    where = address(f"2001:db8:{site:x}:{number:x}::1")
    assert where is not None
    return bucket_key(where)


@pytest.mark.parametrize("way", ["take", "borrow"])
def test_all_of_a_site_have_four_times_what_one_of_its_customers_has(way: str) -> None:
    buckets = AddressBuckets(1.0, 5)

    def taken(key: str, now_s: float) -> bool:
        if way == "take":
            return not buckets.take(key, now_s)
        return buckets.borrow(key, now_s, 1.0, 0.0) == 0.0

    paid = [taken(key_of(number), 0.0) for number in range(1000)]
    assert paid == [True] * (5 * SITE_TIMES) + [False] * (1000 - 5 * SITE_TIMES)
    assert buckets.wait_s(key_of(5000), 0.0) == pytest.approx(1 / SITE_TIMES)
    assert [taken("192.0.2.1", 0.0) for _ in range(6)] == [True] * 5 + [False], "nobody else pays"
    assert [taken(key_of(0, site=2), 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert taken(key_of(5000), 1.0), "it comes back"


def test_what_a_customer_gets_back_its_site_gets_back() -> None:
    buckets = AddressBuckets(1.0, 1)
    for number in range(SITE_TIMES):
        assert buckets.take(key_of(number), 0.0) == 0.0
    assert buckets.take(key_of(9), 0.0) > 0
    buckets.give_back(key_of(0))
    assert buckets.take(key_of(9), 0.0) == 0.0 and buckets.take(key_of(10), 0.0) > 0


def test_what_a_customer_has_spent_at_another_node_its_site_has_spent() -> None:
    buckets = AddressBuckets(1.0, 2)
    for number in range(2 * SITE_TIMES):
        buckets.spent_elsewhere(key_of(number), 0.0)
    assert buckets.take(key_of(99), 0.0) > 0


def test_whoever_may_wait_for_the_site_waits_as_long_as_it_takes() -> None:
    buckets = AddressBuckets(1.0, 1)
    for number in range(SITE_TIMES):
        buckets.take(key_of(number), 0.0)
    assert buckets.borrow(key_of(9), 0.0, 1.0, 5.0) == pytest.approx(1 / SITE_TIMES)
    assert buckets.borrow(key_of(9), 0.0, 1.0, 0.5) == pytest.approx(1.0), "its own is dearer"
