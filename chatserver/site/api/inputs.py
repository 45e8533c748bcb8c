"""What clients send: each field and argument once, with the bounds of `core.fields` and the limits of this server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatserver.core import fields as rules
from chatserver.core.alerts import DAY_MINUTES, MUTED_MAX, ZONE_CHARS
from chatserver.core.events import MAX_SEQ
from chatserver.core.fields import NUMBER_DIGITS
from chatserver.core.limits import Limits
from chatserver.core.tallies import PREFIX
from chatserver.http.admission import CLIENT_CHARS
from chatserver.site.api.rows import Argument, Field, Schema
from chatserver.verbs.alerts import ENDPOINT_CHARS
from chatserver.verbs.partings import UNDO_MAX_S
from chatserver.verbs.sessions import TOKEN_LIFE_MAX_S


def _always(schema: Schema) -> Callable[[Limits], Schema]:
    return lambda limits: schema


def _string(low: int, high: int, **more: Any) -> Callable[[Limits], Schema]:
    return _always({"type": "string", "minLength": low, "maxLength": high, **more})


def _nullable(schema: Callable[[Limits], Schema]) -> Callable[[Limits], Schema]:
    return lambda limits: schema(limits) | {"type": [schema(limits)["type"], "null"]}


def optional(field: Field) -> Field:
    """The same field where it may be absent, or null."""
    return replace(field, required=False, schema=_nullable(field.schema))


def _text_schema(limits: Limits) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": limits.text_chars,
        "description": "Not blank; no control characters but newline and tab.",
    }


_AN_ID = _string(1, rules.ID_CHARS)

# Fields of a body.

EMAIL = Field("email", _string(3, rules.EMAIL_CHARS, format="email"))
PASSWORD = Field("password", _string(rules.PASSWORD_CHARS_MIN, rules.PASSWORD_CHARS_MAX))
PASSWORD_GIVEN = Field("password", _string(0, rules.PASSWORD_CHARS_MAX))
CURRENT_PASSWORD = Field("currentPassword", _string(0, rules.PASSWORD_CHARS_MAX))
FIRST_NAME = Field(
    "firstName", _string(1, rules.NAME_CHARS, description="At least one character shows something.")
)
LAST_NAME = Field("lastName", _string(0, rules.NAME_CHARS), required=False)
COLOR = Field(
    "color",
    _always(
        {
            "type": "string",
            "pattern": "^#[0-9a-fA-F]{6}$",
            "description": f"A contrast of {rules.CONTRAST_MIN} on white, at least.",
        }
    ),
)
LABEL = Field("label", _string(1, rules.LABEL_CHARS))
EXPIRES_IN = Field(
    "expiresIn",
    _always(
        {"type": "integer", "minimum": 1, "maximum": TOKEN_LIFE_MAX_S, "description": "Seconds."}
    ),
)
TEXT = Field("text", _text_schema)
TO = Field("to", _AN_ID)
WITH = Field("with", _AN_ID)
CLIENT_ID = Field("clientId", _string(1, rules.CLIENT_ID_CHARS, description="Printable."))
UP_TO = Field("upTo", _always({"type": "integer", "minimum": 0, "maximum": MAX_SEQ}))
_MINUTE = _always({"type": "integer", "minimum": 0, "maximum": DAY_MINUTES - 1})
ALERT_TEXT = Field("text", _always({"type": "boolean"}))
QUIET_FROM = Field("quietFrom", _MINUTE)
QUIET_TO = Field("quietTo", _MINUTE)
ZONE = Field("zone", _string(0, ZONE_CHARS, description="An IANA name; empty: UTC."))
MUTED = Field(
    "muted",
    _always(
        {
            "type": "array",
            "maxItems": MUTED_MAX,
            "items": {"type": "string", "maxLength": rules.ID_CHARS},
            "description": "Conversations: friends' ids; an empty string for the broadcasts.",
        }
    ),
)
ENDPOINT = Field("endpoint", _string(1, ENDPOINT_CHARS))
P256DH = Field("p256dh", _string(87, 88, description="Base64url."))
PUSH_AUTH = Field("auth", _string(22, 24, description="Base64url."))
LAB_CLIENT = Field("client", _always({"type": "string", "pattern": f"^{PREFIX}"}))

# Arguments of a query.


def _written(name: str, low: int, high: Callable[[Limits], int]) -> Argument:
    return Argument(
        name,
        lambda limits: {"type": "integer", "minimum": low, "maximum": high(limits)},
        lambda text, limits: rules.written_integer(text, name, low, high(limits)),
    )


LIMIT = _written("limit", 1, lambda limits: limits.page_events)
BEFORE = _written("before", 0, lambda limits: MAX_SEQ)
AFTER = _written("after", 0, lambda limits: MAX_SEQ)
DELAY = _written("delay", 0, lambda limits: UNDO_MAX_S)
WITH_ARGUMENT = Argument("with", _AN_ID, lambda text, limits: rules.optional_id(text, "with"))
QUERY = Argument("q", _string(0, rules.QUERY_CHARS), lambda text, limits: rules.query(text or ""))


def _read_by_admission(text: str | None, limits: Limits) -> str | None:
    """Of the streams: `http.admission` reads these."""
    return text


_CURSOR_SCHEMA = _always({"type": "integer", "minimum": 0, "maximum": 10**NUMBER_DIGITS - 1})

CURSOR = Argument("after", _CURSOR_SCHEMA, _read_by_admission)
LAST_EVENT_ID = Argument("Last-Event-ID", _CURSOR_SCHEMA, _read_by_admission, "header")
CLIENT = Argument("client", _string(0, CLIENT_CHARS), _read_by_admission)
WHOSE = Argument("user", _always({"type": "string"}), _read_by_admission)
WAIT = Argument(
    "wait",
    lambda limits: {
        "type": "number",
        "minimum": 0,
        "default": limits.poll_wait_s,
        "description": f"Seconds; more than {limits.poll_wait_max_s:g} is taken as that.",
    },
    _read_by_admission,
)

_CHANGES = ("firstName", "lastName", "color", "password", "zone")
ONE_CHANGE: Schema = {
    "anyOf": [{"required": [name], "properties": {name: {"type": "string"}}} for name in _CHANGES],
    "if": {"required": ["password"], "properties": {"password": {"type": "string"}}},
    "then": {
        "required": ["currentPassword"],
        "properties": {"currentPassword": {"type": "string"}},
    },
}
"""A change of the profile names one thing at least, and a new password the present one."""
