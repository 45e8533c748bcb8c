"""How long the turns of a running event loop are, and a server in this process whose loop is watched."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from chatserver.command.build import build
from chatserver.command.settings import Settings
from chatserver.http.house import House
from chatserver.site.server import Server
from chatserver.store.contract import Store

SETTLED_TURNS = 50
"""Turns of the loop after which what can happen without time or help has happened."""


@contextmanager
def without_collector() -> Iterator[None]:
    """No garbage is collected meanwhile.

    After thousands of tests a full collection takes a quarter of a second of whichever turn it falls into; the server
    keeps it out of its turns (`Server.listen` freezes what is there).
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def settle(*stores: Store) -> None:
    """Let what is under way come to where it waits: in the loop, and in the threads of these stores."""
    for store in stores:
        await store.relation("nobody", "anybody")  # a way to the threads and back
    for _ in range(SETTLED_TURNS):
        await asyncio.sleep(0)


@dataclass
class Turns:
    """The longest turn since `reset`, in seconds of this thread's CPU time.

    Not of the clock on the wall: what other threads and other programs take away is not the turn's. Waiting for
    events takes no CPU time, so it is left out by itself.
    """

    longest_s: float = 0.0

    def reset(self) -> None:
        self.longest_s = 0.0

    def watch(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Measure from the next turn on; what is returned ends it."""
        run_once: Callable[[], None] = loop._run_once  # type: ignore[attr-defined]

        def measured() -> None:
            began_s = time.thread_time()
            run_once()
            self.longest_s = max(self.longest_s, time.thread_time() - began_s)

        loop._run_once = measured  # type: ignore[attr-defined]
        return lambda: setattr(loop, "_run_once", run_once)


@dataclass
class Watched:
    """A server in this process. Its clients are in other threads, or their work would count as its own."""

    url: str
    house: House
    turns: Turns

    async def longest_s(
        self, tries: int, short_s: float, work: Callable[..., Any], *arguments: Any
    ) -> float:
        """The longest turn during `work` in a thread: the best of so many tries, or the first that is no more than `short_s`.

        The best, because a turn may be long for what has nothing to do with the work: a collection of garbage, a
        CPU that is throttled.
        """
        best_s = float("inf")
        for _ in range(tries):
            self.turns.reset()
            await asyncio.to_thread(work, *arguments)
            await asyncio.sleep(0)
            best_s = min(best_s, self.turns.longest_s)
            if best_s <= short_s:
                break
        return best_s


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[Watched]:
    """A server on a free port of the loopback, and the turns of its loop, which is the running one."""
    house = await build(settings)
    server = Server(house)
    port = server.listen("127.0.0.1", 0)
    turns = Turns()
    end = turns.watch(asyncio.get_running_loop())
    try:
        yield Watched(f"http://127.0.0.1:{port}", house, turns)
    finally:
        end()
        await server.drain()
