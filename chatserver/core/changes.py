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


Change = FriendChange | ProfileChange | ReadChange | LoginsEnd | PasswordChange | AccountEnd
