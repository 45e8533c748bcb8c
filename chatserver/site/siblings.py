"""The processes that answer at the same port: each is asked by the others, over a Unix socket in a folder of the supervisor's.

So `/readyz` and `/metrics` are those of the whole, whichever process a question comes to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

STARTED = "started"
"""A file that the supervisor makes when all processes are ready for the first time."""
PATIENCE_S = 2.0
ANSWER_BYTES = 4 * 1024 * 1024


class Siblings:
    """Process `number` of `count`; `folder` is its owner's alone."""

    def __init__(self, folder: Path, number: int, count: int) -> None:
        self._folder = folder
        self._number = number
        self._count = count
        self._server: asyncio.Server | None = None
        self._answer: Callable[[], dict[str, Any]] = dict

    async def start(
        self, trouble: Callable[[], str | None], numbers: Callable[[], dict[str, Any]]
    ) -> None:
        """Answer the others from now on."""

        def answer() -> dict[str, Any]:
            return {"trouble": trouble(), "numbers": numbers()}

        self._answer = answer
        path = self._path(self._number)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path)

    async def trouble(self) -> str | None:
        """Why no new work may be sent to the whole. A process that is just being replaced has no connections, and so does
        not count: the kernel deals them out among those that listen."""
        if not (self._folder / STARTED).exists():
            return "The server is starting."
        for said in await self._ask_all():
            if said["trouble"] is not None:
                return str(said["trouble"])
        return None

    async def numbers(self) -> Sequence[dict[str, Any]]:
        """What each of the others has counted; nothing of one that does not answer."""
        return [said["numbers"] for said in await self._ask_all() if said["numbers"]]

    async def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            self._path(self._number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.sock"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(json.dumps(self._answer()).encode())
            await writer.drain()
        writer.close()

    async def _ask_all(self) -> list[dict[str, Any]]:
        others = [number for number in range(self._count) if number != self._number]
        answers = await asyncio.gather(*map(self._ask, others))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, number: int) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    said: dict[str, Any] = json.loads(await reader.read(ANSWER_BYTES))
                    return said
                finally:
                    writer.close()
        except TimeoutError:
            return {"trouble": "A process of the server does not answer.", "numbers": {}}
        except (OSError, ValueError):
            return None  # it has ended, and another one takes its place
