"""Floor 2: who is online, told to whom it concerns; and when they were last seen, kept for later.

`core.presence` knows the rule. This is what follows from it: the signals, and the note in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from chatserver.core.errors import Unavailable
from chatserver.core.events import Signal, make_signal
from chatserver.core.hub import Hub
from chatserver.core.mailbox import Mailbox
from chatserver.core.presence import Presence

log = logging.getLogger(__name__)


class SeenKeeper(Protocol):
    """What of the store is needed here."""

    async def set_last_seen(self, seen: Mapping[str, int]) -> None: ...


class Attendance:
    """The presence of this process's users.

    `clock_s` is monotonic seconds, `clock_ms` milliseconds since 1970.
    """

    def __init__(
        self,
        hub: Hub,
        store: SeenKeeper,
        grace_s: float,
        clock_s: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._hub = hub
        self._store = store
        self._grace_s = grace_s
        self._clock_s = clock_s
        self._clock_ms = clock_ms
        self._presence = Presence(grace_s)
        self._seen: dict[str, int] = {}
        self._saving: asyncio.Task[None] | None = None

    def online(self, user_id: str) -> bool:
        """Whether this user has a stream, polls, or did so within the grace."""
        return self._presence.is_online(user_id)

    def whole(self, mailbox: Mailbox) -> Signal:
        """The whole presence, as the owner of this mailbox may know it."""
        online = [friend for friend in mailbox.friends if self._presence.is_online(friend)]
        return make_signal("presence", "", {"online": online})

    def stream_opened(self, user_id: str) -> None:
        """A stream of this user began."""
        if self._presence.stream_opened(user_id):
            self._announce(user_id, True)

    def stream_closed(self, user_id: str) -> None:
        """A stream of this user ended."""
        self._presence.stream_closed(user_id, self._clock_s())

    def polled(self, user_id: str, hold_s: float) -> None:
        """A poll came that will be held for `hold_s` seconds at the most."""
        if self._presence.polled(user_id, self._clock_s(), hold_s):
            self._announce(user_id, True)

    def poll_left(self, user_id: str, others_due_s: Iterable[float]) -> None:
        """A client that polled has gone, or came back by another way: its next poll is not awaited.

        `others_due_s` are the times until which the user's other polling clients are.
        """
        at_s = self._clock_s() + self._grace_s
        self._presence.poll_ended(user_id, max([at_s, *others_due_s]))

    def introduce(self, one: str, other: str) -> None:
        """The two have become friends: tell each whether the other is online."""
        for about, to in ((one, other), (other, one)):
            if self._presence.is_online(about):
                self._announce(about, True, to)

    def drop(self, user_id: str) -> None:
        """The user is no more."""
        if self._presence.drop(user_id):
            self._announce(user_id, False)

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

    def _announce(self, user_id: str, online: bool, to: str | None = None) -> None:
        fields: dict[str, Any] = {"user": user_id, "online": online, "lastSeen": self._clock_ms()}
        self._hub.signal(make_signal("presence", user_id, fields), to)

    async def _save(self) -> None:
        seen, self._seen = self._seen, {}
        try:
            await self._store.set_last_seen(seen)
        except Unavailable:
            # Worth little, and soon overwritten: not worth holding back anything.
            log.warning("could not keep when %d users were last seen", len(seen))
