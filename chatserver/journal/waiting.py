"""Waiting: until something has come as far as a seq, and for what becomes of an append."""

from __future__ import annotations

import asyncio

from chatserver.core.errors import Unavailable
from chatserver.journal.contract import CAUGHT_UP_S, Appended, Outrun


class Reached:
    """A position that only grows, and whoever waits for it. `detail` is what they are told who wait too long."""

    def __init__(self, detail: str) -> None:
        self.seq = 0
        self._detail = detail
        self._waiting: dict[asyncio.Future[None], int] = {}

    @property
    def awaited(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def reach(self, seq: int) -> None:
        """It has come so far."""
        if seq <= self.seq:
            return
        self.seq = seq
        for waiter, wanted in self._waiting.items():
            if wanted <= seq and not waiter.done():
                waiter.set_result(None)

    async def wait(self, seq: int) -> None:
        """Return once it has come as far as `seq`. Raises `Unavailable` after CAUGHT_UP_S."""
        if seq <= self.seq:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = seq
        try:
            async with asyncio.timeout(CAUGHT_UP_S):
                await waiter
        except TimeoutError:
            raise Unavailable(self._detail) from None
        finally:
            del self._waiting[waiter]


def resolve(
    future: asyncio.Future[list[Appended]], outcome: list[Appended] | Unavailable | Outrun
) -> None:
    """Let whoever awaits `future` have the outcome; nobody may await it any more."""
    if future.done():
        return
    if isinstance(outcome, list):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)


def resolve_one(future: asyncio.Future[list[Appended]], answer: Appended | Unavailable) -> None:
    """The same, of a single draft."""
    resolve(future, [answer] if isinstance(answer, Appended) else answer)
