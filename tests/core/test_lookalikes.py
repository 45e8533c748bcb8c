"""What people take for one name has one skeleton."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.core.confusables import PROTOTYPES
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
        ("Ann Archer", "Ann Archer\u2800"),
        ("Ann Archer", "\U0001d159Ann\u2800\u2800Archer"),
        ("O'Neil", "O\u2019Neil"),
        ("O'Neil", "O\u02bcNeil"),
        ("Jean-Luc", "Jean\u2010Luc"),
        ("Jean-Luc", "Jean\u2212Luc"),
        ("\u0218tefan", "\u015etefan"),
        ("\u0102nn", "\u01cdnn"),
        ("\u00d8yvind", "O\u0338yvind"),
        ("\u0110uro", "\u00d0uro"),
        ("Gro\u00df", "Gro\u03b2"),
        ("\u039b\u03b1\u03ba\u03b7\u03c2", "\u041b\u03b1\u03ba\u03b7\u03c2"),
        ("\u30ab\u30ed", "\u529b\u53e3"),
        ("\u05d5\u05df", "\u05d5\u0627"),
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


def test_each_row_of_the_table_is_seen_as_it_says() -> None:
    """Also where what it says is written with look-alikes itself, or is taken apart by NFKD."""
    assert len(PROTOTYPES) > 2_600
    for code, seen in PROTOTYPES.items():
        assert skeleton(chr(code)) == skeleton(seen), hex(code)


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
