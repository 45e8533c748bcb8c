"""Listening, and stopping well: what SIGTERM sets in motion."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from chatserver.http.house import House
from chatserver.site.acceptor import Acceptor
from chatserver.site.dispatch import Dispatch
from chatserver.site.pages import web_folder
from chatserver.site.routes import make_app

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
    """The listening socket, and the house behind it."""

    def __init__(self, house: House) -> None:
        self._house = house
        dispatch = Dispatch(make_app(house, web_folder()), house)
        self._http = HTTPServer(
            dispatch,
            xheaders=False,
            idle_connection_timeout=IDLE_S,
            body_timeout=BODY_S,
            max_header_size=HEADER_BYTES,
            # More is let in than is taken, so that the answer is our 413 and not a cut connection.
            max_body_size=house.settings.limits.body_bytes * 2,
        )
        dispatch.hand_back = self._http.handle_stream
        self._acceptor: Acceptor | None = None

    def listen(self, address: str, port: int) -> int:
        """Take the address; the port that was taken. Raises OSError where it cannot be had."""
        sockets = bind_sockets(port, address, backlog=1024)
        delivery = self._house.delivery
        self._acceptor = Acceptor(sockets, delivery.connections, self._http.handle_stream)
        return int(sockets[0].getsockname()[1])

    async def drain(self) -> None:
        """Send everybody away, make everything accepted durable, let go of the database."""
        house = self._house
        log.info("draining: %d readers", len(house.delivery.readers.all))
        house.delivery.readers.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while house.active_requests:
                    await asyncio.sleep(0.01)
        if self._acceptor is not None:
            self._acceptor.stop()
        await house.journal.close()
        await house.delivery.close()
        await asyncio.sleep(0.05)  # the last answers leave in the turns after their commit
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._http.close_all_connections()
        await house.close()
        log.info("drained")


def stop_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        stopping.set()

    for number in numbers:
        loop.add_signal_handler(number, stop)
    return stopping


def settle_garbage_collection() -> None:
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
