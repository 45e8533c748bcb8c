"""Conversations as values, the part of one that somebody asks for, and what a store answers. Shapes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from chatserver.core.events import Event, encode_json

PAGE_EVENTS = 50
"""How many messages a page of history has where nobody says otherwise."""
LAST_BYTES = 2048
"""A message up to so long stands whole in the list of conversations; of a longer one the beginning does. A list has
5,000 friends at most, each with a last message, and others write those."""
LAST_CHARS = 200
"""The beginning of a longer one: more than a line of a list shows."""
LONG_LIST = 500
"""In a list of more conversations than this, less of each stands: whole ones of 5,000 friends were 10 MB in one answer."""
LONG_LIST_LAST_BYTES = 256
LONG_LIST_LAST_CHARS = 40


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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one of somebody's conversations stands: its newest message that is shown to them, None where there is none."""

    conversation: Conversation
    last: Event | None
    unread: int
    """Messages of others after `read_up_to`, counted to 1,000 at most."""
    read_up_to: int


@dataclass(frozen=True, slots=True)
class Standings:
    """All of somebody's conversations, the newest message first: broadcasts, and one with each friend. True at `seq`."""

    standings: Sequence[Standing]
    seq: int


def newest_first(standings: Iterable[Standing]) -> list[Standing]:
    """In the order of a list: by the last message; where nothing was said yet at the end, always in the same order."""
    return sorted(
        standings,
        key=lambda one: (-one.last.seq if one.last else 0, peer_of(one.conversation) or ""),
    )


def as_last(message: Event, conversations: int) -> Event:
    """A message as it stands in a list of so many: whole, or where it is long with the beginning of its text and `cut`."""
    longest_bytes, chars = LAST_BYTES, LAST_CHARS
    if conversations > LONG_LIST:
        longest_bytes, chars = LONG_LIST_LAST_BYTES, LONG_LIST_LAST_CHARS
    if len(message.payload) <= longest_bytes:
        return message
    fields = orjson.loads(message.payload)
    if len(fields["text"]) <= chars:
        return message
    fields["text"] = fields["text"][:chars]
    fields["cut"] = True
    return replace(message, payload=encode_json(fields))
