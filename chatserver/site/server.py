"""Listening, and stopping well: what SIGTERM sets in motion."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from chatserver.delivery.delivery import Delivery
from chatserver.journal.contract import Journal
from chatserver.site.dispatch import Front
from chatserver.store.contract import Store
from chatserver.verbs.sessions import Sessions

log = logging.getLogger(__name__)

HEADER_BYTES = 16 * 1024
"""Request line and headers together; a cookie and a query of ours have a hundredth of it."""

IDLE_S = 75.0
"""How long an idle keep-alive connection is kept; longer than a poll is held."""

BODY_S = 30.0
"""How long a request's body may take."""

DRAIN_S = 20.0
"""How long readers and requests may take to finish; with what follows it stays under the promised 30 s."""


class Server:
    """The listening socket and the parts behind it."""

    def __init__(
        self,
        front: Front,
        delivery: Delivery,
        journal: Journal,
        sessions: Sessions,
        store: Store,
        body_bytes: int,
    ) -> None:
        self._delivery = delivery
        self._journal = journal
        self._sessions = sessions
        self._store = store
        self._http = HTTPServer(
            front,
            xheaders=False,
            idle_connection_timeout=IDLE_S,
            body_timeout=BODY_S,
            max_header_size=HEADER_BYTES,
            # One byte more is let in, so that the answer is our 413 and not a cut connection.
            max_body_size=body_bytes * 2,
        )
        front.hand_back = self._http.handle_stream
        self.active_requests: Callable[[], int] = lambda: 0
        """How many requests of the application are being answered (the application sets it)."""

    def listen(self, address: str, port: int) -> int:
        """Take the address; the port that was taken. Raises OSError where it cannot be had."""
        sockets = bind_sockets(port, address, backlog=1024)
        self._http.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        _settle_garbage_collection()
        await stopping.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # a second one ends the process at once
        await self.drain()

    async def drain(self) -> None:
        """Send everybody away, make everything accepted durable, let go of the database."""
        log.info("draining: %d readers", len(self._delivery.readers))
        await self._delivery.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self.active_requests():
                    await asyncio.sleep(0.01)
        self._http.stop()
        await self._journal.close()
        await self._delivery.close()
        await asyncio.sleep(0.05)  # the last answers leave in the turns after their commit
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._http.close_all_connections()
        await self._sessions.close()
        await self._store.close()
        log.info("drained")


def _settle_garbage_collection() -> None:
    """Keep full collections off the loop's back.

    A full collection walks every object: with 5,000 connections it stopped the loop for 125 to 218 ms. What
    lives since the start is frozen; our connections free themselves without the collector (no circles), so
    the thresholds can be high.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def describe_socket_error(error: OSError, address: str, port: int) -> str:
    """Why the address could not be had, as a sentence for the person who started the server."""
    if isinstance(error, socket.gaierror):
        return f"{address} is not an address of this machine."
    return f"cannot listen on {address}:{port}: {error.strerror or error}."
