"""The rules for what clients send: each function takes a parsed JSON value of any type and returns it clean.

Raises `InvalidField` with the wire's name of the field. No look-ups: whether somebody exists, or a name is
taken, is the service's question.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping

import orjson

from chatserver.core.errors import BadRequest, InvalidField
from chatserver.core.events import MAX_SEQ
from chatserver.core.visible import holds_no_character, moves_others, shows_something, stands_alone

Fields = Mapping[str, object]
"""A parsed JSON object; nothing is known about its values."""

EMAIL_CHARS = 254
"""The longest address that fits an SMTP path (RFC 5321, section 4.5.3.1.3)."""
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 1024
NAME_CHARS = 50
LABEL_CHARS = 100
CLIENT_ID_CHARS = 64
ID_CHARS = 64
QUERY_CHARS = 100
CONTRAST_MIN = 4.5
"""WCAG 2.2, success criterion 1.4.3, level AA."""

# C0, DEL, C1 and lone surrogates; in texts all but tab and newline.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]]+@[^\s@<>\"(),:;\\\[\]]+")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
NUMBER_DIGITS = 16
"""As many as 2^53 has."""
_DIGITS = re.compile(rf"[0-9]{{1,{NUMBER_DIGITS}}}")
_SURROGATE = re.compile("[\ud800-\udfff]")

WRITTEN_FACTOR = 4
"""A field may come so many times as long as it may be: decomposed (a Vietnamese vowel is three characters), or with
spaces around. More is refused before it is looked at, since normalising takes time that grows with the square of a
run of marks: 64 KB of them stopped the server for 3.8 s."""

CONTAINERS_MAX = 64
"""Lists and objects in one message. No field of ours holds any; what has more, is built to be nested."""

QUOTES_MAX = 10_000
"""More than the longest text and the longest list have, in one message that holds many brackets: strings are left out of it one by one, and
32,000 of them took 3 ms, four times what a request pays for."""

_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""Strings of a JSON text. The last quote may be missing: a text without it would be searched anew from each quote."""


def _no_constant(name: str) -> None:
    # NaN and the infinities are not JSON (RFC 8259, section 6), though Python would read them.
    raise ValueError(name)


_OF_A_MESSAGE = frozenset({"type", "to", "text", "clientId"})

_decode_slowly = json.JSONDecoder(parse_constant=_no_constant).decode


def json_object(text: str, what: str) -> dict[str, object]:
    """The object that `text` is, from a client; `what` begins the sentence that refuses it.

    Raises `BadRequest`, also for keys that a database could take for operators or paths: none of ours
    has a dollar or a dot, so nobody means well with them.
    """
    value = _json(text, what)
    if not isinstance(value, dict):
        raise BadRequest(f"{what} must be a JSON object.")
    if not value.keys() <= _OF_A_MESSAGE:  # nearly all that comes is a message
        _refuse_paths(value, what)
    return value


def json_list(text: str, what: str) -> list[object]:
    """As `json_object`, for a list; the objects in it are looked at in the same way."""
    value = _json(text, what)
    if not isinstance(value, list):
        raise BadRequest(f"{what} must be a JSON list.")
    for one in value:
        if isinstance(one, dict):
            _refuse_paths(one, what)
    return value


def _json(text: str, what: str) -> object:
    # The parsers are recursive, each a level of the stack for a level of nesting. An object without any is nearly all that
    # comes, and to see that takes a tenth of counting.
    if ("[" in text or text.find("{", 1) > 0) and _containers(text) > CONTAINERS_MAX:
        raise BadRequest(f"{what} holds too many lists or objects.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half a surrogate pair and a number like 1e999 are JSON, of which orjson wants to know nothing:
        # whose field it stands in, is to be told by that field's rule.
        return _decode_slowly(text)
    except ValueError:
        raise BadRequest(f"{what} is not JSON.") from None


def _refuse_paths(value: dict[str, object], what: str) -> None:
    keys = "".join(value)
    if "$" in keys or "." in keys:
        raise BadRequest(f"{what} has a key with a dollar or a dot.")


def _containers(text: str) -> int:
    """How many lists and objects begin in a JSON text, strings left out; at least so many, where it is no JSON, or all strings."""
    count = text.count("[") + text.count("{")
    if count <= CONTAINERS_MAX or text.count('"') > QUOTES_MAX:
        return count  # nearly all of them
    bare = _STRINGS.sub("", text)
    return bare.count("[") + bare.count("{")


def _string(value: object, field: str) -> str:
    if value is None:
        raise InvalidField(field, f"The field {field} is missing.")
    if not isinstance(value, str):
        raise InvalidField(field, f"The field {field} must be a string.")
    return value


def _bounded(
    value: object,
    field: str,
    max_chars: int,
    too_long: str,
    clean: Callable[[str], str],
    factor: int = WRITTEN_FACTOR,
) -> str:
    """The string, cleaned by `clean`, at most `max_chars` long after that and `factor` times as long before it.

    Every text of a client goes through here. Raises `InvalidField` with the sentence `too_long`,
    in which `{}` is the length.
    """
    text = _string(value, field)
    if len(text) <= max_chars * factor:
        text = clean(text)
        if len(text) <= max_chars:
            return text
    raise InvalidField(field, too_long.format(max_chars))


def _trimmed(text: str) -> str:
    return text.strip(" ")


def _composed(text: str) -> str:
    """The same characters in the one way in which they are kept and compared (NFC, Unicode 3.11)."""
    return unicodedata.normalize("NFC", text.strip(" "))


def email(value: object) -> str:
    """An email address as it was written; the store compares addresses without case."""
    too_long = "An email address has at most {} characters."
    text = _bounded(value, "email", EMAIL_CHARS, too_long, _trimmed)
    if not _EMAIL.fullmatch(text) or _CONTROL.search(text) or not text.isprintable():
        raise InvalidField("email", "This is not an email address.")
    return text


def password(value: object, field: str = "password") -> str:
    """A password to be set: 8 to 1,024 characters of any kind, counted and kept after NFC."""
    text = password_given(value, field)
    if len(text) < PASSWORD_CHARS_MIN:
        raise InvalidField(field, f"A password has at least {PASSWORD_CHARS_MIN} characters.")
    return text


def password_given(value: object, field: str = "password") -> str:
    """A password to be compared, after NFC: keyboards differ in how they write one character (RFC 8265, 4.2).

    As long as one may be, so that hashing it is bounded; no longer before NFC, which costs 4 ms for that many marks.
    """
    too_long = "A password has at most {} characters."
    text = _bounded(value, field, PASSWORD_CHARS_MAX, too_long, _same_password, factor=1)
    if _SURROGATE.search(text):
        raise InvalidField(field, "A password cannot hold half a surrogate pair.")
    return text


def _same_password(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _name(value: object, field: str) -> str:
    too_long = "A name has at most {} characters."
    text = _bounded(value, field, NAME_CHARS, too_long, _composed)
    if _CONTROL.search(text) or moves_others(text) or holds_no_character(text):
        raise InvalidField(
            field, "A name cannot hold control characters, nor marks that reorder text."
        )
    if text and not stands_alone(text):
        raise InvalidField(field, "A name that shows nothing is none.")
    return text


def first_name(value: object) -> str:
    """A first name: 1 to 50 characters that show something by themselves."""
    text = _name(value, "firstName")
    if not text:
        raise InvalidField("firstName", "The first name is missing.")
    return text


def last_name(value: object) -> str:
    """A last name: 0 to 50 characters; where there are any, they show something by themselves."""
    return _name(value, "lastName")


def color(value: object) -> str:
    """`#rrggbb` in lower case, readable as text on white."""
    text = _string(value, "color")
    if not _COLOR.fullmatch(text):
        raise InvalidField("color", "A colour is written as #rrggbb.")
    if contrast_on_white(text) < CONTRAST_MIN:
        raise InvalidField("color", "This colour is too light to be read on white.")
    return text.lower()


def contrast_on_white(rrggbb: str) -> float:
    """The contrast ratio of `#rrggbb` text on white, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    luminance = 0.0
    for index, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        part = int(rrggbb[index : index + 2], 16) / 255
        linear = part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        luminance += weight * linear
    return 1.05 / (luminance + 0.05)


def draw_color(below: Callable[[int], int]) -> str:
    """A colour readable on white, drawn with `below(n)`, which returns 0 to n - 1.

    Each channel is drawn evenly and light colours are drawn again, so every readable colour can
    come up; greys are left out, because nobody recognises a person by them.
    """
    while True:
        parts = (below(256), below(256), below(256))
        drawn = f"#{parts[0]:02x}{parts[1]:02x}{parts[2]:02x}"
        if max(parts) - min(parts) >= 64 and contrast_on_white(drawn) >= CONTRAST_MIN:
            return drawn


def text(value: object, max_chars: int) -> str:
    """A message's text: it shows something, newlines as one character, no control character but tab and newline."""
    # Where all is printable there is nothing to be cleaned or refused: nearly every message of one line.
    if (
        isinstance(value, str)
        and len(value) <= max_chars
        and value.isprintable()
        and shows_something(value)
    ):
        return value
    too_long = "A message has at most {} characters."
    # Twice, for `\r\n`.
    clean = _bounded(value, "text", max_chars, too_long, _with_newlines, factor=2)
    if _CONTROL_IN_TEXT.search(clean):
        raise InvalidField("text", "A message cannot hold control characters.")
    if not shows_something(clean):
        raise InvalidField("text", "The message is empty.")
    return clean


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n")


def client_id(value: object) -> str | None:
    """The sender's own id of a message: 1 to 64 printable characters, or None."""
    if isinstance(value, str) and value and len(value) <= CLIENT_ID_CHARS and value.isprintable():
        return value  # nearly always, and without a call more
    if value is None:
        return None
    clean = _string(value, "clientId")
    if not 1 <= len(clean) <= CLIENT_ID_CHARS or not clean.isprintable():
        raise InvalidField(
            "clientId", f"A clientId has 1 to {CLIENT_ID_CHARS} printable characters."
        )
    return clean


def an_id(value: object, field: str) -> str:
    """The id of a user, a token or a login. That it is well-formed says nothing about its existence."""
    clean = _string(value, field)
    if not 1 <= len(clean) <= ID_CHARS or not clean.isprintable():
        raise InvalidField(field, f"The field {field} is not an id.")
    return clean


def optional_id(value: object, field: str) -> str | None:
    """As `an_id`; None where there is none."""
    return None if value is None else an_id(value, field)


def label(value: object) -> str:
    """A token's label: 1 to 100 characters in one line that show something by themselves."""
    wrong = f"A label has 1 to {LABEL_CHARS} characters in one line."
    clean = _bounded(value, "label", LABEL_CHARS, wrong, _trimmed)
    moves = moves_others(clean) or holds_no_character(clean)
    if moves or not stands_alone(clean) or _CONTROL.search(clean):
        raise InvalidField("label", wrong)
    return clean


def query(value: object) -> str:
    """Words to find people by; may be empty."""
    wrong = f"A search has at most {QUERY_CHARS} characters in one line."
    clean = _bounded(value, "q", QUERY_CHARS, wrong, str.strip)
    if _CONTROL.search(clean):
        raise InvalidField("q", wrong)
    return clean


def integer(value: object, field: str, low: int, high: int) -> int:
    """A JSON integer from `low` to `high`. Truth values and fractions are none."""
    if value is None:
        raise InvalidField(field, f"The field {field} is missing.")
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidField(field, f"The field {field} must be an integer from {low} to {high}.")
    return value


def written_number(text: str) -> int | None:
    """The number that 1 to 16 ASCII digits say; None for anything else.

    `str.isdigit` takes "²", which `int` does not, and `int` takes digits of any script, but raises at 4,301 of them.
    """
    return int(text) if _DIGITS.fullmatch(text) else None


def written_integer(value: str | None, field: str, low: int, high: int) -> int | None:
    """As `integer`, from the digits of a query argument; None where there is none."""
    if value is None:
        return None
    number = written_number(value)
    if number is None:
        raise InvalidField(field, f"The argument {field} must be an integer from {low} to {high}.")
    return integer(number, field, low, high)


def seq(value: object, field: str) -> int:
    """A position in the order, 0 (before everything) to 2^53 - 1."""
    return integer(value, field, 0, MAX_SEQ)
