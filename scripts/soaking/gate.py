"""A gate through which everything goes that may not go on in a quiet moment."""

from __future__ import annotations

import asyncio
from typing import Self


class Gate:
    """Whoever is inside goes on to the end; while it is closed nobody comes in."""

    def __init__(self) -> None:
        self._inside = 0
        self._open = asyncio.Event()
        self._empty = asyncio.Event()
        self._open.set()
        self._empty.set()

    async def __aenter__(self) -> Self:
        await self._open.wait()
        self._inside += 1
        self._empty.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    async def close(self, limit_s: float) -> None:
        """Let nobody in, and return when all are out. Raises `TimeoutError`."""
        self._open.clear()
        async with asyncio.timeout(limit_s):
            await self._empty.wait()

    def open(self) -> None:
        """Let everybody in."""
        self._open.set()
