"""Reading, deciding and appending, where somebody on another node may decide about the same people at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chatserver.core.errors import Unavailable
from chatserver.journal.contract import Guard, Journal, Outrun

V = TypeVar("V")

TRIES = 5
"""Each time somebody else has got through; whoever loses so often is one of many that act for the same two people."""

DECIDE_S = 10.0
"""Whoever asked longer ago has most likely asked another node since, and may want the opposite by now: a process that was
frozen in between would bring back a block that was lifted, or lift one that was set."""


async def decided(journal: Journal, decide: Callable[[Guard], Awaitable[V]], *user_ids: str) -> V:
    """What `decide` returns, which reads the store and appends under the guard that it is given.

    It is called again, with a new guard, where somebody was faster; `user_ids` are one user or a pair. Raises
    `Unavailable` where that happens TRIES times, or has taken DECIDE_S, and what `decide` raises.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + DECIDE_S
    for _ in range(TRIES):
        guard = await journal.guard(*user_ids)
        if loop.time() > until_s:
            break
        try:
            return await decide(guard)
        except Outrun:
            continue
    raise Unavailable("The server has too much to do at the moment.")
