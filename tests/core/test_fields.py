"""What clients send is taken clean or refused by name."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.core import fields
from chatserver.core.errors import BadRequest, InvalidField

ODD: list[object] = [None, 1, 1.5, True, [], ["a"], {}, {"$gt": ""}]

TEXT_RULES: list[tuple[str, Callable[[object], object]]] = [
    ("email", fields.email),
    ("password", fields.password),
    ("firstName", fields.first_name),
    ("lastName", fields.last_name),
    ("color", fields.color),
    ("text", lambda value: fields.text(value, 100)),
    ("label", fields.label),
    ("q", fields.query),
    ("to", lambda value: fields.an_id(value, "to")),
]


@pytest.mark.parametrize(("name", "rule"), TEXT_RULES)
@pytest.mark.parametrize("odd", ODD)
def test_a_value_of_another_type_is_refused_with_the_name_of_its_field(
    name: str, rule: Callable[[object], object], odd: object
) -> None:
    with pytest.raises(InvalidField) as refusal:
        rule(odd)
    assert refusal.value.field == name


@given(st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text()), st.floats()))
def test_no_value_makes_a_rule_raise_anything_else(value: object) -> None:
    for _, rule in TEXT_RULES:
        try:
            clean = rule(value)
        except InvalidField:
            continue
        assert isinstance(clean, str)
        clean.encode("utf-8")


@pytest.mark.parametrize(
    "bad",
    ["", "ann", "ann@", "@example.com", "a b@example.com", "a@b@c", "a\n@b.c", "a@" + "b" * 253],
)
def test_what_is_no_email_address_is_refused(bad: str) -> None:
    with pytest.raises(InvalidField):
        fields.email(bad)


def test_an_email_address_may_have_254_characters() -> None:
    longest = "a@" + "b" * 252
    assert fields.email(longest) == longest


def test_a_password_has_8_to_1024_characters() -> None:
    assert fields.password("12345678") and fields.password("x" * 1024)
    for bad in ("1234567", "x" * 1025, "abcdefg\ud800"):
        with pytest.raises(InvalidField):
            fields.password(bad)


@pytest.mark.parametrize(
    "bad",
    ["", " ", "\u200b", "\u3000", "a\r\nb", "a\tb", "x" * 51, "a\u202eb", "a\u2028b", "\ud800"],
)
def test_a_first_name_that_shows_nothing_or_moves_other_text_is_refused(bad: str) -> None:
    with pytest.raises(InvalidField):
        fields.first_name(bad)


def test_a_last_name_may_be_empty_and_markup_is_only_text() -> None:
    assert fields.last_name("") == ""
    assert fields.first_name("<script>alert(1)</script>") == "<script>alert(1)</script>"


def test_the_same_name_written_in_two_ways_is_one_name() -> None:
    assert fields.first_name("Zoe\u0308") == fields.first_name("Zo\u00eb")


@pytest.mark.parametrize(
    ("color", "contrast"),
    [("#000000", 21.0), ("#ffffff", 1.0), ("#767676", 4.54), ("#777777", 4.48)],
)
def test_contrast_is_that_of_wcag(color: str, contrast: float) -> None:
    assert fields.contrast_on_white(color) == pytest.approx(contrast, abs=0.005)


def test_a_colour_that_is_too_light_for_white_is_refused() -> None:
    assert fields.color("#767676") == "#767676"
    assert fields.color("#AA0000") == "#aa0000"
    for bad in ("#777777", "#fff", "red", "#00000g", "#0000000", "#00\u0661000"):
        with pytest.raises(InvalidField):
            fields.color(bad)


def test_drawn_colours_are_readable_and_differ() -> None:
    draw = random.Random(7)
    drawn = [fields.draw_color(draw.randrange) for _ in range(300)]
    assert all(fields.color(color) == color for color in drawn)
    assert len(set(drawn)) > 290


def test_a_text_keeps_newlines_and_tabs_and_takes_cr_lf_as_one() -> None:
    assert fields.text("a\r\nb\tc\n", 10) == "a\nb\tc\n"
    assert fields.text("\U0001f600" * 4, 4) == "\U0001f600" * 4
    assert fields.text("a\r\n" * 2, 4) == "a\na\n"


@pytest.mark.parametrize(
    "bad",
    ["", " \n\t", "\u3000", "a\rb", "a\x00", "a\x1b[0m", "a\x85", "a\x7f", "\ud83d", "x" * 11],
)
def test_a_text_that_is_blank_too_long_or_holds_controls_is_refused(bad: str) -> None:
    with pytest.raises(InvalidField):
        fields.text(bad, 10)


def test_a_client_id_has_1_to_64_printable_characters_or_is_absent() -> None:
    assert fields.client_id(None) is None
    assert fields.client_id("x" * 64) == "x" * 64
    for bad in ("", "x" * 65, "a\n", "a\u200b", 7, True, ["a"]):
        with pytest.raises(InvalidField):
            fields.client_id(bad)


def test_an_integer_is_no_truth_value_and_no_fraction() -> None:
    assert fields.integer(5, "n", 1, 5) == 5
    odd: list[object] = [None, True, 1.0, "1", 0, 6, 10**30, float("nan")]
    for bad in odd:
        with pytest.raises(InvalidField):
            fields.integer(bad, "n", 1, 5)


def test_an_integer_in_a_query_is_written_in_plain_digits() -> None:
    assert fields.written_integer("007", "n", 1, 9) == 7
    assert fields.written_integer(None, "n", 1, 9) is None
    for bad in ("", "-1", "+1", " 1", "1_0", "\u0661", "1e3", "9" * 17):
        with pytest.raises(InvalidField):
            fields.written_integer(bad, "n", 1, 9)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":"\\ud800"}', {"a": "\ud800"}),
        ('{"a":1e999}', {"a": float("inf")}),
        (' {"a":[1,2.5,null,true],"b":"\\u00e9"} ', {"a": [1, 2.5, None, True], "b": "é"}),
        ('{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_what_is_json_is_read_so_that_each_field_can_be_judged(text: str, value: object) -> None:
    assert fields.json_object(text, "It") == value


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", '{"a":NaN}', '{"a":-Infinity}', "{'a':1}", '{"a":1,}', "[" * 5000, "[1]", "1"]
    + ['"\ud800"', '{"$a":1}', '{"a.b":1}', '{"type":"send","text":"x","$a":1}'],
)
def test_what_is_no_json_object_of_ours_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        fields.json_object(text, "It")


def test_brackets_in_strings_are_no_lists_unless_there_are_more_strings_than_anybody_needs() -> (
    None
):
    """Those are left out one by one: 32,000 of them took 3 ms, four times what a request pays for."""
    longest = "[" * 70 + '"' * 3900 + "\r\n" * 30
    ids = ["]" + "x" * 20] * 1000
    text = json.dumps({"text": longest, "muted": ids})
    assert fields.json_object(text, "It") == {"text": longest, "muted": ids}
    many = '{"text":"' + "[" * 65 + '","x":[' + '"",' * 21_000 + '""]}'
    with pytest.raises(BadRequest, match="too many lists"):
        fields.json_object(many, "It")
