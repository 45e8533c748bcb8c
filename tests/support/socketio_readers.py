"""Readers over Socket.IO, without its library: the packets themselves, by WebSocket and by polling.

What they give is translated back to the items of the contract, so that one contract holds for all transports: a
`server-talking` must carry all that a `message` does.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from chatserver.core.events import encode_json
from tests.support.clients import WAIT_S, Reader
from tests.support.connection import Connection

SEPARATOR = "\x1e"


def item_of(packet: str) -> bytes:
    """The item of the contract that an event is."""
    name, fields = json.loads(packet[2:])
    if name != "server-talking":
        assert fields["type"] == name, packet
        return packet[len(f'42["{name}",') : -1].encode()
    author = {"id": fields["from"], "name": fields["user"], "color": fields["color"]}
    place = {"seq": fields["seq"], "type": "message", "at": fields["at"], "from": author}
    rest = {"to": fields["to"], "text": fields["text"], "clientId": fields.get("clientId")}
    return encode_json(place | rest)


class SocketIoReader(Reader):
    """By WebSocket alone."""

    name = "socketio"
    _socket: ClientConnection | None = None
    user: str | None = None
    """Whose page this says it is."""

    async def connect(self, after: int | None = None) -> None:
        address = self.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        self._socket = await websockets.connect(address, ping_interval=None, proxy=None)
        assert (await self._packet())[0] == "0"
        await self._socket.send("40" + self._auth(after))
        await self._greeted(await self._packet())

    def _auth(self, after: int | None) -> str:
        auth: dict[str, Any] = {"token": self.token}
        if after is not None:
            auth["after"] = after
        if self.client is not None:
            auth["client"] = self.client
        if self.user is not None:
            auth["user"] = self.user
        return json.dumps(auth)

    async def _greeted(self, packet: str) -> None:
        assert packet.startswith("40"), packet
        self.hello = json.loads(await asyncio.wait_for(self.receive(), WAIT_S))
        assert self.hello["type"] == "hello", self.hello
        self.cursor = self.hello["seq"]

    async def _packet(self) -> str:
        assert self._socket is not None
        return str(await asyncio.wait_for(self._socket.recv(), WAIT_S))

    async def receive(self) -> bytes:
        assert self._socket is not None
        while True:
            packet = str(await self._socket.recv())
            if packet == "2":
                await self._socket.send("3")
            elif packet.startswith("42"):
                return item_of(packet)
            elif packet.startswith("41"):
                raise EOFError("the server has disconnected us")

    async def emit(self, name: str, fields: dict[str, Any]) -> None:
        """Say something."""
        assert self._socket is not None
        await self._socket.send("42" + json.dumps([name, fields]))

    async def drop(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()
            await self._socket.wait_closed()


class SocketIoPollReader(SocketIoReader):
    """By polling alone."""

    name = "socketio-polling"

    def __init__(self, url: str, token: str, client: str | None = None) -> None:
        super().__init__(url, token, client)
        self._gets, self._posts = Connection(url, {}), Connection(url, {})
        self.path = ""
        self._waiting: list[str] = []

    async def connect(self, after: int | None = None) -> None:
        path = "/socket.io/?EIO=4&transport=polling"
        opened = (await self._gets.get(path)).body.decode()
        self.path = f"{path}&sid={json.loads(opened[1:])['sid']}"
        await self.post("40" + self._auth(after))
        await self._greeted(await self._packet())

    async def begin_poll(self) -> None:
        """Ask, and do not wait for the answer."""
        await self._gets.begin(self.path)

    async def post(self, payload: str) -> None:
        """Say something, as packets."""
        await self._posts.get(self.path, payload.encode())

    async def _packet(self) -> str:
        while not self._waiting:
            body = (await self._gets.get(self.path)).body.decode()
            self._waiting += [one for one in body.split(SEPARATOR) if one]
        return self._waiting.pop(0)

    async def receive(self) -> bytes:
        while True:
            packet = await self._packet()
            if packet == "2":
                await self.post("3")
            elif packet.startswith("42"):
                return item_of(packet)
            elif packet.startswith("41"):
                raise EOFError("the server has disconnected us")

    async def emit(self, name: str, fields: dict[str, Any]) -> None:
        await self.post("42" + json.dumps([name, fields]))

    async def drop(self) -> None:
        self._gets.drop()
        self._posts.drop()


SOCKETIO_READERS: list[type[Reader]] = [SocketIoReader, SocketIoPollReader]
