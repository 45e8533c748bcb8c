"""Accepting connections: who may have a seat, and what happens where there is none, or no descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from chatserver.core.addresses import address, bucket_key
from chatserver.core.errors import ChatError
from chatserver.delivery.connections import Connections
from chatserver.delivery.seats import Kind, SeatedSocket, kind_of
from chatserver.http.proxies import Proxies
from chatserver.site.lobby import Lobby

log = logging.getLogger(__name__)

ACCEPTS_A_TURN = 64
"""Connections accepted in one go, half a millisecond to two: a herd must not keep those out who are in already."""

PAUSE_S = 0.5
"""How long nothing is accepted where descriptors have run out."""

GIVE_WAY = 32
"""Connections on which nobody has signed in that end then: the store and its files need descriptors, too."""

LOG_EVERY_S = 60.0

LAST_TAKEN = 1000
"""Of those who wait to be accepted when the server stops, so many are answered: some tenths of a second."""


def payer(peer: str, proxies: Proxies, metered: bool) -> str | None:
    """Who pays for a connection of `peer` before sign-in; None where it counts in all only.

    So it is with trusted proxies, which speak for many, and with this machine: a proxy that nobody has told us of would
    lock everybody out, and whoever is on it has other means.
    """
    where = address(peer)
    if not metered or where is None or where.is_loopback:
        return None
    return None if proxies.is_trusted(where) else bucket_key(where)


class Acceptor:
    """Accepts on `sockets` for the lobby. `payer_of` says who pays for a peer, by its address."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connections: Connections,
        lobby: Lobby,
        payer_of: Callable[[str], str | None],
    ) -> None:
        self._sockets = list(sockets)
        self._connections = connections
        self._lobby = lobby
        self._payer_of = payer_of
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._pauses = False
        self._goes_on = False  # accepting, in the next turn
        self._logged_s: float | None = None
        # Given up for a moment where there is no other: so that who waits is refused instead of hanging.
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)
        lobby.on_room = self._listen
        self._listen()

    def stop(self, error: ChatError) -> None:
        """Take no more, and give the addresses free. Who has asked by then and waits for an answer is told `error`."""
        if self._stopped:
            return
        self._stopped = True
        self._unlisten()
        for sock in self._sockets:
            self._take_last(sock)
            sock.close()
        if self._spare is not None:
            os.close(self._spare)
        self._lobby.close(error)

    def _listen(self) -> None:
        if self._stopped or self._pauses or self._connections.accepting:
            return
        self._connections.accepting = True
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept, sock, kind_of(sock))

    def _unlisten(self) -> None:
        self._connections.accepting = False
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())

    def _accept(self, sock: socket.socket, kind: Kind) -> None:
        for _ in range(ACCEPTS_A_TURN):
            if self._lobby.full:
                self._unlisten()  # the lobby calls when there is room; the kernel's queue waits meanwhile
                self._lobby.go_on()
                return
            try:
                # What `accept` is made of; that asks for the kind each time, and wraps the descriptor itself.
                fd, address = sock._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, InterruptedError):
                self._lobby.go_on()
                return
            except ConnectionAbortedError:
                continue  # it went while it waited
            except OSError as error:
                self._pause(sock, error)
                return
            self._begin(SeatedSocket(kind, fd), address)
        # Who asks for the server's health stands among those who have not been accepted, where nobody can see it.
        self._lobby.hold()
        if not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._accept_more, sock, kind)

    def _take_last(self, sock: socket.socket) -> None:
        """Take in who waits in the kernel's queue, or closing it would cut them off unheard."""
        kind = kind_of(sock)
        for _ in range(LAST_TAKEN):
            try:
                fd, address = sock._accept()  # type: ignore[attr-defined]
            except ConnectionAbortedError:
                continue
            except OSError:
                return
            self._begin(SeatedSocket(kind, fd), address)

    def _accept_more(self, sock: socket.socket, kind: Kind) -> None:
        self._goes_on = False
        if self._connections.accepting:
            self._accept(sock, kind)

    def _begin(self, connection: SeatedSocket, address: Any) -> None:
        seats = self._connections.seats
        try:
            connection.take(seats, seats.take(self._payer_of(str(address[0]))))
        except ChatError as error:
            self._lobby.refuse(connection, error)
            return
        self._lobby.enter(connection, address)

    def _pause(self, sock: socket.socket, error: OSError) -> None:
        """No descriptor, or no memory: refuse one with the spare descriptor, and accept nothing for a while."""
        self._connections.counts["no descriptor"] += 1
        now_s = self._connections.clockwork.clock_s()
        self._connections.starved_at_s = now_s
        if self._logged_s is None or now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            log.error("no connection can be accepted for the moment: %s", error.strerror)
        if self._spare is not None:
            os.close(self._spare)
            with contextlib.suppress(OSError):  # it went, or somebody else took the descriptor
                sock.accept()[0].close()
        self._take_spare()
        for _ in range(GIVE_WAY):
            if not self._connections.seats.make_room():
                break
        self._pauses = True
        self._unlisten()
        self._lobby.go_on()
        self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if not self._stopped and self._spare is None:
            self._take_spare()
            if self._spare is None:  # there is still none
                self._loop.call_later(PAUSE_S, self._resume)
                return
        self._pauses = False
        self._listen()

    def _take_spare(self) -> None:
        # It may be gone for good to somebody else: then it is taken when there is one again.
        self._spare = None
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY)
