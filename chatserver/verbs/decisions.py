"""Reading, deciding and appending, where somebody on another node may decide about the same people at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chatserver.core.errors import Unavailable
from chatserver.journal.contract import Guard, Journal, Outrun

V = TypeVar("V")

TRIES = 5
"""Each time somebody else has got through; whoever loses so often is one of many that act for the same two people."""


async def decided(journal: Journal, decide: Callable[[Guard], Awaitable[V]], *user_ids: str) -> V:
    """What `decide` returns, which reads the store and appends under the guard that it is given.

    It is called again, with a new guard, where somebody was faster; `user_ids` are one user or a pair. Raises
    `Unavailable` where that happens TRIES times, and what `decide` raises.
    """
    for _ in range(TRIES):
        guard = await journal.guard(*user_ids)
        try:
            return await decide(guard)
        except Outrun:
            continue
    raise Unavailable("The server has too much to do at the moment.")
