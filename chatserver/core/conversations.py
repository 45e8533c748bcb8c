"""Conversations as values, the part of one that somebody asks for, and what a store answers. Shapes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatserver.core.events import Event

PAGE_EVENTS = 50
"""How many messages a page of history has where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Broadcasts:
    """What somebody and their friends write to all of their friends."""


@dataclass(frozen=True, slots=True)
class Direct:
    """What somebody and `user_id` write to each other."""

    user_id: str


Conversation = Broadcasts | Direct
"""As one of its members sees it. A group would be one more class here."""

BROADCASTS = Broadcasts()


def conversation_with(peer: str | None) -> Conversation:
    """The conversation that `with` or `to` of the wire means: a friend's id, or None for all friends."""
    return BROADCASTS if peer is None else Direct(peer)


def peer_of(conversation: Conversation) -> str | None:
    """What stands for this conversation in `with` and `to` of the wire."""
    return conversation.user_id if isinstance(conversation, Direct) else None


@dataclass(frozen=True, slots=True)
class Range:
    """What part of a conversation is asked for: up to `limit` messages between two seqs, both excluded.

    With `after` the oldest of them, otherwise the newest.
    """

    conversation: Conversation = BROADCASTS
    before: int | None = None
    after: int | None = None
    limit: int = PAGE_EVENTS


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, ascending; `more` says that older (with `after`: newer) ones exist. True at `seq`."""

    events: Sequence[Event]
    more: bool
    seq: int


@dataclass(frozen=True, slots=True)
class ReadState:
    """Read positions: the own ones, and how far friends have read the conversation with me. True at `seq`."""

    own: Mapping[Conversation, int]
    peers: Mapping[str, int]
    unread: Mapping[Conversation, int]
    """Messages of others after the own position, counted to 1,000 at most; none where there are none."""
    seq: int
