"""What an event does to the store and to whoever remembers something: the change that takes its place with it.

A change is committed with its event, or (where a store has no transactions) applied after it, idempotently by
seq. Whoever caches follows the changes (`journal.contract.Follower`).
"""

from __future__ import annotations

from dataclasses import dataclass

from chatserver.core.conversations import Conversation


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
