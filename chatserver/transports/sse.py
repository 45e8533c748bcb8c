"""Server-Sent Events: `GET /events` (HTML Living Standard, section 9.2).

The answer has no length and is not chunked: it ends with the connection (RFC 9112, section 6.3, rule 8). So a
block is the same bytes for every reader, HTTP/1.0 proxies included.
"""

from __future__ import annotations

import random
from typing import ClassVar

from tornado.iostream import StreamClosedError
from tornado.util import ObjectDict

from chatserver.core import framing
from chatserver.core.errors import ChatError, Ending, Unauthenticated, Unavailable
from chatserver.core.people import Login, User
from chatserver.core.tallies import request_bytes
from chatserver.transports.connection import Connection
from chatserver.transports.doors import Door
from chatserver.transports.encoding import Encoding
from chatserver.transports.reader import (
    StreamReader,
    http_date,
    parse_client,
    parse_cursor,
    query_of,
)

RETRY_MS = (1000, 3000)
"""Between these an EventSource waits before it comes back: jittered, or all come at once."""

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-store, no-transform\r\n"
    b"X-Accel-Buffering: no\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Connection: close\r\n"
    b"Date: %b\r\n"
    b"\r\n"
)


class EventsReader(StreamReader):
    """An event stream after its headers."""

    __slots__ = ()

    joined = Encoding("sse_block")
    transport: ClassVar[str] = "sse"

    def framed(self, payload: bytes, seq: int | None) -> bytes:
        return framing.sse_block(payload, seq)

    def last_words(self, ending: Ending) -> bytes:
        return self.delivery.bye(ending).sse_block

    def beat(self, now_s: float) -> float | None:
        assert self.wire is not None
        self.wire.send(self.delivery.ping.sse_block)
        return self.delivery.limits.heartbeat_s

    def receive_data(self, data: bytes) -> None:
        """A client has nothing to say here (a pipelined request is not answered: the stream has no end)."""


class EventsHandler(Door):
    """The door: origin, login, headers; then the connection leaves Tornado."""

    async def get(self) -> None:
        headers = self.request.headers
        try:
            self.gate.check_origin(headers)
            last_id = headers.get("Last-Event-ID")
            after = parse_cursor(last_id, "Last-Event-ID") if last_id else None
            if after is None:
                after = parse_cursor(query_of(self.request, "after"))
            client = parse_client(query_of(self.request, "client"))
            login = self.gate.known(headers) or await self.gate.resolve(headers)
            user = await self.gate.user(login.user_id)
            await self._begin(login, user, after, client)
        except Unauthenticated as error:
            if "Authorization" in headers:
                self.refuse(error)
            else:
                # 204 is what makes an EventSource stop coming back (HTML, section 9.2.3).
                self.set_status(204)
                self.set_header("Cache-Control", "no-store")
        except ChatError as error:
            self.refuse(error)

    async def _begin(self, login: Login, user: User, after: int | None, client: str) -> None:
        delivery = self.delivery
        mailbox = await delivery.open(user.id)
        if delivery.draining:
            raise Unavailable("The server is restarting.", delivery.return_ms() / 1000)
        reader = EventsReader(delivery, self.gate, login, mailbox, client)
        try:
            reader.wire = Connection(self.detach(), reader, reader.joined)
            # It refers back to the handler, a circle that Tornado would undo when it finishes.
            self.ui = ObjectDict()
        except StreamClosedError:
            return
        delivery.attach(reader)
        up = request_bytes("GET", self.request.uri or "", self.request.headers.get_all())
        delivery.lanes.count(user.id, client, reader.transport, requests=1, up=up)
        retry_ms = random.randint(*RETRY_MS)
        reader.wire.send(_HEAD % http_date().encode() + b"retry: %d\n\n" % retry_ms)
        await reader.join(user, after)
