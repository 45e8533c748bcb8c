"""A whole house in the process of the tests, and connections to it that are pairs of sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatserver.command.build import build
from chatserver.command.settings import Settings
from chatserver.core.limits import Limits
from chatserver.delivery.seats import Seat, SeatedSocket, Seats, kind_of
from chatserver.http.house import House
from chatserver.site.server import Server
from chatserver.transports.watched import WatchedStream


class NoTcp(socket.socket):
    """One end of a pair of Unix sockets, which knows no TCP options."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())

    def setsockopt(self, level: int, *rest: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *rest)

    def getpeername(self) -> tuple[str, int]:
        return ("127.0.0.1", 1)


class _SeatedNoTcp(NoTcp, SeatedSocket):
    """The same, with a seat among the connections."""

    def __init__(self, sock: socket.socket, seats: Seats, seat: Seat) -> None:
        SeatedSocket.__init__(self, kind_of(sock), sock.detach())
        self.take(seats, seat)


@dataclass
class Inside:
    """The house, and somebody who has an account in it."""

    house: House
    server: Server
    user_id: str
    token: str
    login_id: str
    """Of the token."""

    def looked_at(self, said: bytes) -> socket.socket:
        """The client's end of a connection on which `said` has come, given to the first look as the lobby does it."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        theirs.send(said)
        seats = self.house.delivery.connections.seats
        self.server.let_in(_SeatedNoTcp(ours, seats, seats.take(None)), ("127.0.0.1", 1))
        return theirs

    def pair(self, send_bytes: int = 0) -> socket.socket:
        """The client's end of a fresh connection; `send_bytes`: the room for what the server sends."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        if send_bytes:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
        connections = self.house.delivery.connections
        self.server.take(WatchedStream(NoTcp(ours), connections), ("127.0.0.1", 1))
        return theirs


@asynccontextmanager
async def inside(folder: Path, **settings: Any) -> AsyncIterator[Inside]:
    """A running house with its data in `folder`, in which nothing is metered unless `limits` say so."""
    house = await build(Settings(data=folder, **{"limits": Limits(meter=False), **settings}))
    server = Server(house)
    try:
        fields = {"email": "ann@example.com", "password": "correct horse", "firstName": "Ann"}
        await house.accounts.register({**fields, "lastName": ""}, None)
        user, login = await house.accounts.sign_in(fields, "127.0.0.1", "test")
        token_login, token = await house.sessions.issue_token(login, "test", None)
        yield Inside(house, server, user.id, token, token_login.id)
    finally:
        await server.drain()


async def heard(end: socket.socket, within_s: float = 5.0) -> bytes:
    """Everything until the other side ends."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    async with asyncio.timeout(within_s):
        while piece := await loop.sock_recv(end, 1 << 16):
            data += piece
    return bytes(data)
