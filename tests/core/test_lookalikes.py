"""What people take for one name has one skeleton."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.core.lookalikes import skeleton, skeletons


def look_alike(one: str, other: str) -> bool:
    return bool(skeletons(one) & skeletons(other))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ann Archer", "Ann Archer"),
        ("Ann Archer", "ann archer"),
        ("Ann Archer", "Ann  Archer"),
        ("Ann Archer", "Ann\u3000Archer"),
        ("Ann Archer", "\u0410nn Archer"),
        ("Ann Archer", "A\u200bnn Ar\u00adcher"),
        ("Ann Archer", "\uff21\uff4e\uff4e Archer"),
        ("Ann Archer", "\U0001d400\U0001d427\U0001d427 Archer"),
        ("Ian", "lan"),
        ("Ian", "|an"),
        ("Ian", "1an"),
        ("Bob", "B0b"),
        ("Emma", "Ernma"),
        ("\u041e\u043b\u044f", "O\u043b\u044f"),
        ("Zo\u00eb", "Zoe\u0308"),
        ("paypal", "p\u0430yp\u0430l"),
        ("Cho", "\u03f9\u04bb\u03bf"),
    ],
)
def test_names_that_look_alike_share_a_skeleton(name: str, other: str) -> None:
    assert look_alike(name, other) and look_alike(other, name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ann", "Anne"),
        ("Ann", "Anna"),
        ("Zoe", "Zo\u00eb"),
        ("Bob", "Rob"),
        ("\u0410\u043d\u043d\u0430", "\u0410\u043d\u044f"),
        ("Ann Archer", "AnnArcher"),
        ("\u592a\u90ce", "\u6b21\u90ce"),
    ],
)
def test_names_that_differ_to_the_eye_do_not(name: str, other: str) -> None:
    assert not look_alike(name, other)


@given(st.text(max_size=60))
def test_a_skeleton_is_its_own(name: str) -> None:
    """UTS 39 wants it so: or the order in which names come would decide."""
    assert skeleton(skeleton(name)) == skeleton(skeleton(skeleton(name)))
    assert look_alike(name, name)


def test_the_worst_name_costs_little() -> None:
    names = ["a" + "\u0301" * 25 + "\u0316" * 25, "\ufdfa" * 101, "m" * 101, "\u0390" * 101]
    began_s = time.thread_time()
    for name in names:
        for _ in range(50):
            skeletons.__wrapped__(name)
    assert (time.thread_time() - began_s) / 200 < 0.002
