"""Proxies on loopback: what stands between a server and what it talks to, and a line of it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, NamedTuple, Self

CHUNK_BYTES = 1 << 16
Way = Coroutine[Any, Any, None]


class Ends(NamedTuple):
    """Of one connection that passes through."""

    reader: asyncio.StreamReader
    """From the client."""
    writer: asyncio.StreamWriter
    """To the client."""
    there: asyncio.StreamReader
    """From the target."""
    back: asyncio.StreamWriter
    """To the target."""


class LoopbackProxy(ABC):
    """Listens on `port` and talks to `target_port`, in a thread of its own; `ways` says what passes, each way."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @abstractmethod
    def ways(self, ends: Ends) -> tuple[Way, Way]:
        """From the client to the target, and from the target to the client."""

    async def opened(self) -> None:
        """Before the target is connected to."""

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None, "it listens"
        self._server.close()
        self._break_off()
        await asyncio.gather(*self._serving, return_exceptions=True)
        # Aborted transports close their sockets in the next turn.
        await asyncio.sleep(0)

    def _break_off(self) -> None:
        for task in self._serving:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                await self.opened()
                there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
                ends = Ends(reader, writer, there, back)
                tasks = [asyncio.create_task(w) for w in self.ways(ends)]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    back.transport.abort()
        finally:
            writer.transport.abort()


class Line(LoopbackProxy):
    """Passes everything on until it is cut: then it goes silent as a broken network does, or breaks off."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self, silently: bool = True) -> None:
        """Pass nothing on. Silently: what is sent waits, as packets do that are sent again; else connections break."""
        self._loop.call_soon_threadsafe(self._cut, silently)

    def mend(self) -> None:
        """Pass on again, what has waited first."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def _cut(self, silently: bool) -> None:
        self._whole.clear()
        if not silently:
            self._break_off()

    async def opened(self) -> None:
        await self._whole.wait()

    def ways(self, ends: Ends) -> tuple[Way, Way]:
        return self._pass_on(ends.reader, ends.back), self._pass_on(ends.there, ends.writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
