"""The users whose profiles this process remembers, and those who are about to leave or have left."""

from __future__ import annotations

from collections.abc import Sequence

from chatserver.core.bounded import Bounded
from chatserver.core.changes import AccountEnd, ProfileChange
from chatserver.core.errors import Unauthenticated
from chatserver.core.events import Event
from chatserver.core.people import User
from chatserver.store.contract import People

USERS_REMEMBERED = 50_000
GONE_REMEMBERED = 50_000
"""Accounts that have ended: for as long as a request of theirs can still be under way."""


class Users:
    """Profiles in memory, because every message and every stream needs one. It follows the order."""

    def __init__(self, store: People) -> None:
        self._store = store
        self._users: Bounded[str, User] = Bounded(USERS_REMEMBERED)
        self.known = self._users.get
        """The user, if in memory. Each message asks, so it is a call less."""
        self._reading: dict[str, _Reading] = {}
        self._leaving: set[str] = set()
        self._gone: Bounded[str, bool] = Bounded(GONE_REMEMBERED)

    async def user(self, user_id: str) -> User:
        """The user of a login. Raises `Unauthenticated` where there is none any more."""
        while True:
            user = self._users.get(user_id)
            if user is not None:
                return user
            reading = self._reading.get(user_id)
            if reading is None:
                reading = self._reading[user_id] = _Reading()
            reading.readers += 1
            changes = reading.changes
            try:
                user = (await self._store.users((user_id,))).get(user_id)
            finally:
                reading.readers -= 1
                if not reading.readers:
                    del self._reading[user_id]
            self.refuse_gone(user_id)
            if user is None:
                raise Unauthenticated("This account is no more.")
            # A profile that changed while it was read may have been read as it was before.
            if changes == reading.changes:
                self._users.put(user_id, user)
                return user

    def take(self, user: User) -> None:
        """Remember a profile that was read, and has not changed since (`http.newcomers`)."""
        if not self.is_leaving(user.id):
            self._users.put(user.id, user)

    def follow(self, events: Sequence[Event]) -> None:
        """Remember new profiles, and forget whose account has ended."""
        for event in events:
            if event.change is None:
                continue  # nearly all of them
            match event.change:
                case ProfileChange(user_id=user_id) as change:
                    user = User(user_id, change.first_name, change.last_name, change.color)
                    if user_id not in self._leaving:
                        self._users.put(user_id, user)
                    self._note_change(user_id)
                case AccountEnd(user_id=user_id):
                    self._gone.put(user_id, True)
                    self._users.forget(user_id)
                    self._note_change(user_id)

    def _note_change(self, user_id: str) -> None:
        reading = self._reading.get(user_id)
        if reading is not None:
            reading.changes += 1

    # Leaving.

    def begin_leaving(self, user_id: str) -> None:
        """The account is being deleted: nothing more is taken from it."""
        self._leaving.add(user_id)
        self._users.forget(user_id)

    def is_leaving(self, user_id: str) -> bool:
        """Whether the account is being deleted, or has been."""
        return user_id in self._leaving or self._gone.get(user_id) is not None

    def refuse_gone(self, user_id: str) -> None:
        """Raises `Unauthenticated` where the account is being deleted, or has been.

        For a verb that has waited for something, right before it appends: or what it appends would outlive
        the account.
        """
        if self.is_leaving(user_id):
            raise Unauthenticated("This account is no more.")

    def end_leaving(self, user_id: str) -> None:
        """The account is gone, or stays after all."""
        self._leaving.discard(user_id)


class _Reading:
    """A profile that is being read, by how many, and how often it has changed meanwhile."""

    __slots__ = ("changes", "readers")

    def __init__(self) -> None:
        self.readers = 0
        self.changes = 0
