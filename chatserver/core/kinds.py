"""The kinds of events: how long each is kept, who it is for, and whom it names. Stores and hub ask this table.

A new kind is a row here, a function in `core.vocabulary` that makes it, and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chatserver.core.conversations import Conversation, Direct
from chatserver.core.events import Audience, Event


class Kept(enum.Enum):
    """How long an event is kept by the store."""

    FOR_GOOD = "for good"
    """Until its author goes: it is part of the history."""
    PASSING = "passing"
    """For a week: long enough for whoever was away (`journal.local.KEEP_MS`)."""
    NEVER = "never"
    """Only its change is: it takes a place in the order, and no row."""


Fields = Mapping[str, Any]


def _nobody(fields: Fields) -> str | None:
    return None


def _friend_unless_ended(fields: Fields) -> str | None:
    # News of an end has yet to be heard by a former friend who was away; it goes by age.
    user = fields.get("user")
    if fields.get("relation") == "none" or not isinstance(user, dict):
        return None
    return str(user["id"]) if "id" in user else None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event. `to_all` is its audience where it is for no one in particular, `to_one` where it is."""

    name: str
    kept: Kept
    to_all: Audience
    to_one: Audience | None = None
    named: Callable[[Fields], str | None] = _nobody
    """Whose account's end takes this event along, though another caused it."""

    def audience(self, conversation: Conversation) -> Audience:
        """Who may see an event of this kind in `conversation`. Raises ValueError where there is no such thing."""
        if not isinstance(conversation, Direct):
            return self.to_all
        if self.to_one is None:
            raise ValueError(f"a {self.name} belongs to no direct conversation")
        return self.to_one


MESSAGE = Kind("message", Kept.FOR_GOOD, Audience.FRIENDS, Audience.PAIR)
FRIEND = Kind("friend", Kept.PASSING, Audience.SELF, named=_friend_unless_ended)
PROFILE = Kind("profile", Kept.PASSING, Audience.FRIENDS)
READ = Kind("read", Kept.PASSING, Audience.SELF, Audience.PAIR)
NOTICE = Kind("notice", Kept.NEVER, Audience.NOBODY)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (MESSAGE, FRIEND, PROFILE, READ, NOTICE)}

FOR_GOOD = tuple(kind.name for kind in KINDS.values() if kind.kept is Kept.FOR_GOOD)
"""The kinds that make up the history."""

_NEVER_KEPT = frozenset(kind.name for kind in KINDS.values() if kind.kept is Kept.NEVER)


def is_kept(event: Event) -> bool:
    """Whether the store keeps a row of this event."""
    return event.type not in _NEVER_KEPT


def is_passing(type_: str) -> bool:
    """Whether an event of this kind is dropped by age."""
    return KINDS[type_].kept is Kept.PASSING


def named(event: Event) -> str | None:
    """Whose account's end takes this event along; None where it is nobody's but the actor's."""
    kind = KINDS[event.type]
    # Most events name nobody, and are not looked into.
    return None if kind.named is _nobody else kind.named(orjson.loads(event.payload))
