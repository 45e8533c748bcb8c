"""Turns: costly work is done a few at once, and everybody queues behind themselves alone.

Who asks for fifty histories at the same time waits for their own; somebody else's first is done next (round robin). What
may not wait at all, such as a sign-in, has a line that goes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chatserver.core.errors import RateLimited, Unavailable

WAITING_MAX = 5000
"""Who may wait in all, for memory: some MB of suspended requests. One more is `Unavailable`."""
AGAIN_S = 1.0
"""When somebody for whom there is no room to wait should come again."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: how many of it may have their turn at once, and how many of one key; how many of one key may wait.

    `refusal` is the sentence for one more.
    """

    at_once: int
    of_each: int
    waiting_of_each: int
    refusal: str


class _Queue:
    """Those of one key in one line."""

    __slots__ = ("eligible", "running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.eligible = False
        """Whether it stands in its line's round."""


class _Round:
    """A line with its queues, and whose turn it is."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.running = 0
        self.queues: dict[str, _Queue] = {}
        self.next: deque[_Queue] = deque()

    def stand(self, queue: _Queue) -> None:
        """Let the queue take part in the round, where it has somebody who may go."""
        if queue.waiting and not queue.eligible and queue.running < self.line.of_each:
            queue.eligible = True
            self.next.append(queue)


class Turns:
    """At most `at_once` turns at the same time. A line goes before those that stand after it."""

    def __init__(self, at_once: int, *lines: Line) -> None:
        self._free = at_once
        self._rounds = [_Round(line) for line in lines]
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    def is_crowded(self, key: str) -> bool:
        """Whether `key` would have to wait for others of its own, in the first line."""
        queue = self._rounds[0].queues.get(key)
        return queue is not None and queue.running >= self._rounds[0].line.of_each

    @asynccontextmanager
    async def turn(self, key: str, line: int = 0) -> AsyncIterator[None]:
        """Wait for one's turn and hold it. Never take a second one of a key inside: both could wait for ever.

        Raises `RateLimited` where too many of `key` wait, and `Unavailable` where too many do in all.
        """
        round_ = self._rounds[line]
        queue = round_.queues.get(key)
        if queue is None:
            queue = round_.queues[key] = _Queue()
        try:
            await self._enter(round_, queue)
            try:
                yield
            finally:
                self._end(round_, queue)
        finally:
            if not queue.running and not queue.waiting and round_.queues.get(key) is queue:
                del round_.queues[key]

    async def _enter(self, round_: _Round, queue: _Queue) -> None:
        if len(queue.waiting) >= round_.line.waiting_of_each:
            raise RateLimited(round_.line.refusal, AGAIN_S)
        if self._waiting >= WAITING_MAX:
            raise Unavailable("The server has too much to do at the moment.", AGAIN_S)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.waiting.append(turn)
        self._waiting += 1
        round_.stand(queue)
        self._go_on()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end(round_, queue)
            elif turn in queue.waiting:
                queue.waiting.remove(turn)
                self._waiting -= 1
            raise

    def _end(self, round_: _Round, queue: _Queue) -> None:
        queue.running -= 1
        round_.running -= 1
        self._free += 1
        round_.stand(queue)
        self._go_on()

    def _go_on(self) -> None:
        for round_ in self._rounds:
            while self._free and round_.next and round_.running < round_.line.at_once:
                self._let(round_, round_.next.popleft())

    def _let(self, round_: _Round, queue: _Queue) -> None:
        queue.eligible = False
        while queue.waiting:
            turn = queue.waiting.popleft()
            self._waiting -= 1
            if turn.done():
                continue  # it gave up
            queue.running += 1
            round_.running += 1
            self._free -= 1
            turn.set_result(None)
            break
        round_.stand(queue)
