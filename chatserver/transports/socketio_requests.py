"""What comes to `/socket.io/` over HTTP: which link it is for, how much of it, and how many links there may be.

Nothing here knows the library. Whatever it would do for nothing is bounded here first: links on which nobody has
signed in, requests to a link at the same time, what one payload holds.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from typing import Any

from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from chatserver.core import packets
from chatserver.core.errors import BadRequest, ChatError, RateLimited, TooLarge, Unavailable
from chatserver.core.prices import Buckets
from chatserver.core.tallies import headers_bytes, request_bytes
from chatserver.delivery.delivery import Delivery
from chatserver.delivery.seats import sign_in
from chatserver.http.handlers import StreamHandler
from chatserver.http.proxies import Proxies
from chatserver.http.requests import parse_query
from chatserver.transports.connection import Connection
from chatserver.transports.frames import frame_cost
from chatserver.transports.handshake import Beginning, TakenOver
from chatserver.transports.reader import run_on
from chatserver.transports.socketio_line import Line
from chatserver.transports.socketio_link import Link

WAITING_MAX = 2000
"""Links on which nobody has signed in, in all; each holds about 10 KiB. Then the oldest gives way."""

YOUNG_S = 5.0
"""A link younger than this does not give way: its client may be about to sign in."""

AGAIN_S = 5.0
"""When somebody who was refused should come again."""

OPENED_BYTES = 250
"""About the answer to a handshake, its headers included."""

_SID = re.compile(r"[A-Za-z0-9_-]{20}")

_WHO = ("Cookie", "Origin", "Sec-Fetch-Site", "Host", "X-Chat-User", "X-Forwarded-Proto")
_WHO_MORE = ("X-Forwarded-For", "Authorization")


class Asked:
    """A request as the library sees it: what to read, and where to answer. `line`: the WebSocket, if it is one."""

    def __init__(
        self, handler: SocketIoHandler, body: bytes = b"", line: Line | None = None
    ) -> None:
        request = handler.request
        self.method = str(request.method)
        self.query = request.query
        self.headers = HTTPHeaders()
        for name in (*_WHO, *_WHO_MORE):
            for value in request.headers.get_list(name):
                self.headers.add(name, value)
        self.body = body
        self.line = line
        self.up_bytes = request_bytes(self.method, request.uri or "", request.headers.get_all())
        """Of its head."""
        self.payer = handler.payer
        self._handler = None if line is not None else handler

    async def read(self, size: int | None = None) -> bytes:
        """The body."""
        return self.body

    def set_status(self, status: int) -> None:
        """Raises RuntimeError where a WebSocket has been answered already: the library counts on that."""
        if self._handler is None:
            raise RuntimeError("answered already")
        self._handler.set_status(status)

    def set_header(self, name: str, value: str) -> None:
        """As the handler's."""
        if self._handler is not None:
            self._handler.set_header(name, value)

    def write(self, body: bytes) -> None:
        """As the handler's."""
        if self._handler is not None and not self._handler.gone:
            self._handler.write(body)

    def finish(self) -> None:
        """As the handler's."""
        if self._handler is not None and not self._handler.gone:
            self._handler.finish()


class Links(ABC):
    """All links, and how many of them may wait for somebody to sign in."""

    def __init__(self, delivery: Delivery, proxies: Proxies) -> None:
        self.delivery = delivery
        self.proxies = proxies
        self.open: dict[str, Link] = {}
        self.counts = delivery.connections.seats.counts
        self._waiting: OrderedDict[Link, None] = OrderedDict()
        self._addresses: Counter[str] = Counter()
        delivery.connections.links_waiting = lambda: len(self._waiting)

    @property
    @abstractmethod
    def frames(self) -> Buckets | None:
        """What is paid for what clients say; None where nothing is metered."""

    @abstractmethod
    async def handle(self, request: Asked) -> None:
        """Have the library answer."""

    def check_room(self, payer: str | None) -> None:
        """Raises `RateLimited` where the address has enough links, `Unavailable` where there is no room in all."""
        self.delivery.readers.refuse_while_draining()
        limit = self.delivery.limits.connections_per_address
        if payer is not None and self._addresses[payer] >= limit:
            self.counts["address"] += 1
            raise RateLimited("Too many connections come from this address.", AGAIN_S)
        if len(self._waiting) >= WAITING_MAX:
            oldest = next(iter(self._waiting))
            if self.delivery.clockwork.clock_s() - oldest.since_s < YOUNG_S:
                self.counts["all"] += 1
                raise Unavailable("The server has no room for more connections.", AGAIN_S)
            self.counts["gave way"] += 1
            oldest.abort()

    def welcome(self, link: Link, request: Asked) -> None:
        """A link has begun."""
        link.payer_address = request.payer
        link.headers = request.headers
        link.query = {
            name: value
            for name, value in parse_query(request.query).items()
            if name in ("after", "client", "user")
        }
        link.count(request.up_bytes, OPENED_BYTES)
        self.open[link.sid] = link
        self.wait(link)

    def wait(self, link: Link) -> None:
        """Nobody is signed in on it."""
        if link not in self._waiting and not link.ended:
            self._waiting[link] = None
            if link.payer_address is not None:
                self._addresses[link.payer_address] += 1

    def signed_in(self, link: Link) -> None:
        """Somebody has signed in on it."""
        if self._waiting.pop(link, self) is None and link.payer_address is not None:
            self._addresses[link.payer_address] -= 1
            if not self._addresses[link.payer_address]:
                del self._addresses[link.payer_address]

    def forget(self, link: Link) -> None:
        """It has ended."""
        self.signed_in(link)
        self.open.pop(link.sid, None)

    def link(self, query: dict[str, str]) -> Link | None:
        """The link that a request is for; None where it begins one. Raises `BadRequest`."""
        if query.get("transport") not in ("polling", "websocket") or "j" in query:
            raise BadRequest("transport is polling or websocket.")
        sid = query.get("sid")
        if sid is None:
            if query.get("EIO") != "4":
                raise BadRequest("This server speaks with clients of Socket.IO 3 and 4 (EIO=4).")
            return None
        link = self.open.get(sid) if _SID.fullmatch(sid) else None
        if link is None:
            raise BadRequest("There is no session with this sid.")
        return link


class SocketIoHandler(StreamHandler, Beginning):
    """Everything at `/socket.io/`."""

    methods = "GET, HEAD, POST"
    gone = False
    """Whether the client has left before it was answered."""

    def initialize(self, **rooms: Any) -> None:
        super().initialize(**rooms)
        self._links: Links = rooms["links"]
        self._link: Link | None = None

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    @property
    def payer(self) -> str | None:
        """The address that pays until somebody signs in; None: it counts in all only."""
        peer = self.request.remote_ip or ""
        key = self._links.proxies.client(peer, self.request.headers)
        local = key.startswith("127.") or key in ("::1", "") or " " in key
        return None if local or self._links.frames is None else key

    async def get(self, *args: Any, **kwargs: Any) -> None:
        try:
            link = self._find()
            if self._wants_websocket:
                self._check_upgrade(link)
                self._link = link
                await super(StreamHandler, self).get(*args, **kwargs)
                return
        except ChatError as error:
            self.refuse(error)
            return
        if link is None:
            await self._links.handle(Asked(self))
            return
        self._link = link
        self._sign_in(link)
        link.polling = True
        try:
            await self._links.handle(Asked(self))
        finally:
            link.polling = False
            self._count(link, 0)

    def _find(self) -> Link | None:
        link = self._links.link(parse_query(self.request.query))
        if link is None:
            self._links.check_room(self.payer)
        elif link.polling and self.request.method == "GET" and not self._upgrades:
            link.abort()  # Engine.IO's rule, and nobody knows which of the two has got what
            raise BadRequest("A poll of this session waits already.")
        return link

    @property
    def _upgrades(self) -> bool:
        return self.request.headers.get("Upgrade", "").lower() == "websocket"

    def _check_upgrade(self, link: Link | None) -> None:
        if not self._upgrades:
            raise BadRequest("This transport is a WebSocket.")
        if link is not None and (link.line is not None or link.engine.upgraded):
            raise BadRequest("This session has a WebSocket already.")

    def head(self) -> None:
        """Whether there is such a session, or room for one; none is begun (RFC 9110, section 9.3.2)."""
        link = self._find()
        if self._wants_websocket:
            self._check_upgrade(link)
        self.finish()

    @property
    def _wants_websocket(self) -> bool:
        return self.request.query_arguments.get("transport", [b""])[-1] == b"websocket"

    async def post(self, *args: Any) -> None:
        link = None
        try:
            link = self._find()
            if link is None:
                raise BadRequest("A session begins with GET.")
            if link.posting or link.engine.upgraded:
                raise BadRequest("This session cannot be posted to now.")
            link.posting = True
            try:
                await self._take(link, self.request.body)
            finally:
                link.posting = False
        except ChatError as error:
            if link is not None:
                link.abort()
            self.refuse(error)

    def _sign_in(self, link: Link) -> None:
        """The user of the link pays for this connection, too."""
        if link.reader is not None:
            stream = getattr(self.request.connection, "stream", None)
            sign_in(getattr(stream, "socket", None), link.reader.mailbox.user_id)

    async def _take(self, link: Link, body: bytes) -> None:
        delivery, frames = self._links.delivery, self._links.frames
        if len(body) > delivery.limits.body_bytes:
            raise TooLarge(f"A payload has at most {delivery.limits.body_bytes} bytes.")
        try:
            said = body.decode().split(packets.SEPARATOR)
        except UnicodeDecodeError:
            raise BadRequest("A payload is UTF-8.") from None
        if len(said) > packets.PACKETS_MAX:
            raise BadRequest(f"A payload has at most {packets.PACKETS_MAX} packets.")
        if frames is not None:
            cost = frame_cost(len(said), len(body), delivery.limits)
            while wait_s := frames.take(link.payer, delivery.clockwork.clock_s(), cost):
                await asyncio.sleep(wait_s)
        control = [one for one in said if link.receive(one, False) is not None]
        await link.until_read_again()
        self._sign_in(link)
        if control and not link.ended:
            await self._links.handle(Asked(self, packets.SEPARATOR.join(control).encode()))
        elif not self.gone:
            self.set_header("Content-Type", "text/plain")
            self.finish("ok")
        self._count(link, len(body))

    def _count(self, link: Link, body_bytes: int) -> None:
        request, reader = self.request, link.reader
        up = request_bytes(str(request.method), request.uri or "", request.headers.get_all())
        down = headers_bytes(self._headers.get_all()) + self.sent_bytes
        link.count(up + body_bytes, down)
        if reader is not None and reader.client:
            self._links.delivery.tallies.count(
                reader.mailbox.user_id, reader.client, reader.transport, requests=1
            )

    sent_bytes = 0

    def write(self, chunk: Any) -> None:
        self.sent_bytes += len(chunk)
        super().write(chunk)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.gone = True
        # What was on its way to this poll is lost: the client comes back at its own cursor.
        if self._link is not None and self._link.polling:
            self._link.abort()

    # The WebSocket.

    def check_origin(self, origin: str) -> bool:
        """`Admission` decides, where the client asks to be let in."""
        return True

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        tornados = WebSocketHandler.get_websocket_protocol(self)
        if tornados is None:
            return None
        assert isinstance(tornados, WebSocketProtocol13)
        return TakenOver(self, False, tornados.params)

    async def begin(self, stream: Any) -> None:
        """The handshake is done: the library hears of a WebSocket that is ours."""
        link, links = self._link, self._links
        line = Line(links.delivery)
        try:
            line.outlet = Connection.of_stream(stream, line, links.delivery.connections)
        except StreamClosedError:
            return
        if link is not None:
            if link.ended or link.line is not None:
                line.outlet.abort()
                return
            line.belong_to(link)
        run_on(links.handle(Asked(self, line=line)))
