"""Friendships that end in some seconds, unless that is taken back: until then nothing has happened, so nothing is lost.

LIMIT: they wait in the memory of this process. A drain carries them out; a server that is killed forgets those of the last
seconds, and these friendships stay.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chatserver.core.errors import ChatError, Conflict, RateLimited

log = logging.getLogger(__name__)

UNDO_S = 10
"""For so long our own pages put it off."""
UNDO_MAX_S = 60
"""For so long an end may be put off."""
GRACE_S = 2.0
"""Whoever takes it back in the last moment is on the way for a while: so much later it is carried out."""
AGAIN_S = 2.0
"""When it is tried again where the database does not answer."""
CLOSE_S = 5.0
"""So long a stop waits for a database that does not answer."""
PARTINGS_OF_EACH = 60
"""Ends of one user that wait: as many as their rate lets through at once."""

_Key = tuple[str, str]


@dataclass(slots=True)
class _Parting:
    task: asyncio.Task[None]
    ends_at_s: float
    """Monotonic."""
    begun: bool = False
    """It is being carried out: too late to take it back."""


class Partings:
    """Ends that wait. `end` carries one out: who ends it, and with whom. It may raise `ChatError`."""

    def __init__(self, end: Callable[[str, str], Awaitable[None]]) -> None:
        self._end = end
        self._waiting: dict[_Key, _Parting] = {}
        self._of_each: dict[str, int] = {}
        self._closing = asyncio.Event()

    def put_off(self, user_id: str, other_id: str, delay_s: float) -> None:
        """End it in `delay_s` seconds, or a little later; begun anew where it waits already.

        Raises `RateLimited` where too many of the user wait.
        """
        self.take_back(user_id, other_id)
        if (user_id, other_id) in self._waiting:
            return
        if self._of_each.get(user_id, 0) >= PARTINGS_OF_EACH:
            raise RateLimited("You are ending too many friendships at once.", delay_s)
        key = (user_id, other_id)
        ends_at_s = time.monotonic() + delay_s
        task = asyncio.create_task(self._wait(key, delay_s + GRACE_S), name="parting")
        self._waiting[key] = _Parting(task, ends_at_s)
        self._of_each[user_id] = self._of_each.get(user_id, 0) + 1

    def ends_in_s(self, user_id: str, other_id: str) -> int | None:
        """For how long the user may still take it back; None where nothing waits."""
        parting = self._waiting.get((user_id, other_id))
        return None if parting is None else max(0, math.ceil(parting.ends_at_s - time.monotonic()))

    def of(self, user_id: str) -> list[str]:
        """With whom an end of this user's waits."""
        if user_id not in self._of_each:
            return []
        return [other_id for ending, other_id in self._waiting if ending == user_id]

    def take_back(self, user_id: str, other_id: str) -> bool:
        """Let the friendship be as it was; False where no end of this user waits."""
        parting = self._waiting.get((user_id, other_id))
        if parting is None or parting.begun:
            return False
        parting.task.cancel()
        self._forget((user_id, other_id))
        return True

    def keep(self, user_id: str, other_id: str) -> None:
        """As `take_back`. Raises `Conflict` where it is too late."""
        if not self.take_back(user_id, other_id):
            raise Conflict("It is too late: the friendship has ended. You can ask for it again.")

    async def close(self) -> None:
        """Carry out what waits: the server stops."""
        self._closing.set()
        tasks = [parting.task for parting in self._waiting.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)

    async def _wait(self, key: _Key, wait_s: float) -> None:
        while True:
            await self._pause(wait_s)
            self._waiting[key].begun = True
            try:
                await self._end(*key)
            except ChatError as error:
                log.info("a friendship could not be ended yet: %s", error.detail)
                if not self._closing.is_set():
                    wait_s = AGAIN_S
                    continue
            self._forget(key)
            return

    async def _pause(self, wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), wait_s)
        except TimeoutError:
            return

    def _forget(self, key: _Key) -> None:
        if self._waiting.pop(key, None) is None:
            return
        left = self._of_each[key[0]] - 1
        if left:
            self._of_each[key[0]] = left
        else:
            del self._of_each[key[0]]
