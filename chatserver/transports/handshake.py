"""The way to a WebSocket: admission and handshake.

A plain handshake is our own (`way`, for the first look); any other is Tornado's, and then the connection leaves it.
"""

from __future__ import annotations

import binascii
import hashlib
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.routing import URLSpec
from tornado.util import ObjectDict
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from chatserver.core import framing
from chatserver.core.errors import (
    ANOTHER_ACCOUNT,
    RESTARTING,
    SIGNED_OUT,
    AnotherAccount,
    ChatError,
    Ending,
    Unauthenticated,
    Unavailable,
    UpgradeRequired,
)
from chatserver.core.tallies import request_bytes, response_bytes
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Arrival
from chatserver.http.handlers import StreamHandler
from chatserver.http.house import House
from chatserver.http.requests import http_date
from chatserver.transports.connection import Connection
from chatserver.transports.firstlook import Way
from chatserver.transports.outlet import Nobody
from chatserver.transports.talking import SocketVerbs
from chatserver.transports.websocket import SocketReader

SUBPROTOCOL = "chat.v1"


class Beginning(WebSocketHandler, ABC):
    """A handler that hears when the handshake is done."""

    @abstractmethod
    async def begin(self, stream: Any) -> None:
        """The connection is whoever's takes it here."""


class TakenOver(WebSocketProtocol13):
    """Tornado's protocol up to the handshake. Then the stream leaves it, and handler and request go.

    `_receive_frame_loop` is where Tornado would begin to read frames. It is the one place in which this
    project reaches behind Tornado's documented interface; `test_websocket.py` holds it to account.
    """

    def start_pinging(self) -> None:
        """The clockwork pings, for all connections at once."""

    async def _receive_frame_loop(self) -> None:
        handler = self.handler
        assert isinstance(handler, Beginning)
        stream = self.stream
        # Both ends of the circle, or the garbage collector has to find each connection.
        handler.ws_connection = None
        handler.ui = ObjectDict()
        self.handler = None  # type: ignore[assignment]
        self.stream = None  # type: ignore[assignment]
        try:
            await handler.begin(stream)
        except StreamClosedError:
            return


class SocketHandler(StreamHandler, Beginning):
    """Admission and handshake."""

    def initialize(self, **rooms: Any) -> None:
        super().initialize(**rooms)
        self._delivery: Delivery = rooms["delivery"]
        self._verbs: SocketVerbs = rooms["verbs"]
        self._arrival: Arrival | None = None
        self._sent_away = SIGNED_OUT

    def check_origin(self, origin: str) -> bool:
        """Our own rule has decided before (`Admission`); Tornado's would not know `--origin`."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        tornados = super().get_websocket_protocol()
        if tornados is None:
            return None
        assert isinstance(tornados, WebSocketProtocol13)
        return TakenOver(self, False, tornados.params)

    async def get(self, *args: Any, **kwargs: Any) -> None:
        # From the login to the greeting, which is at the end of Tornado's own `get` (`begin`).
        async with self._delivery.joins:
            await self._join(*args, **kwargs)

    async def _join(self, *args: Any, **kwargs: Any) -> None:
        try:
            self._check_upgrade()
            self._arrival = await self.arrive()
        except (Unauthenticated, AnotherAccount) as error:
            # A page's script cannot see a 401 here: it is told on the connection itself.
            if isinstance(error, AnotherAccount):
                self._sent_away = ANOTHER_ACCOUNT
        except ChatError as error:
            self.refuse(error)
            return
        # We know none, and Tornado would read them all: 12 ms for a head full of them.
        self.request.headers.pop("Sec-WebSocket-Extensions", None)
        await super().get(*args, **kwargs)

    def head(self) -> None:
        """As GET without an upgrade: a WebSocket begins with GET only (RFC 6455, section 4.1)."""
        self.ask()
        raise UpgradeRequired("This address speaks WebSocket.")

    def _check_upgrade(self) -> None:
        headers = self.request.headers
        self.ask()  # a foreign page learns nothing, not even what is spoken here
        if headers.get("Upgrade", "").lower() != "websocket":
            raise UpgradeRequired("This address speaks WebSocket.")
        if headers.get("Sec-WebSocket-Version") != "13":
            raise UpgradeRequired("This server speaks WebSocket version 13.")

    def refuse(self, error: ChatError) -> None:
        """Answer with a problem; where another protocol was asked for, say which we speak (RFC 9110)."""
        if isinstance(error, UpgradeRequired):
            self.set_header("Upgrade", "websocket")
            self.set_header("Connection", "Upgrade")
            self.set_header("Sec-WebSocket-Version", "13")
        super().refuse(error)

    async def begin(self, stream: Any) -> None:
        """The handshake is done: from here on the connection is a reader's."""
        arrival, delivery = self._arrival, self._delivery
        if arrival is None:
            self._send_away(stream, self._sent_away)
            return
        try:
            mailbox = await delivery.mailboxes.open(arrival.user.id)
            reader = SocketReader(delivery, self._verbs, arrival, mailbox)
            delivery.readers.attach(reader)
        except Unauthenticated:
            self._send_away(stream, SIGNED_OUT)
            return
        except Unavailable:
            self._send_away(stream, RESTARTING)
            return
        try:
            connection = Connection.of_stream(stream, reader, delivery.connections)
        except StreamClosedError:
            reader.connection_lost()
            return
        connection.sign_in(arrival.user.id)
        reader.connected(connection)
        self._count(arrival)
        await reader.join(arrival.user, arrival.after)

    def _count(self, arrival: Arrival) -> None:
        request = self.request
        up = request_bytes("GET", request.uri or "", request.headers.get_all())
        down = response_bytes(101, "Switching Protocols", self._headers.get_all())
        name = SocketReader.transport
        self._delivery.tallies.count(
            arrival.user.id, arrival.client, name, requests=1, up=up, down=down
        )

    def _send_away(self, stream: Any, ending: Ending) -> None:
        connection = Connection.of_stream(stream, Nobody(), self._delivery.connections)
        bye = framing.ws_text(self._delivery.readers.bye(ending).payload)
        connection.send(bye + framing.ws_close(ending.close_code, ending.reason))
        connection.close_soon()


_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What is joined to a key (RFC 6455, section 1.3)."""


def accept(headers: HTTPHeaders) -> bytes:
    """The answer to a plain handshake (RFC 6455, section 4.2.2)."""
    key = headers["Sec-WebSocket-Key"].encode() + _GUID
    digest = hashlib.sha1(key, usedforsecurity=False).digest()
    accepted = binascii.b2a_base64(digest, newline=False)
    offered = headers.get("Sec-WebSocket-Protocol", "")
    if offered == SUBPROTOCOL or SUBPROTOCOL in [each.strip() for each in offered.split(",")]:
        chosen = _CHOSEN
    else:
        chosen = b""
    return _SWITCHING % (accepted, chosen, http_date().encode())


_CHOSEN = b"Sec-WebSocket-Protocol: " + SUBPROTOCOL.encode() + b"\r\n"
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n"
    b"%b"
    b"Date: %b\r\n"
    b"\r\n"
)


def way(house: House) -> Way:
    """How a WebSocket begins that was plainly asked for."""
    verbs = SocketVerbs(house.messages, house.reads)
    return Way(partial(SocketReader, house.delivery, verbs), accept, upgrades=True)


def routes(house: House) -> list[Any]:
    """The address of this transport."""
    verbs = SocketVerbs(house.messages, house.reads)
    rooms = {
        "admission": house.admission,
        "delivery": house.delivery,
        "verbs": verbs,
    }
    return [URLSpec(r"/ws", SocketHandler, rooms)]
