"""Who is online, told to whom it concerns; and when they were last seen, kept for later.

`core.presence` knows the rule. This is what follows from it: the signals, and the note in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from chatserver.core import vocabulary
from chatserver.core.changes import AccountEnd, FriendChange
from chatserver.core.errors import Unavailable
from chatserver.core.events import Event, Signal
from chatserver.core.mailbox import Mailbox
from chatserver.core.presence import Presence
from chatserver.journal.contract import Signals

log = logging.getLogger(__name__)


HELD_S = 1.0
"""So long a herd may keep friends from hearing who came: they hear of all of them at once, in one write each, and who
comes meanwhile is shown them whole."""

LOOK_S = 0.05
"""How often it is looked at whether the herd is over."""

TOLD_A_TURN = 100
"""So many are told of in one turn of the loop, with one write to each friend: about 2 ms."""


class SeenKeeper(Protocol):
    """What of the store is needed here."""

    async def set_last_seen(self, seen: Mapping[str, int]) -> None: ...


class Attendance:
    """The presence of this process's users.

    `clock_s` is monotonic seconds, `clock_ms` milliseconds since 1970; `crowded` says whether a herd is coming.
    """

    def __init__(
        self,
        presence: Presence,
        signals: Signals,
        store: SeenKeeper,
        clock_s: Callable[[], float],
        clock_ms: Callable[[], int],
        crowded: Callable[[], bool] = bool,
    ) -> None:
        self.comings = 0
        """How often somebody came online here, ever: whoever is shown the whole presence knows of all of them."""
        self.is_news: Callable[[int, str], bool] = _always
        """Whether anybody is to hear of this coming of somebody."""
        self._presence = presence
        self._signals = signals
        self._store = store
        self._clock_s = clock_s
        self._clock_ms = clock_ms
        self._crowded = crowded
        self._held: dict[str, int] = {}  # who came and is not told of: the number of the coming
        self._held_since_s = 0.0
        self._seen: dict[str, int] = {}
        self._saving: asyncio.Task[None] | None = None

    def follow(self, events: Sequence[Event]) -> None:
        """New friends learn of each other; whose account has ended is offline."""
        for event in events:
            if event.change is None:
                continue  # nearly all of them
            match event.change:
                case FriendChange(asker=asker, other=other, relation="friend"):
                    self._introduce(asker, other)
                case AccountEnd(user_id=user_id):
                    if self._presence.drop(user_id):
                        self._announce(user_id, False)

    def whole(self, mailbox: Mailbox) -> Signal:
        """The whole presence, as the owner of this mailbox may know it."""
        return vocabulary.whole_presence(self._presence.online_of(mailbox.friends))

    def stream_opened(self, user_id: str) -> None:
        """A stream of this user began."""
        if self._presence.stream_opened(user_id):
            self._came(user_id)

    def stream_closed(self, user_id: str) -> None:
        """A stream of this user ended."""
        self._presence.stream_closed(user_id, self._clock_s())

    def polled(self, user_id: str, hold_s: float) -> None:
        """A poll came that will be held for `hold_s` seconds at the most."""
        if self._presence.polled(user_id, self._clock_s(), hold_s):
            self._came(user_id)

    def poll_left(self, user_id: str, others_due_s: Iterable[float]) -> None:
        """A client that polled has gone, or came back by another way: its next poll is not awaited.

        `others_due_s` are the times until which the user's other polling clients are.
        """
        at_s = self._clock_s() + self._presence.grace_s
        self._presence.poll_ended(user_id, max([at_s, *others_due_s]))

    def _introduce(self, one: str, other: str) -> None:
        for about, to in ((one, other), (other, one)):
            if self._presence.is_online(about):
                self._announce(about, True, to)

    def expire(self, now_s: float) -> None:
        """Tell whose grace is over, and note when they were seen. Never waits for the store."""
        for user_id in self._presence.expire(now_s):
            self._seen[user_id] = self._clock_ms()
            self._announce(user_id, False)
        if self._seen and (self._saving is None or self._saving.done()):
            self._saving = asyncio.get_running_loop().create_task(self._save())

    async def close(self) -> None:
        """Note that everybody who is online was seen now."""
        if self._saving is not None:
            await asyncio.gather(self._saving, return_exceptions=True)
        now_ms = self._clock_ms()
        self._seen.update((user_id, now_ms) for user_id in self._presence.online())
        await self._save()

    def _came(self, user_id: str) -> None:
        self.comings += 1
        if not self._held and not self._crowded():
            self._announce(user_id, True, coming=self.comings)
            return
        if not self._held:
            self._held_since_s = self._clock_s()
            asyncio.get_running_loop().call_later(LOOK_S, self._look_at_held)
        self._held[user_id] = self.comings

    def _look_at_held(self) -> None:
        loop = asyncio.get_running_loop()
        if self._crowded() and self._clock_s() - self._held_since_s < HELD_S:
            loop.call_later(LOOK_S, self._look_at_held)
            return
        for user_id in list(islice(self._held, TOLD_A_TURN)):
            self._announce(user_id, True, coming=self._held.pop(user_id))
        if self._held:
            self._held_since_s = -HELD_S  # they have waited long enough
            loop.call_soon(self._look_at_held)

    def _announce(self, user_id: str, online: bool, to: str | None = None, coming: int = 0) -> None:
        if not online:
            self._held.pop(user_id, None)
        if coming and not self.is_news(coming, user_id):
            return
        signal = vocabulary.presence(user_id, online, self._clock_ms(), coming)
        self._signals.publish(signal, to)

    async def _save(self) -> None:
        seen, self._seen = self._seen, {}
        try:
            await self._store.set_last_seen(seen)
        except Unavailable:
            # Worth little, and soon overwritten: not worth holding back anything.
            log.warning("could not keep when %d users were last seen", len(seen))


def _always(coming: int, of: str) -> bool:
    return True
