"""Questions that are asked one by one in the same turn of the loop, put to the database as one.

Thousands who come back after a restart each ask for a login, a profile and a list of friends: one by one the way to
the database and back costs many times what it does there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST = 64
"""Keys in one question: it holds a thread of the database for about a millisecond."""


class Gathered(Generic[K, V]):
    """`find` answers for many keys at once; a key that it leaves out has no answer."""

    def __init__(self, find: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._find = find
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """The answer for `key`, as of a moment after this call; None where there is none. Raises as `find` does."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._ask)
        self._waiting.append((key, future))
        return await future

    def _ask(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST):
            task = asyncio.create_task(self._answer(waiting[start : start + MOST]))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _answer(self, asked: list[tuple[K, asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._find(list(dict.fromkeys(key for key, _ in asked)))
        except BaseException as error:
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for key, future in asked:
            if not future.done():
                future.set_result(found.get(key))
