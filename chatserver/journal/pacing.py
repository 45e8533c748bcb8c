"""How often a batch of what waits is taken: at once after a quiet moment, else so far apart that what comes goes together."""

from __future__ import annotations

import asyncio

APART_S = 0.0032
"""Batches begin at least so far apart: what comes meanwhile goes together. A write costs about 110 µs of CPU
for its fsync and 30 for its way to the thread and back, however little it holds (`docs/design/commit.md`).
A message that comes after a quiet moment still goes at once."""
INPUT_TURNS = 2
"""Turns of the loop before a batch is taken: one to learn what has come in, one to read it. After a large fan-out
the loop has unread input; read it first, so that it need not wait for a batch of its own."""


class Pace:
    """The pace of one journal's batches."""

    def __init__(self) -> None:
        self._began_s = 0.0

    async def next(self) -> None:
        """Return when the next batch is to be taken."""
        loop = asyncio.get_running_loop()
        early_s = self._began_s + APART_S - loop.time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        else:
            for _ in range(INPUT_TURNS):
                await asyncio.sleep(0)
        self._began_s = loop.time()
