"""What comes to `/socket.io/` over HTTP: which link it is for, how much of it, and how many links there may be.

Nothing here knows the library. Whatever it would do for nothing is bounded here first: links on which nobody has
signed in, requests to a link at the same time, what one payload holds.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from chatserver.core.addresses import AddressCounts
from chatserver.core.errors import BadRequest, ChatError, RateLimited, TooLarge, Unavailable
from chatserver.core.prices import Buckets
from chatserver.delivery.delivery import Delivery
from chatserver.delivery.seats import sign_in
from chatserver.http.handlers import StreamHandler
from chatserver.http.proxies import Proxies
from chatserver.http.requests import parse_query
from chatserver.journal.errands import Errand, Errands
from chatserver.transports.connection import Connection
from chatserver.transports.handshake import Beginning, TakenOver
from chatserver.transports.reader import run_on
from chatserver.transports.socketio_line import Line
from chatserver.transports.socketio_link import Link
from chatserver.transports.socketio_polls import NODE_CHARS, Asked, FarAnswer, FarPoll, Polls

WAITING_MAX = 2000
"""Links on which nobody has signed in, in all; each holds about 10 KiB. Then the oldest gives way."""

YOUNG_S = 5.0
"""A link younger than this does not give way: its client may be about to sign in."""

AGAIN_S = 5.0
"""When somebody who was refused should come again."""

OPENED_BYTES = 250
"""About the answer to a handshake, its headers included."""

_SID = re.compile(r"[A-Za-z0-9_-]{20}")

KIND = "socketio"
"""Of the errands."""
FAR_S = 5.0
"""So much longer than the library holds a poll is the answer of another node waited for."""


class Links(ABC):
    """All links, and how many of them may wait for somebody to sign in."""

    def __init__(
        self, delivery: Delivery, proxies: Proxies, errands: Errands | None = None
    ) -> None:
        self.delivery = delivery
        self.proxies = proxies
        self.open: dict[str, Link] = {}
        self.counts = delivery.connections.seats.counts
        self.errands = errands
        if errands is not None:
            errands.serve(KIND, self._carry_out)
        self._waiting: OrderedDict[Link, None] = OrderedDict()
        self._addresses = AddressCounts()
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
        if payer is not None and self._addresses.has_enough(payer, limit):
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
                self._addresses.add(link.payer_address)

    def signed_in(self, link: Link) -> None:
        """Somebody has signed in on it."""
        if self._waiting.pop(link, self) is None and link.payer_address is not None:
            self._addresses.remove(link.payer_address)

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

    def elsewhere(self, query: dict[str, str]) -> str | None:
        """The other node that has the link of a request; None where it is for this one."""
        sid = query.get("sid", "")
        if self.errands is None or sid in self.open or not _SID.fullmatch(sid):
            return None
        node_id = sid[:NODE_CHARS]
        is_other = node_id != self.errands.node_id and self.errands.is_there(node_id)
        return node_id if is_other else None

    async def ask(self, node_id: str, question: bytes) -> bytes:
        """Have another node carry a request out. Raises `Unavailable`."""
        assert self.errands is not None
        limits = self.delivery.limits
        # So long the library holds a poll, and a little longer.
        return await self.errands.ask(
            node_id, KIND, question, limits.heartbeat_s + limits.silence_s + FAR_S
        )

    async def _carry_out(self, errand: Errand) -> bytes:
        poll = FarPoll(self, errand.question)
        errand.taken_back = poll.left
        return await poll.answer()


class SocketIoHandler(StreamHandler, Beginning, Polls):
    """Everything at `/socket.io/`."""

    methods = "GET, HEAD, POST"
    _asking: asyncio.Task[bytes] | None = None
    """The errand at another node that this request is."""

    def initialize(self, **rooms: Any) -> None:
        super().initialize(**rooms)
        self._links: Links = rooms["links"]

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    @property
    def payer(self) -> str | None:
        """The address that pays until somebody signs in; None: it counts in all only."""
        peer = self.request.remote_ip or ""
        key = self._links.proxies.client(peer, self.request.headers)
        local = key.startswith(("127.", "behind ")) or key in ("::1", "")
        return None if local or self._links.frames is None else key

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if await self._is_elsewhere():
            return
        try:
            link = self.find()
            if self._wants_websocket:
                self._check_upgrade(link)
                self._link = link
                await super(StreamHandler, self).get(*args, **kwargs)
                return
        except ChatError as error:
            self.refuse(error)
            return
        await self.poll(link)

    async def _is_elsewhere(self) -> bool:
        """Whether another node has the link; then it has answered."""
        node_id = self._links.elsewhere(parse_query(self.request.query))
        if node_id is None:
            return False
        try:
            if self._wants_websocket:
                raise BadRequest("Another server has this session: it goes on by polling.")
            question = FarPoll.question(self.request, self.payer)
            if len(self.request.body) > self._links.delivery.limits.body_bytes:
                raise TooLarge("A payload is too large.")
            self._asking = asyncio.ensure_future(self._links.ask(node_id, question))
            answer = FarAnswer.read(await self._asking)
        except ChatError as error:
            self.refuse(error)
        except asyncio.CancelledError:
            if not self.gone:
                raise
        else:
            self._give(answer)
        return True

    def _give(self, answer: FarAnswer) -> None:
        if answer.user_id is not None:
            self.signed_in(answer.user_id)
        if self.gone:
            return
        self.set_status(answer.status)
        for name, value in answer.headers:
            self.set_header(name, value)
        self.finish(answer.body)

    def _check_upgrade(self, link: Link | None) -> None:
        if not self._upgrades:
            raise BadRequest("This transport is a WebSocket.")
        if link is not None and (link.line is not None or link.engine.upgraded):
            raise BadRequest("This session has a WebSocket already.")

    async def head(self) -> None:
        """Whether there is such a session, or room for one; none is begun (RFC 9110, section 9.3.2)."""
        if self._links.elsewhere(parse_query(self.request.query)) is None:
            link = self.find()
            if self._wants_websocket:
                self._check_upgrade(link)
        await self.flush()  # no length, for that of `get` is not known (RFC 9110, section 8.6)
        self.finish()

    @property
    def _wants_websocket(self) -> bool:
        return bool(self.request.query_arguments.get("transport", [b""])[-1] == b"websocket")

    async def post(self, *args: Any) -> None:
        if not await self._is_elsewhere():
            await self.say()

    def signed_in(self, user_id: str) -> None:
        stream = getattr(self.request.connection, "stream", None)
        sign_in(getattr(stream, "socket", None), user_id)

    def write(self, chunk: Any) -> None:
        self.sent_bytes += len(chunk)
        super().write(chunk)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.left()
        if self._asking is not None:
            self._asking.cancel()

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
            line.outlet.count_bytes()
        except StreamClosedError:
            return
        if link is not None:
            if link.ended or link.line is not None:
                line.outlet.abort()
                return
            line.belong_to(link)
        run_on(links.handle(Asked(self, line=line)))
