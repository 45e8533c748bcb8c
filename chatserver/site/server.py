"""Listening, and stopping well: what SIGTERM sets in motion."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from functools import lru_cache, partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from chatserver.delivery.seats import SeatedSocket
from chatserver.http.heads import HEAD_BYTES
from chatserver.http.house import House
from chatserver.site.acceptor import Acceptor, payer
from chatserver.site.dispatch import Dispatch
from chatserver.site.lobby import Lobby
from chatserver.site.metrics import Metrics
from chatserver.site.pages import web_folder
from chatserver.site.routes import make_app
from chatserver.site.turnstile import Turnstile
from chatserver.transports import handshake, sse
from chatserver.transports.firstlook import FirstLook
from chatserver.transports.watched import WatchedStream

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that the kernel keeps until they are accepted, Linux's own bound. One more is not answered, and its client
tries again after 1, 3, 7 s."""

OBJECTS_A_COLLECTION = 5_000
"""New objects after which garbage is collected: about 3 ms, and 6 where the ones before them are looked at too."""

FULL_COLLECTION_EVERY = 5_000
"""As many of the larger ones: 50 million new objects that stay."""

PAYERS_KNOWN = 4096
"""Addresses whose payer is remembered: a proxy or an office has many connections."""

CLOSE_S = 5.0
"""How long the connections may take to end that are still there then."""

DRAIN_S = 20.0
"""How long readers and requests may take to finish; with what follows it stays under the promised 30 s."""


class _HTTPServer(HTTPServer):
    """Tornado's, whose way of closing takes the same connection again and again until it has gone by itself: one that has
    answered its last request and is not yet taken out of the set would hold the loop for ever, past any timeout."""

    async def close_all_connections(self) -> None:
        """End what is still open; what does not end in time is left to the end of the process."""
        closing = [asyncio.ensure_future(each.close()) for each in tuple(self._connections)]
        if closing:
            _, late = await asyncio.wait(closing, timeout=CLOSE_S)
            for each in late:
                each.cancel()


class Server:
    """The listening socket, and the house behind it."""

    def __init__(self, house: House) -> None:
        self._house = house
        limits = house.settings.limits
        self.metrics = Metrics()
        dispatch = Dispatch(make_app(house, web_folder(), self.metrics), house)
        self._http = _HTTPServer(
            dispatch,
            xheaders=False,
            idle_connection_timeout=limits.idle_s,
            body_timeout=limits.body_s,
            max_header_size=HEAD_BYTES,
            # More is let in than is taken, so that the answer is our 413 and not a cut connection.
            max_body_size=limits.body_bytes * 2,
        )
        dispatch.hand_back = self._http.handle_stream
        ways = {"/ws": handshake.way(house), "/events": sse.way(house)}
        self._first_look = FirstLook(house, ways, self._seat, self._http.handle_stream)
        self.let_in = self._first_look.take
        """Answers what comes over a connection that has begun to ask for a way in; whether it goes past Tornado."""
        self._turnstile = Turnstile(house.admission)
        self._acceptor: Acceptor | None = None

    @property
    def left_behind(self) -> bool:
        """Whether it can never serve again, and only a new start helps."""
        return self._house.left_behind()

    def listen(self, address: str, port: int, shared: bool = False) -> int:
        """Take the address; the port that was taken. Raises OSError where it cannot be had.

        `shared`: other processes listen there too, and the kernel deals the connections out (SO_REUSEPORT, socket(7)).
        """
        sockets = bind_sockets(port, address, backlog=BACKLOG, reuse_port=shared)
        settings, delivery = self._house.settings, self._house.delivery
        limits, connections = settings.limits, delivery.connections
        connections.watch.open()
        lobby = Lobby(connections, delivery.joins, self.let_in, self._seat, limits.lobby)
        payer_of = lru_cache(PAYERS_KNOWN)(
            partial(payer, proxies=settings.proxies, metered=limits.meter)
        )
        self._acceptor = Acceptor(sockets, connections, lobby, payer_of)
        return int(sockets[0].getsockname()[1])

    def _seat(self, sock: SeatedSocket, address: Any) -> None:
        if not self._turnstile.turns_away(sock, address):
            self._take_seated(sock, address)

    def _take_seated(self, sock: SeatedSocket, address: Any) -> None:
        self.take(WatchedStream(sock, self._house.delivery.connections, asks_first=True), address)

    def take(self, stream: IOStream, address: Any) -> None:
        """Answer what comes over a connection from `address`."""
        self._http.handle_stream(stream, address)

    async def drain(self) -> None:
        """Send everybody away, make everything accepted durable, let go of the database."""
        house = self._house
        log.info("draining: %d readers", len(house.delivery.readers.all))
        await house.delivery.readers.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while house.active_requests:
                    await asyncio.sleep(0.01)
        if self._acceptor is not None:
            self._acceptor.stop(house.delivery.readers.restarting())
        await house.friendships.partings.close()
        await house.journal.close()
        await house.delivery.close()
        await asyncio.sleep(0.05)  # the last answers leave in the turns after their commit
        await self._http.close_all_connections()
        await house.close()
        log.info("drained")


def reserve(address: str, port: int) -> tuple[int, list[socket.socket]]:
    """Keep an address for processes that will share it: the port, and what holds it as long as it is not closed.

    Raises OSError where somebody else listens there: without this look the two would share it.
    """
    looked = bind_sockets(port, address)
    places = [(sock.family, sock.getsockname()) for sock in looked]
    for sock in looked:
        sock.close()
    held = []
    for family, place in places:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)
        held.append(sock)
    return int(places[0][1][1]), held


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
    full ones can be rare. The others must be small, 0.6 us for each object: every 50,000 objects, as it was, one of
    30 to 50 ms fell into the turns in which a herd comes in. Every second one looks at what the one before it left, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_A_COLLECTION, 0, FULL_COLLECTION_EVERY)


def describe_socket_error(error: OSError, address: str, port: int) -> str:
    """Why the address could not be had, as a sentence for the person who started the server."""
    if isinstance(error, socket.gaierror):
        return f"{address} is not an address of this machine."
    if error.errno == errno.EADDRINUSE:
        return f"another program listens on {address}:{port}: end it, or choose another --port."
    if error.errno == errno.EACCES:
        return f"this user may not listen on {address}:{port}: choose a --port from 1024 on."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine."
    return f"cannot listen on {address}:{port}: {error.strerror or error}."
