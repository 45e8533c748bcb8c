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
