"""What this process remembers of logins: the living ones, and which have ended. No store and no order here.

A login ends in two ways: by its id, or because its account has a newer generation (a new password, or the end of
the account). Both are kept for a while after the login itself is forgotten, because a store that was asked before
the end may answer after it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from itertools import islice

from chatserver.core.bounded import AT_ONCE, Bounded
from chatserver.core.people import Login


class LoginMemory:
    """Up to `logins_max` logins by id, the oldest of which go when there are too many."""

    def __init__(self, logins_max: int) -> None:
        self._logins_max = logins_max
        self._logins: dict[str, Login] = {}
        self.get: Callable[[str], Login | None] = self._logins.get
        """The login of this id, if it is remembered. The dictionary's own: each poll asks."""
        self._of_user: dict[
            str, tuple[str, ...]
        ] = {}  # a set is four times as large as what it holds here
        self._ended: Bounded[str, bool] = Bounded(logins_max)
        self._generations: Bounded[str, tuple[int, str | None]] = Bounded(logins_max)
        """Of accounts whose password has changed here: the generation, and the login that was kept."""

    def has_ended(self, login_id: str) -> bool:
        """Whether this login was seen to end."""
        return self._ended.get(login_id) is not None

    def current(self, login: Login) -> Login | None:
        """This login as it is now; None where it has ended."""
        return self._logins.get(login.id) or self._believed(login)  # what ends is forgotten

    def _believed(self, login: Login) -> Login | None:
        """As `current`, of a login that is not remembered."""
        if self._ended.get(login.id) is not None:
            return None
        newest = self._generations.get(login.user_id)
        if newest is None or login.generation >= newest[0]:
            return login
        return dataclasses.replace(login, generation=newest[0]) if login.id == newest[1] else None

    def put(self, login: Login) -> Login | None:
        """Remember a login in this state, and give it back as it is now; None where it has ended."""
        remembered = self._logins.get(login.id)
        if remembered is not None:
            login = dataclasses.replace(login, generation=remembered.generation)
        else:
            now = self._believed(login)
            if now is None:
                return None
            login = now
            alone = (login.id,)
            others = self._of_user.setdefault(login.user_id, alone)
            if others is not alone:
                self._of_user[login.user_id] = (*others, login.id)
        self._logins[login.id] = login
        if len(self._logins) > self._logins_max:
            for oldest in list(islice(self._logins, max(1, self._logins_max // AT_ONCE))):
                self._forget(oldest)
        return login

    def end(self, login_ids: Iterable[str]) -> None:
        """These have ended."""
        for login_id in login_ids:
            self._ended.put(login_id, True)
            self._forget(login_id)

    def raise_generation(self, user_id: str, generation: int, kept: str | None) -> None:
        """All logins of this user have ended, but for `kept`, which is of the new generation."""
        self._generations.put(user_id, (generation, kept))
        self.end([each for each in self._of_user.get(user_id, ()) if each != kept])
        if kept is not None and kept in self._logins:
            self._logins[kept] = dataclasses.replace(self._logins[kept], generation=generation)

    def _forget(self, login_id: str) -> None:
        login = self._logins.pop(login_id, None)
        if login is not None:
            others = tuple(one for one in self._of_user[login.user_id] if one != login_id)
            if others:
                self._of_user[login.user_id] = others
            else:
                del self._of_user[login.user_id]
