"""Who is who: users, accounts, logins, and the lists of friends. Shapes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """The public part of an account."""

    id: str
    first_name: str
    last_name: str
    color: str

    @property
    def name(self) -> str:
        """First and last name with one space between, as shown before a message."""
        return f"{self.first_name} {self.last_name}".rstrip()

    def public(self) -> dict[str, str]:
        """The `user` object of the wire."""
        return {
            "id": self.id,
            "firstName": self.first_name,
            "lastName": self.last_name,
            "name": self.name,
            "color": self.color,
        }


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what only the owner and the sign-in may know. `password` is a PHC string."""

    user: User
    email: str
    password: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Login:
    """A signed-in device (`kind` "cookie") or a bearer token (`kind` "token").

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


@dataclass(frozen=True, slots=True)
class Friends:
    """A user's relations, true at position `seq` of the order."""

    friends: Sequence[tuple[User, int]]
    """Each friend with the time they were last seen (0: never)."""
    incoming: Sequence[User]
    outgoing: Sequence[User]
    seq: int
