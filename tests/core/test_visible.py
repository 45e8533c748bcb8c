"""What shows nothing is told by what is drawn, not by category."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from chatserver.core import fields
from chatserver.core.errors import InvalidField
from chatserver.core.visible import (
    enclosed,
    isolated,
    moves_others,
    shows_something,
    stands_alone,
    without_invisible,
)

NOTHING = [
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u200c\u200d\u200e\u2060\u2064\u2066\u206f",
    *"\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff9\U0001bca0\U0001d173\U000e0001\U000e0020\U000e0fff",
    *"\u2800\u3000\u00a0\u1680\u2007\u202f\u205f\U0001d159\U00013441\U00016fe4",
    *"\ufffa\ufffb\ufffc\ufdd0\ufdef\ufffe\uffff\U0001fffe\U0010fffe\U0010ffff\U000e0061\U000e007f",
    *"\ue000\uf8ff\U000f0000\U0010fffd\U00013430\U0001343f\u1039\u17d2\u2d7f",
]
"""A letter, a mark, a symbol, a space, a private or a reserved place each, and none is drawn."""

SOMETHING = [
    "a",
    ".",
    "-",
    "\u0301",
    "\u00e9",
    "\u4e2d",
    "\u0e01",
    "\U0001f600",
    "a\ue000",
    "\ufffd",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "\U0001fae9",
    "\u2588",
    "\u30fb",
    "\u200da",
    "\u2764\ufe0f",
    "a\u3164",
]


@pytest.mark.parametrize("nothing", NOTHING, ids=lambda each: f"{ord(each):04X}")
def test_a_name_a_label_and_a_text_that_show_nothing_are_refused(nothing: str) -> None:
    assert not shows_something(nothing * 3)
    for rule in (
        fields.first_name,
        fields.last_name,
        fields.label,
        lambda text: fields.text(text, 9),
    ):
        with pytest.raises(InvalidField):
            rule(f"{nothing}\u2800{nothing}")


@pytest.mark.parametrize("something", SOMETHING)
def test_what_is_drawn_is_something(something: str) -> None:
    assert shows_something(something)
    assert fields.text(something, 9) == something


@pytest.mark.parametrize(
    "mark",
    [
        *"\u0301\u0338\u0345\u0488\u0489\u20dd\u20e3\u3099\ua802",
        *"\u05b0\u064b\u0901\u0903\u093e\u0e31\u0e4c\u1ab0\u1dc0\ufe20\U0001d165\U0001e944",
    ],
    ids=lambda each: f"{ord(each):04X}",
)
def test_a_name_or_a_label_that_begins_with_a_mark_is_drawn_on_what_stands_before_it(
    mark: str,
) -> None:
    """A lone U+0301 was a name: an accent on the quote or the name that stood before it."""
    for defective in (
        mark,
        mark * 9,
        f"\u200d{mark}",
        f"\u00a0{mark}",
        f"{mark}Ann",
        f"\u2800{mark}",
    ):
        assert not stands_alone(defective)
        for rule in (fields.first_name, fields.last_name, fields.label):
            with pytest.raises(InvalidField):
                rule(defective)
    assert fields.text(mark, 9) == mark


@pytest.mark.parametrize(
    "name",
    [
        "\u0938\u0940\u0924\u093e",
        "\u0b9a\u0bc0\u0ba4\u0bbe",
        "\u0e40\u0e1e\u0e47\u0e0d",
        "\u0e2a\u0e38\u0e14\u0e32\u0e23\u0e31\u0e15\u0e19\u0e4c",
        "\u1019\u103c\u1004\u1037\u103a",
        "\u1785\u17d0\u1793\u17d2\u1791",
        "\u0645\u064f\u062d\u0645\u0651\u062f",
        "\u05d3\u05b8\u05bc\u05d5\u05b4\u05d3",
        "\u0f56\u0f66\u0f7c\u0f51",
        "\u1112\u1161\u11ab",
        "z\u0301\u0338",
        "1\ufe0f\u20e3",
        "\U0001f44d\U0001f3fd",
    ],
)
def test_names_whose_marks_stand_on_their_own_letters_are_names(name: str) -> None:
    assert stands_alone(name)
    assert fields.first_name(name) == fields.last_name(name) == unicodedata.normalize("NFC", name)


def test_every_space_of_this_pythons_unicode_is_nothing() -> None:
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    assert len(spaces) > 20
    assert not any(map(shows_something, spaces))
    letters = (chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Ll")
    assert all(map(shows_something, letters))


@pytest.mark.parametrize(
    "mark",
    [
        *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
        *"\u206a\u206e\u206f\ufff9\ufffa\ufffb\ufffc",
    ],
    ids=lambda each: f"{ord(each):04X}",
)
def test_marks_that_reorder_are_refused_in_names_and_labels(mark: str) -> None:
    assert moves_others(f"Ann{mark}")
    for rule in (fields.first_name, fields.last_name, fields.label):
        with pytest.raises(InvalidField):
            rule(f"Ann {mark}rehcrA")
    if not mark.isspace():
        assert fields.text(f"a{mark}b", 9) == f"a{mark}b"


def test_a_name_and_a_label_hold_no_noncharacter() -> None:
    every = {
        *range(0xFDD0, 0xFDF0),
        *(16**4 * n + low for n in range(17) for low in (0xFFFE, 0xFFFF)),
    }
    for code in every:
        for rule in (fields.first_name, fields.last_name, fields.label):
            with pytest.raises(InvalidField):
                rule(f"Ann{chr(code)}")
        assert fields.text(f"a{chr(code)}", 9) == f"a{chr(code)}"


def test_letters_of_every_direction_and_their_joiners_are_names() -> None:
    for name in (
        "\u05d3\u05d5\u05d3",
        "\u0645\u062d\u0645\u062f",
        "\u0646\u06cc\u200c\u0645",
        "\U0001f468\u200d\U0001f469",
    ):
        assert fields.first_name(name) == name
    assert without_invisible("A\u200bn\u00adn \u2800x") == "Ann \u2800x"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("a\u2069b", "ab"),
        ("\u2067a\u2069b\u2069c", "\u2067a\u2069bc"),
        ("\u2068a\n\u2069b", "\u2068a\nb"),
    ],
)
def test_an_end_of_an_isolate_that_nothing_began_goes(text: str, kept: str) -> None:
    """It would close the isolate around the text, and let it reorder what stands beside."""
    assert enclosed(text) == kept and isolated(text) == f"\u2068{kept}\u2069"


def test_a_password_counts_after_nfc() -> None:
    assert fields.password("Zoe\u0308 and Ann") == fields.password_given("Zo\u00eb and Ann")
    with pytest.raises(InvalidField):
        fields.password("e\u0301" * 7)
    assert len(fields.password("e\u0301" * 8)) == 8
    with pytest.raises(InvalidField):
        fields.password_given("\u0958" * 513)  # as long as allowed before, longer after
