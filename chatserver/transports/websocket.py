"""WebSocket: `GET /ws`, subprotocol `chat.v1` (RFC 6455).

The handshake is Tornado's. Then the connection leaves it (the seam is `_TakenOver`) and is a `SocketReader`:
ready frames go to the wire as they are, and `core.framing.FrameParser` reads what the client sends.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import Any, ClassVar

from tornado.iostream import StreamClosedError
from tornado.util import ObjectDict
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from chatserver.core import framing
from chatserver.core.errors import (
    BAD_FRAMES,
    RESTARTING,
    SIGNED_OUT,
    BadRequest,
    ChatError,
    Ending,
    Unauthenticated,
    Unavailable,
    UpgradeRequired,
)
from chatserver.core.events import encode_json
from chatserver.core.fields import json_object
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import Login, User
from chatserver.core.tallies import request_bytes, response_bytes
from chatserver.delivery.delivery import Delivery
from chatserver.journal.contract import Appended, Told
from chatserver.transports.connection import Connection
from chatserver.transports.doors import Door
from chatserver.transports.encoding import Encoding
from chatserver.transports.reader import (
    Gate,
    StreamReader,
    parse_client,
    parse_cursor,
    query_of,
    run_on,
)
from chatserver.verbs.messages import Service

log = logging.getLogger(__name__)

SUBPROTOCOL = "chat.v1"

BAD_FRAMES_MAX = 10
"""So many frames that make no sense, over a connection's life, and it is closed with 4500."""

INBOX_FRAMES = 64
"""Frames of one client that may wait their turn, and messages that may wait for the journal; then the
socket is not read until there is room."""


class SocketReader(StreamReader):
    """A WebSocket connection after its handshake."""

    __slots__ = (
        "_bad_frames",
        "_heard_s",
        "_inbox",
        "_parser",
        "_pinged_s",
        "_service",
        "_unacked",
        "_user",
        "_working",
    )

    joined = Encoding("ws_frame")
    transport: ClassVar[str] = "websocket"

    def __init__(
        self,
        delivery: Delivery,
        gate: Gate,
        service: Service,
        login: Login,
        user: User,
        mailbox: Mailbox,
        client: str,
    ) -> None:
        super().__init__(delivery, gate, login, mailbox, client)
        self._service = service
        self._user = user
        self._parser = framing.FrameParser(delivery.limits.body_bytes)
        self._inbox: deque[dict[str, Any]] | None = None
        self._working = True  # held until the greeting
        self._unacked = 0
        self._bad_frames = 0
        self._heard_s = delivery.clock_s()
        self._pinged_s: float | None = None

    # Out.

    def framed(self, payload: bytes, seq: int | None) -> bytes:
        return framing.ws_text(payload)

    def last_words(self, ending: Ending) -> bytes:
        bye = self.delivery.bye(ending)
        close = framing.ws_close(ending.close_code, ending.reason)
        return bye.ws_frame + close

    def beat(self, now_s: float) -> float | None:
        limits = self.delivery.limits
        assert self.wire is not None
        if self._pinged_s is not None:
            # The visit after a ping: anything that came since, counts as life. It may be early, where a login
            # was about to expire and was renewed.
            left_s = self._pinged_s + limits.silence_s - now_s
            if left_s > 0 and self._heard_s < self._pinged_s:
                return left_s
            silent = self._heard_s < self._pinged_s
            self._pinged_s = None
            if silent:
                self.wire.abort()
                return None
            return max(0.0, limits.heartbeat_s - limits.silence_s)
        self._pinged_s = now_s
        self.wire.send(self.delivery.ping.ws_frame + framing.WS_PING)
        return limits.silence_s

    def _tell(self, fields: dict[str, Any]) -> None:
        if self.wire is not None and self.attached:
            self.wire.send(framing.ws_text(encode_json(fields)))

    # In.

    def receive_data(self, data: bytes) -> None:
        """Bytes from the client."""
        self._heard_s = self.delivery.clock_s()
        if not self.attached:
            return  # it was told to go; what it still says does not count
        try:
            for message in self._parser.receive_data(data):
                self._receive(message)
        except framing.FrameError as error:
            self._close(error.close_code, error.reason)

    def _receive(self, message: framing.Received) -> None:
        if not self.attached or self.wire is None:
            return
        if message.opcode == framing.OP_TEXT:
            self._receive_text(message.text)
        elif message.opcode == framing.OP_BINARY:
            self._bad(BadRequest("Frames are text."), None)
        elif message.opcode == framing.OP_PING:
            self.wire.send(framing.ws_frame(framing.OP_PONG, message.data))
        elif message.opcode == framing.OP_CLOSE:
            self._close(message.close_code, "")

    def _close(self, code: int | None, reason: str) -> None:
        self.delivery.detach(self)
        if self.wire is not None:
            frame = framing.ws_frame(framing.OP_CLOSE, b"") if code is None else None
            self.wire.send(frame or framing.ws_close(code or 0, reason))
            self.wire.close_soon()

    def _receive_text(self, text: str) -> None:
        try:
            fields = parse_frame(text)
        except ChatError as error:
            self._bad(error, None)
            return
        if self._working or fields["type"] != "send" or not self._send_now(fields):
            if self._inbox is None:
                self._inbox = deque()
            self._inbox.append(fields)
            self._start_working()
        if len(self._inbox or ()) + self._unacked >= INBOX_FRAMES and self.wire is not None:
            self.wire.pause()

    def _send_now(self, fields: dict[str, Any]) -> bool:
        """Place a message without a task, where nothing has to be looked up for it and nothing waits before it."""
        try:
            placed = self._service.submit_now(self._user.id, fields, self._told(fields))
        except ChatError as error:
            self._answer_error(error, fields)
            return True
        self._unacked += placed
        return placed

    def greeted(self) -> None:
        # The first frame is the hello: what a hasty client sent before it, was kept until now.
        self._working = False
        if self._inbox:
            self._start_working()

    def _start_working(self) -> None:
        if not self._working:
            self._working = True
            run_on(self._work())

    async def _work(self) -> None:
        """Carry out what waits, in order. A message is in its place before the next frame is looked at,
        but its commit is not waited for."""
        try:
            while self._inbox and self.attached:
                fields = self._inbox.popleft()
                try:
                    await self._carry_out(fields)
                except ChatError as error:
                    self._answer_error(error, fields)
                self._resume_reading()
        finally:
            self._working = False

    async def _carry_out(self, fields: dict[str, Any]) -> None:
        kind = fields["type"]
        if kind == "ping":
            self._tell({"type": "pong"})
        elif kind == "send":
            self._unacked += 1
            try:
                await self._service.submit(self._user.id, fields, self._told(fields))
            except BaseException:
                self._unacked -= 1
                raise
        elif kind == "typing":
            await self._service.typing(self._user.id, fields)
        elif kind == "read":
            await self._service.read(self._user.id, fields)
        else:
            raise BadRequest("type is send, typing, read or ping.")

    def _told(self, fields: dict[str, Any]) -> Told:
        return partial(self._acknowledge, fields.get("clientId"))

    def _acknowledge(self, client_id: Any, answer: Appended | Unavailable) -> None:
        self._unacked -= 1
        self._resume_reading()
        if isinstance(answer, Unavailable):
            self._refuse(answer, client_id)
        elif self.wire is not None and self.attached:
            ack = {"type": "ack", "clientId": client_id, "seq": answer.seq, "at": answer.at_ms}
            # In one write with the sender's own event, which comes next; or by the flush, if there is none.
            self.wire.corked += framing.ws_text(encode_json(ack))
            if answer.duplicate or not self.following:
                self.delivery.mark(self)

    def _resume_reading(self) -> None:
        if self.wire is not None and len(self._inbox or ()) + self._unacked < INBOX_FRAMES // 2:
            self.wire.resume()

    def _answer_error(self, error: ChatError, fields: dict[str, Any]) -> None:
        if error.status in (400, 422):
            self._bad(error, fields.get("clientId"))
        else:
            self._refuse(error, fields.get("clientId"))

    def _refuse(self, error: ChatError, client_id: Any) -> None:
        fields: dict[str, Any] = {"type": "error"}
        # Half a surrogate pair, for one, has no place in an answer.
        if isinstance(client_id, str) and client_id.isprintable():
            fields["clientId"] = client_id
        fields |= {"code": error.code, "detail": error.detail, **error.extras()}
        self._tell(fields)

    def _bad(self, error: ChatError, client_id: Any) -> None:
        self._bad_frames += 1
        self._refuse(error, client_id)
        if self._bad_frames >= BAD_FRAMES_MAX:
            self.end(BAD_FRAMES)


def parse_frame(text: str) -> dict[str, Any]:
    """The object in a client's frame, with a string `type`. Raises `BadRequest`."""
    fields = json_object(text, "A frame")
    if not isinstance(fields.get("type"), str):
        raise BadRequest("A frame is a JSON object with a type.")
    return fields


class _TakenOver(WebSocketProtocol13):
    """Tornado's protocol up to the handshake. Then the stream leaves it, and handler and request go.

    `_receive_frame_loop` is where Tornado would begin to read frames. It is the one place in which this
    project reaches behind Tornado's documented interface; `test_wire.py` holds it to account.
    """

    def start_pinging(self) -> None:
        """The wheel of `Delivery` pings, for all connections at once."""

    async def _receive_frame_loop(self) -> None:
        handler = self.handler
        assert isinstance(handler, SocketHandler)
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


class SocketHandler(Door, WebSocketHandler):
    """The door: origin, login, handshake."""

    def initialize(self, gate: Gate, delivery: Delivery, service: Service | None = None) -> None:
        super().initialize(gate, delivery)
        assert service is not None
        self._service = service
        self._after: int | None = None
        self._client = ""
        self._login: Login | None = None
        self._user: User | None = None

    def check_origin(self, origin: str) -> bool:
        """Our own rule has decided before (`Gate.check_origin`); Tornado's would not know `--origin`."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        tornados = super().get_websocket_protocol()
        if tornados is None:
            return None
        assert isinstance(tornados, WebSocketProtocol13)
        return _TakenOver(self, False, tornados.params)

    async def get(self, *args: Any, **kwargs: Any) -> None:
        try:
            await self._admit()
        except ChatError as error:
            self.refuse(error)
            return
        await super().get(*args, **kwargs)

    async def _admit(self) -> None:
        headers = self.request.headers
        self.gate.check_origin(headers)
        if headers.get("Upgrade", "").lower() != "websocket":
            raise UpgradeRequired("This address speaks WebSocket.")
        if headers.get("Sec-WebSocket-Version") != "13":
            raise UpgradeRequired("This server speaks WebSocket version 13.")
        if self.delivery.draining:
            raise Unavailable("The server is restarting.", self.delivery.return_ms() / 1000)
        self._after = parse_cursor(query_of(self.request, "after"))
        self._client = parse_client(query_of(self.request, "client"))
        try:
            self._login = self.gate.known(headers) or await self.gate.resolve(headers)
            self._user = await self.gate.user(self._login.user_id)
        except Unauthenticated:
            # A page's script cannot see a 401 here: it is told on the connection itself.
            self._login = None

    def refuse(self, error: ChatError) -> None:
        """Answer with a problem; where another protocol was asked for, say which we speak (RFC 9110)."""
        if isinstance(error, UpgradeRequired):
            self.set_header("Upgrade", "websocket")
            self.set_header("Connection", "Upgrade")
            self.set_header("Sec-WebSocket-Version", "13")
        super().refuse(error)

    async def begin(self, stream: Any) -> None:
        """The handshake is done: from here on the connection is a reader's."""
        login, user, delivery = self._login, self._user, self.delivery
        if login is None or user is None:
            self._send_away(stream, delivery.bye(SIGNED_OUT).ws_frame, SIGNED_OUT)
            return
        try:
            mailbox = await delivery.open(user.id)
            reader = SocketReader(
                delivery, self.gate, self._service, login, user, mailbox, self._client
            )
            reader.wire = Connection(stream, reader, reader.joined)
            delivery.attach(reader)
            self._count(user.id)
        except Unavailable:
            self._send_away(stream, delivery.bye(RESTARTING).ws_frame, RESTARTING)
            return
        await reader.join(user, self._after)

    def _count(self, user_id: str) -> None:
        request = self.request
        up = request_bytes("GET", request.uri or "", request.headers.get_all())
        down = response_bytes(101, "Switching Protocols", self._headers.get_all())
        lanes = self.delivery.lanes
        lanes.count(user_id, self._client, SocketReader.transport, requests=1, up=up, down=down)

    def _send_away(self, stream: Any, bye: bytes, ending: Ending) -> None:
        wire = Connection(stream, _Nobody())
        wire.send(bye + framing.ws_close(ending.close_code, ending.reason))
        wire.close_soon()


class _Nobody:
    """The owner of a connection that is only told to go."""

    def receive_data(self, data: bytes) -> None: ...

    def drained(self) -> None: ...

    def fall_behind(self) -> None: ...

    def connection_lost(self) -> None: ...
