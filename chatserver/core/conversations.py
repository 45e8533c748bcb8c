"""Conversations, the part of one that a reader asks for, and what a store answers. Shapes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatserver.core.events import Event


@dataclass(frozen=True, slots=True)
class Range:
    """What part of a conversation a reader of history asks for."""

    peer: str | None = None
    before: int | None = None
    after: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, ascending; `more` says that older (with `after`: newer) ones exist. True at `seq`."""

    events: Sequence[Event]
    more: bool
    seq: int


@dataclass(frozen=True, slots=True)
class ReadState:
    """Read positions: own by peer (None: broadcasts), and how far friends read the talk with me."""

    own: Mapping[str | None, int]
    peers: Mapping[str, int]
    unread: Mapping[str | None, int]
    """Messages of others after the own position, counted to 1,000 at most, by conversation."""
    seq: int
