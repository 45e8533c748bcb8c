"""Events and signals: made once, encoded once, sent byte-identical to everyone who may see them.

A `Draft` is what somebody wants to happen; the journal gives it a seq and a time and makes it an `Event`.
A `Signal` (presence, typing) has no seq, is never stored and never moves a cursor.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatserver.core import framing
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

    `payload` is its JSON, one line of UTF-8. The WebSocket frame and the SSE block are made on first
    use and shared by every reader. `change` is present on live events only, not on replayed ones.
    """

    seq: int
    at_ms: int
    type: str
    audience: Audience
    actor: str
    to: str | None
    payload: bytes
    change: Change | None = None
    _ws_frame: bytes | None = field(default=None, repr=False)
    _sse_block: bytes | None = field(default=None, repr=False)

    @property
    def ws_frame(self) -> bytes:
        """The event as one unmasked WebSocket text frame (RFC 6455, section 5.2)."""
        frame = self._ws_frame
        if frame is None:
            frame = self._ws_frame = framing.ws_text(self.payload)
        return frame

    @property
    def sse_block(self) -> bytes:
        """The event as `id:` and one `data:` line (HTML, section 9.2)."""
        block = self._sse_block
        if block is None:
            block = self._sse_block = framing.sse_block(self.payload, self.seq)
        return block


@dataclass(slots=True, eq=False)
class Signal:
    """A passing fact: no seq, not stored, dropped first under load.

    `about` is the user it speaks of; a newer signal of the same `type` about the same user makes an older
    one, that still waits, worthless.
    """

    type: str
    about: str
    payload: bytes
    _ws_frame: bytes | None = field(default=None, repr=False)
    _sse_block: bytes | None = field(default=None, repr=False)

    @property
    def ws_frame(self) -> bytes:
        """The signal as one unmasked WebSocket text frame."""
        frame = self._ws_frame
        if frame is None:
            frame = self._ws_frame = framing.ws_text(self.payload)
        return frame

    @property
    def sse_block(self) -> bytes:
        """The signal as data without an id, so that it never moves `Last-Event-ID`."""
        block = self._sse_block
        if block is None:
            block = self._sse_block = framing.sse_block(self.payload, None)
        return block


def encode_json(value: Any) -> bytes:
    """`value` as one line of compact UTF-8 JSON.

    U+2028 and U+2029 are escaped: they are line ends to some readers of SSE and to JavaScript before
    ECMAScript 2019. NaN and the infinities become null. Raises TypeError for what JSON cannot hold, a
    lone surrogate or an integer of more than 64 bits included.
    """
    data = orjson.dumps(value)
    if b"\xe2\x80" in data:  # how both begin in UTF-8, and so do dashes and quotation marks
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data


def encode_event(draft: Draft, seq: int, at_ms: int) -> Event:
    """The event that `draft` becomes at `seq`: the only place where an event's JSON is made."""
    payload = encode_json({"seq": seq, "type": draft.type, "at": at_ms, **draft.fields})
    return Event(
        seq, at_ms, draft.type, draft.audience, draft.actor, draft.to, payload, draft.change
    )


def make_signal(type_: str, about: str, fields: Mapping[str, Any]) -> Signal:
    """A signal with its JSON made."""
    return Signal(type_, about, encode_json({"type": type_, **fields}))
