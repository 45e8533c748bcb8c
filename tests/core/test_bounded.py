"""A dictionary with a bound: what was put in first goes first."""

from __future__ import annotations

from chatserver.core.bounded import Bounded


def test_the_entry_that_was_put_in_first_goes_when_there_are_too_many() -> None:
    kept: Bounded[str, int] = Bounded(2)
    for number, key in enumerate("abc"):
        kept.put(key, number)
    assert [kept.get(key) for key in "abc"] == [None, 1, 2]


def test_putting_again_replaces_and_pushes_nobody_out() -> None:
    kept: Bounded[str, int] = Bounded(2)
    kept.put("a", 1)
    kept.put("b", 1)
    kept.put("b", 2)
    assert [kept.get(key) for key in "ab"] == [1, 2]


def test_what_is_forgotten_is_gone_and_forgetting_it_again_is_nothing() -> None:
    kept: Bounded[str, int] = Bounded(2)
    kept.put("a", 1)
    kept.forget("a")
    kept.forget("a")
    assert kept.get("a") is None


def test_of_many_some_go_at_once_so_that_the_first_is_not_looked_for_each_time() -> None:
    kept: Bounded[int, int] = Bounded(6400)
    for number in range(6401):
        kept.put(number, number)
    assert [kept.get(number) for number in (0, 99, 100, 6400)] == [None, None, 100, 6400]
