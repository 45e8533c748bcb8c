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
# Line ends that are no controls, and marks that reorder what stands around them: a name with them
# could put itself in front of, or make itself look like, another.
_REORDER = re.compile("[\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]]+@[^\s@<>\"(),:;\\\[\]]+")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_DIGITS = re.compile(r"[0-9]{1,16}")


def _no_constant(name: str) -> None:
    # NaN and the infinities are not JSON (RFC 8259, section 6), though Python would read them.
    raise ValueError(name)


_decode_slowly = json.JSONDecoder(parse_constant=_no_constant).decode


def _decode(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Half a surrogate pair and a number like 1e999 are JSON, of which orjson wants to know nothing:
        # whose field it stands in, is to be told by that field's rule.
        return _decode_slowly(text)


def json_object(text: str, what: str) -> dict[str, object]:
    """The object that `text` is, from a client; `what` begins the sentence that refuses it.

    Raises `BadRequest`, also for keys that a database could take for operators or paths: none of ours
    has a dollar or a dot, so nobody means well with them.
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        raise BadRequest(f"{what} is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRequest(f"{what} must be a JSON object.")
    for key in value:
        if "$" in key or "." in key:
            raise BadRequest(f"{what} has a key with a dollar or a dot.")
    return value


def _string(value: object, field: str) -> str:
    if value is None:
        raise InvalidField(field, f"The field {field} is missing.")
    if not isinstance(value, str):
        raise InvalidField(field, f"The field {field} must be a string.")
    return value


def email(value: object) -> str:
    """An email address as it was written; the store compares addresses without case."""
    text = _string(value, "email").strip(" ")
    if len(text) > EMAIL_CHARS:
        raise InvalidField("email", f"An email address has at most {EMAIL_CHARS} characters.")
    if not _EMAIL.fullmatch(text) or _CONTROL.search(text) or not text.isprintable():
        raise InvalidField("email", "This is not an email address.")
    return text


def password(value: object, field: str = "password") -> str:
    """A password to be set: 8 to 1,024 characters of any kind."""
    text = password_given(value, field)
    if len(text) < PASSWORD_CHARS_MIN:
        raise InvalidField(field, f"A password has at least {PASSWORD_CHARS_MIN} characters.")
    return text


def password_given(value: object, field: str = "password") -> str:
    """A password to be compared: as long as one may be, so that hashing it is bounded."""
    text = _string(value, field)
    if len(text) > PASSWORD_CHARS_MAX:
        raise InvalidField(field, f"A password has at most {PASSWORD_CHARS_MAX} characters.")
    if re.search("[\ud800-\udfff]", text):
        raise InvalidField(field, "A password cannot hold half a surrogate pair.")
    return text


def _name(value: object, field: str) -> str:
    text = unicodedata.normalize("NFC", _string(value, field).strip(" "))
    if _CONTROL.search(text) or _REORDER.search(text):
        raise InvalidField(field, "A name cannot hold control characters.")
    if len(text) > NAME_CHARS:
        raise InvalidField(field, f"A name has at most {NAME_CHARS} characters.")
    return text


def first_name(value: object) -> str:
    """A first name: 1 to 50 characters, at least one of which can be seen."""
    text = _name(value, "firstName")
    # Categories Z (separators) and C (format, control) show nothing: such a name could not be told apart.
    if not any(unicodedata.category(char)[0] not in "ZC" for char in text):
        raise InvalidField("firstName", "The first name is missing.")
    return text


def last_name(value: object) -> str:
    """A last name: 0 to 50 characters."""
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
    """A message's text: not blank, newlines as one character, no control character but tab and newline."""
    clean = _string(value, "text").replace("\r\n", "\n")
    if len(clean) > max_chars:
        raise InvalidField("text", f"A message has at most {max_chars} characters.")
    if _CONTROL_IN_TEXT.search(clean):
        raise InvalidField("text", "A message cannot hold control characters.")
    if not clean.strip():
        raise InvalidField("text", "The message is empty.")
    return clean


def client_id(value: object) -> str | None:
    """The sender's own id of a message: 1 to 64 printable characters, or None."""
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
    """A token's label: 1 to 100 characters in one line."""
    clean = _string(value, "label").strip(" ")
    if not 1 <= len(clean) <= LABEL_CHARS or _CONTROL.search(clean) or _REORDER.search(clean):
        raise InvalidField("label", f"A label has 1 to {LABEL_CHARS} characters in one line.")
    return clean


def query(value: object) -> str:
    """Words to find people by; may be empty."""
    clean = _string(value, "q").strip()
    if len(clean) > QUERY_CHARS or _CONTROL.search(clean):
        raise InvalidField("q", f"A search has at most {QUERY_CHARS} characters in one line.")
    return clean


def integer(value: object, field: str, low: int, high: int) -> int:
    """A JSON integer from `low` to `high`. Truth values and fractions are none."""
    if value is None:
        raise InvalidField(field, f"The field {field} is missing.")
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidField(field, f"The field {field} must be an integer from {low} to {high}.")
    return value


def written_integer(value: str | None, field: str, low: int, high: int) -> int | None:
    """As `integer`, from the digits of a query argument; None where there is none."""
    if value is None:
        return None
    if not _DIGITS.fullmatch(value):
        raise InvalidField(field, f"The argument {field} must be an integer from {low} to {high}.")
    return integer(int(value), field, low, high)


def seq(value: object, field: str) -> int:
    """A position in the order, 0 (before everything) to 2^53 - 1."""
    return integer(value, field, 0, MAX_SEQ)
