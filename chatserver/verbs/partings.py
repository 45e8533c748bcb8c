"""Friendships that end in some seconds, unless that is taken back: until then nothing has happened, so nothing is lost.

LIMIT: they wait in the memory of the process that was asked. A drain carries them out; a server that is killed forgets those of the
last seconds, and these friendships stay. With several nodes all know what waits at which, and each has the one where it
waits take it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

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
KIND = "parting"
"""Of what the nodes say to each other of it."""
_WAITS, _TAKEN_BACK, _OVER = "waits", "taken back", "over"
CLOSE_S = 5.0
"""So long a stop waits for a database that does not answer."""
PARTINGS_OF_EACH = 60
"""Ends of one user that wait: as many as their rate lets through at once."""

_Key = tuple[str, str]


class Others(Protocol):
    """What of the other nodes is needed here (`journal.errands`)."""

    async def ask_all(self, kind: str, fields: Any) -> list[Any]:
        """What each living one answers; never raises."""
        ...


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
        self._elsewhere: dict[_Key, float] = {}
        """Until when it may be taken back, of what waits at other nodes."""
        self.others: Others | None = None
        """The other nodes, where there are any."""

    async def put_off_for_all(self, user_id: str, other_id: str, delay_s: float) -> None:
        """As `put_off`; every node knows of it then."""
        await self.take_back_anywhere(user_id, other_id)
        self.put_off(user_id, other_id, delay_s)
        if self.others is not None:
            await self.others.ask_all(KIND, [_WAITS, user_id, other_id, delay_s])

    async def take_back_anywhere(self, user_id: str, other_id: str) -> bool:
        """As `take_back`, wherever it waits."""
        taken = self.take_back(user_id, other_id)
        self._elsewhere.pop((user_id, other_id), None)
        if self.others is not None:
            taken |= any(await self.others.ask_all(KIND, [_TAKEN_BACK, user_id, other_id, 0]))
        return taken

    async def hear(self, fields: Any) -> bool:
        """What another node says of an end; whether one that waits here is taken back by that."""
        what, user_id, other_id, delay_s = fields
        self._elsewhere.pop((user_id, other_id), None)
        if what == _WAITS:
            self._elsewhere[user_id, other_id] = time.monotonic() + delay_s
        return what == _TAKEN_BACK and self.take_back(user_id, other_id)

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
        ends_at_s = (
            self._elsewhere.get((user_id, other_id)) if parting is None else parting.ends_at_s
        )
        return None if ends_at_s is None else max(0, math.ceil(ends_at_s - time.monotonic()))

    def of(self, user_id: str) -> list[str]:
        """With whom an end of this user's waits."""
        if self._elsewhere:
            self._forget_late()
        elif user_id not in self._of_each:
            return []
        keys = {**self._waiting, **self._elsewhere}
        return [other_id for ending, other_id in keys if ending == user_id]

    def _forget_late(self) -> None:
        """What waited at a node that is gone comes to nothing."""
        late_s = time.monotonic() - GRACE_S
        self._elsewhere = {key: at_s for key, at_s in self._elsewhere.items() if at_s > late_s}

    def take_back(self, user_id: str, other_id: str) -> bool:
        """Let the friendship be as it was; False where no end of this user waits."""
        parting = self._waiting.get((user_id, other_id))
        if parting is None or parting.begun:
            return False
        parting.task.cancel()
        self._forget((user_id, other_id))
        return True

    async def keep(self, user_id: str, other_id: str) -> None:
        """As `take_back_anywhere`. Raises `Conflict` where it is too late."""
        if not await self.take_back_anywhere(user_id, other_id):
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
            if self.others is not None:
                await self.others.ask_all(KIND, [_OVER, *key, 0])
            return

    async def _pause(self, wait_s: float) -> None:
        # No `wait_for`: in Python 3.11 it loses what takes an end back in the turn in which the server begins to stop.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._closing.wait()

    def _forget(self, key: _Key) -> None:
        del self._waiting[key]
        left = self._of_each[key[0]] - 1
        if left:
            self._of_each[key[0]] = left
        else:
            del self._of_each[key[0]]
