"""Server-Sent Events: `GET /events` (HTML Living Standard, section 9.2).

The answer has no length and is not chunked: it ends with the connection (RFC 9112, section 6.3, rule 8). So a
block is the same bytes for every reader, HTTP/1.0 proxies included.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.routing import URLSpec
from tornado.util import ObjectDict

from chatserver.core import framing
from chatserver.core.errors import AnotherAccount, ChatError, Ending, Unauthenticated
from chatserver.core.tallies import request_bytes
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Arrival
from chatserver.http.cors import Cors
from chatserver.http.handlers import StreamHandler
from chatserver.http.house import House
from chatserver.http.requests import http_date
from chatserver.transports.connection import Connection
from chatserver.transports.encoding import Encoding
from chatserver.transports.firstlook import Way
from chatserver.transports.stream import StreamReader

RETRY_MS = (1000, 3000)
"""Between these an EventSource waits before it comes back: jittered, or all come at once."""

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-store, no-transform\r\n"
    b"X-Accel-Buffering: no\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Connection: close\r\n"
    b"%b"
    b"Date: %b\r\n"
    b"\r\n"
    b"retry: %d\n\n"
)


def begin_stream(cors: Cors, headers: HTTPHeaders) -> bytes:
    """What every stream begins with."""
    allowed = cors.lines(headers).encode("latin1")
    return _HEAD % (allowed, http_date().encode(), random.randint(*RETRY_MS))


class EventsReader(StreamReader):
    """An event stream after its headers."""

    __slots__ = ()

    encoding = Encoding(
        lambda event: framing.sse_block(event.payload, event.seq),
        lambda payload: framing.sse_block(payload, None),
    )
    transport: ClassVar[str] = "sse"

    def framed(self, payload: bytes, seq: int | None) -> bytes:
        return framing.sse_block(payload, seq)

    def farewell(self, ending: Ending) -> bytes:
        return self.encoding.of_signal(self.delivery.readers.bye(ending))

    def beat(self, now_s: float) -> float | None:
        self.outlet.send(self.encoding.of_signal(self.delivery.clockwork.ping))
        return self.delivery.limits.heartbeat_s

    def receive_data(self, data: bytes) -> None:
        """A client has nothing to say here (a pipelined request is not answered: the stream has no end)."""


class EventsHandler(StreamHandler):
    """Admission and headers; then the connection leaves Tornado."""

    def initialize(self, **rooms: Any) -> None:
        super().initialize(**rooms)
        self._delivery: Delivery = rooms["delivery"]

    async def get(self) -> None:
        async with self._delivery.joins:
            await self._answer(self._begin)

    async def head(self) -> None:
        """What `get` would say first: nobody reads here."""
        await self._answer(self._say_first)

    async def _answer(self, begin: Callable[[Arrival], Awaitable[None]]) -> None:
        try:
            await begin(await self.arrive(self.request.headers.get("Last-Event-ID")))
        except AnotherAccount:
            self._stop()
        except Unauthenticated as error:
            self._refuse_or_stop(error)
        except ChatError as error:
            self.refuse(error)

    async def _say_first(self, _: Arrival) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store, no-transform")
        self.set_header("X-Accel-Buffering", "no")
        self.set_header("X-Content-Type-Options", "nosniff")
        # Before anybody adds a length, which `get` does not have (RFC 9110, section 8.6).
        await self.flush()

    def _refuse_or_stop(self, error: Unauthenticated) -> None:
        if "Authorization" in self.request.headers:
            self.refuse(error)
        else:
            self._stop()

    def _stop(self) -> None:
        # 204 is what makes an EventSource stop coming back (HTML, section 9.2.3).
        self.set_status(204)
        self.set_header("Cache-Control", "no-store")

    async def _begin(self, arrival: Arrival) -> None:
        delivery = self._delivery
        mailbox = await delivery.mailboxes.open(arrival.user.id)
        reader = EventsReader(delivery, arrival, mailbox)
        delivery.readers.attach(reader)
        try:
            connection = Connection.of_stream(self.detach(), reader, delivery.connections)
        except StreamClosedError:
            reader.connection_lost()
            return
        finally:
            # It refers back to the handler, a circle that Tornado would undo when it finishes.
            self.ui = ObjectDict()
        connection.sign_in(arrival.user.id)
        reader.connected(connection)
        up = request_bytes("GET", self.request.uri or "", self.request.headers.get_all())
        user_id = arrival.user.id
        delivery.tallies.count(user_id, arrival.client, reader.transport, requests=1, up=up)
        connection.send(begin_stream(self._admission.cors, self.request.headers))
        await reader.join(arrival.user, arrival.after)


def way(house: House) -> Way:
    """How an event stream begins that was plainly asked for."""
    answer = partial(begin_stream, house.admission.cors)
    return Way(partial(EventsReader, house.delivery), answer, upgrades=False)


def routes(house: House) -> list[Any]:
    """The address of this transport."""
    rooms = {
        "admission": house.admission,
        "delivery": house.delivery,
    }
    return [URLSpec(r"/events", EventsHandler, rooms)]
