"""Whoever comes in one turn of the loop and is not in memory, looked up by one question.

After a restart nobody is. Asked for one after another, the login, the profile and the friends of each cost more than all
that is then done with them. What is found is remembered as if each had been asked for alone: what was seen to end or to
change while the store was read is not believed, and has to be asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from chatserver.core.changes import AccountEnd, FriendChange, ProfileChange
from chatserver.core.errors import Unavailable
from chatserver.core.events import Event
from chatserver.core.people import Login, Newcomer
from chatserver.delivery.mailboxes import Mailboxes
from chatserver.journal.contract import Journal
from chatserver.store import contract
from chatserver.verbs.sealed import Opened
from chatserver.verbs.sessions import Brought, Sessions
from chatserver.verbs.users import Users

log = logging.getLogger(__name__)

MOST = 64
"""In one question: it holds a thread of the database for about a millisecond."""

GoOn = Callable[[], Callable[[], None] | None]
"""Goes on with somebody, and may give what is to follow once all who came with them have been gone on with. Neither may
raise."""
Then = Callable[[Login | None], Callable[[], None] | None]
"""As `GoOn`, with the login of somebody who was looked up, as it is now; None where it could not be had."""

_Waiting = tuple[str | bytes, Brought, Then]
"""By what it is asked for."""


class Newcomers:
    """Looks them up in `store`; logins, profiles and mailboxes are remembered where they always are."""

    def __init__(
        self,
        store: contract.Newcomers,
        journal: Journal,
        sessions: Sessions,
        users: Users,
        mailboxes: Mailboxes,
    ) -> None:
        self._store = store
        self._journal = journal
        self._sessions = sessions
        self._users = users
        self._mailboxes = mailboxes
        self._waiting: list[_Waiting] = []
        self._asking: dict[asyncio.Task[None], set[str]] = {}  # who has changed meanwhile

    def look_up(self, brought: Brought, then: Then) -> None:
        """Find out whose this is, and call `then`: at once where all is in memory, else soon. What is not in memory then
        could not be had this way."""
        login = self._sessions.known(brought)
        if (
            login is None
            or self._users.known(login.user_id) is None
            or self._mailboxes.known(login.user_id) is None
        ):
            self.ask(brought, then)
        else:
            go_on(partial(then, login))

    def ask(self, brought: Brought, then: Then) -> None:
        """As `look_up`, where it is known that not all is in memory."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._ask)
        self._waiting.append((_key(brought), brought, then))

    def follow(self, events: Sequence[Event]) -> None:
        """Note whose profile, friends or account change while they are being read."""
        if not self._asking:
            return
        for event in events:
            match event.change:
                case FriendChange(asker=asker, other=other):
                    changed: tuple[str, ...] = (asker, other)
                case ProfileChange(user_id=user_id) | AccountEnd(user_id=user_id):
                    changed = (user_id,)
                case _:
                    continue
            for each in self._asking.values():
                each.update(changed)

    def _ask(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST):
            changed: set[str] = set()
            task = asyncio.create_task(self._answer(waiting[start : start + MOST], changed))
            self._asking[task] = changed
            task.add_done_callback(self._asking.pop)

    async def _answer(self, waiting: Sequence[_Waiting], changed: set[str]) -> None:
        try:
            found = await self._find(waiting)
        except Unavailable:
            found = {}  # each who asks alone will be told
        except Exception:
            log.exception("looking up newcomers failed")
            found = {}
        ways: list[GoOn] = []
        for key, brought, then in waiting:
            newcomer = found.get(key)
            login = None if newcomer is None else self._remember(brought, newcomer, changed)
            ways.append(partial(then, login))
        go_on(*ways)

    async def _find(self, waiting: Sequence[_Waiting]) -> Mapping[str | bytes, Newcomer]:
        keys = dict.fromkeys([key for key, _, _ in waiting])
        found = await self._store.newcomers(
            [key for key in keys if isinstance(key, str)],
            [key for key in keys if isinstance(key, bytes)],
            self._mailboxes.here,
        )
        # A change that was read may be newer than what this process has handed out: an event before it, handed out
        # after this, is not for the friends of after it.
        await self._journal.caught_up(max([max(one.seqs) for one in found.values()], default=0))
        return found

    def _remember(self, brought: Brought, found: Newcomer, changed: set[str]) -> Login | None:
        login, user_id = self._sessions.take(brought, found.login), found.user.id
        if login is not None and user_id not in changed:
            self._users.take(found.user)
            if found.friends is not None:
                self._mailboxes.take(user_id, found.friends, found.seqs[0])
        return login


def go_on(*waiting: GoOn) -> None:
    """Let all of them in, and then greet them: friends who come together are shown each other by that alone."""
    for follow in [then() for then in waiting]:
        if follow is not None:
            follow()


def _key(brought: Brought) -> str | bytes:
    return brought.login_id if isinstance(brought, Opened) else brought
