"""What an event does to the store: the change that is committed with it."""

from __future__ import annotations

from dataclasses import dataclass


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
    """How far a user has read: the conversation with `peer`, or the broadcasts where it is None."""

    user_id: str
    peer: str | None
    up_to: int


@dataclass(frozen=True, slots=True)
class AccountEnd:
    """The account, its logins, tokens, friendships and everything it wrote go."""

    user_id: str


Change = FriendChange | ProfileChange | ReadChange | AccountEnd
"""What an event does to the store. Committed with the event, or (where a store has no
transactions) applied after it, idempotently by seq."""
