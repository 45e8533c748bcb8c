"""Mailboxes are opened when somebody reads them, and forgotten a while after nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Protocol

from chatserver.core.hub import Hub
from chatserver.core.mailbox import Mailbox
from chatserver.journal.contract import Journal


class FriendsSource(Protocol):
    """What of the store is needed here."""

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]: ...


class Mailboxes:
    """The mailboxes of this process's users. `clock_s` is monotonic seconds."""

    def __init__(
        self,
        hub: Hub,
        journal: Journal,
        store: FriendsSource,
        linger_s: float,
        clock_s: Callable[[], float],
    ) -> None:
        self.opened = 0
        """Mailboxes opened, ever."""
        self.known = hub.mailbox
        """The mailbox of this user if it is open, without waiting."""
        self._hub = hub
        self._journal = journal
        self._store = store
        self._linger_s = linger_s
        self._clock_s = clock_s
        self._opening: dict[str, list[asyncio.Future[None]]] = {}  # by user, who else waits
        self._idle: dict[str, float] = {}  # user -> since when nobody reads the mailbox

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._hub.index.open)

    @property
    def here(self) -> Container[str]:
        """Whose are in memory."""
        return self._hub.index.open

    async def open(self, user_id: str) -> Mailbox:
        """The mailbox of this user, opened if need be. Attach a reader before the next await.

        Raises `Unavailable` where the friends cannot be read.
        """
        while (mailbox := self._hub.mailbox(user_id)) is None:
            others = self._opening.get(user_id)
            if others is None:
                mailbox = await self._open(user_id)
                break
            # Somebody else is at it: whatever becomes of that, look again.
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            others.append(turn)
            await turn
        if user_id in self._idle:
            self._idle[user_id] = self._clock_s()
        return mailbox

    async def _open(self, user_id: str) -> Mailbox:
        self._hub.begin_opening(user_id)
        others = self._opening[user_id] = []
        try:
            # A change that was read may be newer than what this process has handed out: an event before it, handed
            # out after this, is not for the friends of after it.
            friends, at_seq, newest = await self._store.friends_since(user_id)
            await self._journal.caught_up(max(at_seq, newest))
        except BaseException:
            self._hub.cancel_opening(user_id)
            raise
        finally:
            del self._opening[user_id]
            for turn in others:
                if not turn.done():
                    turn.set_result(None)
        return self._opened(user_id, friends, at_seq)

    def take(self, user_id: str, friends: dict[str, int], at_seq: int) -> Mailbox | None:
        """The mailbox of this user, opened if need be; None where somebody else is at it.

        `friends` are the mailbox's from now on. They were read as of `at_seq`, to which this process has caught up, and
        no change of them was handed out meanwhile.
        """
        mailbox = self._hub.mailbox(user_id)
        if mailbox is None and user_id not in self._opening:
            mailbox = self._opened(user_id, friends, at_seq)
        return mailbox

    def _opened(self, user_id: str, friends: dict[str, int], at_seq: int) -> Mailbox:
        self._idle[user_id] = self._clock_s()
        self.opened += 1
        return self._hub.open(user_id, friends, at_seq)

    def attach(self, mailbox: Mailbox) -> None:
        """Somebody reads it: it stays."""
        self._idle.pop(mailbox.user_id, None)

    def detach(self, mailbox: Mailbox) -> None:
        """Somebody stopped reading it, who may have held one that is forgotten since."""
        if not mailbox.readers and self._hub.mailbox(mailbox.user_id) is mailbox:
            self._idle[mailbox.user_id] = self._clock_s()

    def hibernate(self, now_s: float) -> None:
        """Forget those that nobody has read for long."""
        long_ago_s = now_s - self._linger_s
        for user_id in [u for u, since_s in self._idle.items() if since_s <= long_ago_s]:
            del self._idle[user_id]
            self._hub.close(user_id)
