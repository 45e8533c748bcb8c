"""Taking connections in: each gets a stream that obeys the same bound in time as those that left Tornado."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tornado.iostream import IOStream

from chatserver.delivery.connections import Connections
from chatserver.transports.watched import WatchedStream

log = logging.getLogger(__name__)

ACCEPTS_A_TURN = 32
"""Connections taken in one turn of the loop: a herd must not keep those out who are in already."""

PAUSE_S = 0.5
"""How long nothing is accepted where descriptors have run out."""

LOG_EVERY_S = 60.0

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on `sockets` and gives each connection to `take`, with the peer's address."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connections: Connections,
        take: Callable[[IOStream, Any], None],
    ) -> None:
        self._sockets = list(sockets)
        self._connections = connections
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._logged_s: float | None = None
        # Given up for a moment where there is no other: so that who waits is refused instead of hanging.
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._listen()

    def stop(self) -> None:
        """Take no more, and give the addresses free."""
        if self._stopped:
            return
        self._stopped = True
        self._unlisten()
        for sock in self._sockets:
            sock.close()
        os.close(self._spare)

    def _listen(self) -> None:
        if not self._stopped:
            for sock in self._sockets:
                self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _unlisten(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                connection, address = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # it went while it waited
            except OSError as error:
                if error.errno not in OUT_OF_DESCRIPTORS:
                    raise
                self._pause(sock, error)
                return
            self._begin(connection, address)

    def _begin(self, connection: socket.socket, address: Any) -> None:
        connection.setblocking(False)
        try:
            self._take(WatchedStream(connection, self._connections), address)
        except Exception as error:
            self._connections.failed(str(address[0]), error)
            connection.close()

    def _pause(self, sock: socket.socket, error: OSError) -> None:
        """Refuse one with the spare descriptor, and accept nothing for a while."""
        self._connections.counts["no descriptor"] += 1
        now_s = self._connections.clockwork.clock_s()
        if self._logged_s is None or now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            log.error("no connection can be accepted for the moment: %s", error.strerror)
        os.close(self._spare)
        with contextlib.suppress(OSError):  # it went, or somebody else took the descriptor
            sock.accept()[0].close()
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._unlisten()
        self._loop.call_later(PAUSE_S, self._listen)
