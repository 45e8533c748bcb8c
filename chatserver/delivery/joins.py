"""Joins: how many readers may be greeted, or mended, at the same time. Those beyond wait in order.

A herd that comes back all at once would otherwise put thousands of steps into one turn of the loop and thousands of
questions before the store, so that nobody is greeted before nearly everybody could be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

CROWD = 10
"""With so many joins under way a herd is coming, and what can wait for a moment should."""


class Joins:
    """At most `most` at once: `async with joins:` around the work of one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.under_way = 0
        self.peak = 0
        """The most that were ever under way."""
        self.done = 0
        """How many have ended, ever."""
        self.on_room: Callable[[], None] | None = None
        """Called when one has ended and none waits."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many more could begin now."""
        return 0 if self._waiting else self.most - self.under_way

    def crowded(self) -> bool:
        """Whether a herd is coming."""
        return self.under_way >= CROWD or bool(self._waiting)

    def try_enter(self) -> bool:
        """Begin, if that can be at once; then `leave` ends it."""
        if self.under_way >= self.most or self._waiting:
            return False
        self.under_way += 1
        if self.under_way > self.peak:
            self.peak = self.under_way
        return True

    async def enter(self) -> None:
        """Begin, when it is one's turn."""
        if self.try_enter():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn  # whoever leaves gives its place on
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    async def enter_again(self) -> None:
        """As `enter`, for somebody who left within their `async with`.

        Cancelled while they wait, they are in all the same: the end of the `async with` will count them out.
        """
        try:
            await self.enter()
        except asyncio.CancelledError:
            self.under_way += 1
            raise

    def leave(self) -> None:
        """End, or stop for a while: what waits for a clock or a peer must not keep others from joining."""
        self.done += 1
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.under_way -= 1
        if self.on_room is not None:
            self.on_room()

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(self, *_: object) -> None:
        self.leave()
