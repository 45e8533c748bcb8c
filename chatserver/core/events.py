"""Events and signals: made once, encoded once, sent byte-identical to everyone who may see them.

A `Draft` is what somebody wants to happen; the journal gives it a seq and a time and makes it an `Event`.
A `Signal` (presence, typing) has no seq, is never stored and never moves a cursor. What stands in each of them
is said in `core.vocabulary`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from chatserver.core.changes import Change

MAX_SEQ = 2**53 - 1
"""The largest integer that JavaScript holds exactly (ECMA-262, Number.MAX_SAFE_INTEGER)."""


class Audience(enum.IntEnum):
    """Who may see an event, as of its place in the order. The numbers are stored: never renumber."""

    SELF = 0
    """The actor alone, on all devices."""
    PAIR = 1
    """The actor, and `to` while the two are friends."""
    FRIENDS = 2
    """The actor and all of the actor's friends."""
    NOBODY = 3
    """No user: it is a notice, for whoever follows the order."""


AUDIENCES = {audience.value: audience for audience in Audience}
"""By number: to call the class takes eight times as long, for each event that is read."""


@dataclass(slots=True)
class Draft:
    """An event before the journal has given it its place. Not to be changed (`frozen` would make it three
    times as slow to make, and there is one for each message).

    `fields` is everything the wire shows beside `seq`, `type` and `at`, in order. `client_id` makes
    the append idempotent per actor.
    """

    type: str
    audience: Audience
    actor: str
    to: str | None
    fields: Mapping[str, Any]
    client_id: str | None = None
    change: Change | None = None


@dataclass(slots=True, eq=False)
class Event:
    """An immutable fact with its place in the one order of the service.

    `payload` is its JSON, one line of UTF-8, exactly as long as its content. Frames are not kept here: whoever
    writes a batch makes them once for all readers (`transports.encoding`). `change` is present on live events
    only, not on replayed ones.
    """

    seq: int
    at_ms: int
    type: str
    audience: Audience
    actor: str
    to: str | None
    payload: bytes
    change: Change | None = None


EVENT_BYTES = 220
"""What an event holds beside its payload: itself, its integers, the header of its bytes, a place in a list.
Measured (`tests/core/test_memory.py`)."""


@dataclass(slots=True, eq=False)
class Signal:
    """A passing fact: no seq, not stored, dropped first under load.

    `about` is the user it speaks of; a newer signal of the same `type` about the same user makes an older
    one, that still waits, worthless.
    """

    type: str
    about: str
    payload: bytes
    coming: int = 0
    """Of somebody who came online here: the number of that coming, which a reader may know already."""


def encode_json(value: Any) -> bytes:
    """`value` as one line of compact UTF-8 JSON, in bytes that are exactly as long as their content.

    U+2028 and U+2029 are escaped: they are line ends to some readers of SSE and to JavaScript before
    ECMAScript 2019. NaN and the infinities become null. Raises TypeError for what JSON cannot hold, a
    lone surrogate or an integer of more than 64 bits included.
    """
    # orjson gives out a buffer of 1 KiB and more for 120 bytes of JSON: copy what may be kept.
    return bytes(memoryview(passing_json(value)))


def passing_json(value: Any) -> bytes:
    """As `encode_json`, for what becomes part of other bytes at once: its buffer may be many times as long as its content."""
    data = orjson.dumps(value)
    # How both begin in UTF-8, and so do dashes and quotation marks.
    if not data.isascii() and b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data


def encode_body(draft: Draft) -> bytes:
    """The JSON object of what `draft` says, without `seq`, `type` and `at`. Raises as `encode_json`."""
    return encode_json(draft.fields)


def splice(type_: str, seq: int, at_ms: int, body: bytes) -> bytes:
    """The payload of an event: `body` with its place in front.

    So a journal that learns the place after it has kept the body makes the same bytes as one that knew it.
    """
    head = b'{"seq":%d,"type":"%b","at":%d,' % (seq, type_.encode(), at_ms)
    return head + body[1:] if body != b"{}" else head[:-1] + b"}"


def encode_event(draft: Draft, seq: int, at_ms: int) -> Event:
    """The event that `draft` becomes at `seq`."""
    # Quicker than to make one dictionary of it all: what is put together has its length, and needs no copy.
    payload = splice(draft.type, seq, at_ms, passing_json(draft.fields))
    return Event(
        seq, at_ms, draft.type, draft.audience, draft.actor, draft.to, payload, draft.change
    )


def make_signal(type_: str, about: str, fields: Mapping[str, Any]) -> Signal:
    """A signal with its JSON made."""
    return Signal(type_, about, encode_json({"type": type_, **fields}))
