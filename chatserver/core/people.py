"""Who is who: users, accounts, logins, and the lists of friends. Shapes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatserver.core.names import full_name


@dataclass(slots=True, unsafe_hash=True)
class User:
    """The public part of an account. Not to be changed (`frozen` would make it four times as slow to make, and each arrival
    and each row of a list makes one)."""

    id: str
    first_name: str
    last_name: str
    color: str

    @property
    def name(self) -> str:
        """As it is shown before a message."""
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what only the owner and the sign-in may know. `password` is a PHC string.

    `generation` is the seq of the last change of password (0: none yet). A login is valid only while it is of
    its account's generation.
    """

    user: User
    email: str
    password: str
    created_at: int
    generation: int = 0
    zone: str = ""
    """The time zone of the pages without script, by its IANA name; '' where none was chosen."""


@dataclass(slots=True, unsafe_hash=True)
class Login:
    """A signed-in device (`kind` "cookie") or a bearer token (`kind` "token"). Not to be changed, as `User`.

    `secret_hash` is the SHA-256 of a token, None for cookies (they are sealed and carry the id).
    `expires_at` None means: not by time.
    """

    id: str
    user_id: str
    kind: str
    label: str
    secret_hash: bytes | None
    created_at: int
    expires_at: int | None
    last_used_at: int
    generation: int = 0
    """The account's when this login began, or when it was kept by a change of password."""


@dataclass(slots=True)
class Newcomer:
    """A login that was not in memory, with whose it is and what their mailbox needs."""

    login: Login
    user: User
    friends: dict[str, int] | None
    """Friend id -> seq at which the friendship began; None where they were not asked for."""
    seqs: tuple[int, int]
    """As of when the friends were read: see `Friendships.friends_since`."""


MAX_INCOMING = 200
"""Open requests that somebody is shown at once: more than a person answers in one go."""


@dataclass(frozen=True, slots=True)
class Friends:
    """A user's relations, true at position `seq` of the order."""

    friends: Sequence[tuple[User, int]]
    """Each friend with the time they were last seen (0: never)."""
    incoming: Sequence[User]
    """Who asks, the oldest first: no more than `MAX_INCOMING`, since others make this list."""
    outgoing: Sequence[User]
    seq: int
    incoming_count: int
    """How many ask."""
