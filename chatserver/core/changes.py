"""What an event does to the store and to whoever remembers something: the change that takes its place with it.

A change is committed with its event, or (where a store has no transactions) applied after it, idempotently by
seq. Whoever caches follows the changes (`journal.contract.Follower`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from chatserver.core.conversations import Conversation, conversation_with, peer_of


@dataclass(frozen=True, slots=True)
class FriendChange:
    """The relation of two users from the seq of its event on.

    `relation` is `friend`, `none`, or `asked` (then `asker` has asked `other`). `block` is True
    where `asker` blocks `other` with the same step.
    """

    asker: str
    other: str
    relation: str
    block: bool = False


@dataclass(frozen=True, slots=True)
class BlockChange:
    """The user blocks `other`, or does so no more, where there is nothing else between the two."""

    user_id: str
    other: str
    blocked: bool


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """New public fields of a user."""

    user_id: str
    first_name: str
    last_name: str
    color: str


@dataclass(frozen=True, slots=True)
class ReadChange:
    """How far a user has read a conversation."""

    user_id: str
    conversation: Conversation
    up_to: int


@dataclass(frozen=True, slots=True)
class LoginsEnd:
    """These logins of a user end: signed out, revoked."""

    user_id: str
    login_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """A new password (a PHC string). The account's generation becomes the seq of this change.

    The login `kept`, if any, gets the new generation; every other login of the user ends.
    """

    user_id: str
    password: str
    kept: str | None


@dataclass(frozen=True, slots=True)
class AccountEnd:
    """The account, its logins, friendships and everything that it wrote go."""

    user_id: str


Change = (
    FriendChange
    | BlockChange
    | ProfileChange
    | ReadChange
    | LoginsEnd
    | PasswordChange
    | AccountEnd
)

Subject = tuple[str, ...]
"""Whom a change is about, as far as others may decide at the same time: a pair of users (sorted), or one user."""


def subject_of(change: Change | None) -> Subject | None:
    """What this change moves on; None where nobody decides by it."""
    match change:
        case FriendChange(asker=one, other=other) | BlockChange(user_id=one, other=other):
            return subject(one, other)
        case ProfileChange(user_id=one) | PasswordChange(user_id=one) | AccountEnd(user_id=one):
            return (one,)
    return None


def subject(*user_ids: str) -> Subject:
    """The subject of these users, in whatever order they are named."""
    return tuple(sorted(user_ids))


_KINDS: Mapping[str, type[Change]] = {
    kind.__name__: kind
    for kind in (
        FriendChange,
        BlockChange,
        ProfileChange,
        ReadChange,
        LoginsEnd,
        PasswordChange,
        AccountEnd,
    )
}


def record_of(change: Change | None) -> dict[str, Any] | None:
    """A change as plain values, to be kept with its event; `change_of` reads it."""
    if change is None:
        return None
    plain = {field.name: getattr(change, field.name) for field in fields(change)}
    if isinstance(change, ReadChange):
        plain["peer"] = peer_of(plain.pop("conversation"))
    return {"kind": type(change).__name__, "fields": plain}


def change_of(record: Mapping[str, Any] | None) -> Change | None:
    """The change that `record_of` recorded."""
    if record is None:
        return None
    kind, plain = _KINDS[record["kind"]], dict(record["fields"])
    if kind is ReadChange:
        plain["conversation"] = conversation_with(plain.pop("peer"))
    elif kind is LoginsEnd:
        plain["login_ids"] = tuple(plain["login_ids"])
    return kind(**plain)
