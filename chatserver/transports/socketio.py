"""Socket.IO: `/socket.io/`, for clients of its versions 3 and 4 (Engine.IO 4, Socket.IO protocol 5).

Heartbeats, polling and the upgrade are python-socketio's. Who comes in is decided by `Admission`, what is handed out
comes from the mailbox by a `SocketIoReader`, and what a client says is read by `core.packets` before the library sees it;
the library gets connects, ends, pongs and the steps of the upgrade, all of them checked. Its rooms and managers are not
used (`docs/design/socketio.md`). This is the only file that imports it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
import socketio
import socketio.exceptions
from tornado.routing import URLSpec

from chatserver.core import packets
from chatserver.core.errors import BadRequest, ChatError, RateLimited, Unauthenticated, Unavailable
from chatserver.core.people import User
from chatserver.core.prices import Buckets
from chatserver.http.admission import Arrival, Ask
from chatserver.http.house import House
from chatserver.transports.reader import run_on
from chatserver.transports.socketio_line import Line
from chatserver.transports.socketio_link import Link, WatchedQueue
from chatserver.transports.socketio_polls import NODE_CHARS, Asked
from chatserver.transports.socketio_reader import SocketIoReader
from chatserver.transports.socketio_requests import Links, SocketIoHandler
from chatserver.transports.talking import SocketVerbs

CONNECTS_MAX = 5
"""So often a client may ask to be let in over one link."""

TOKEN_CHARS = 512


class _Json:
    """What the library reads and writes JSON with; it has seen no text that `core.packets` has not."""

    @staticmethod
    def loads(text: str) -> Any:
        return orjson.loads(text)

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value).decode()


def _quiet_log() -> logging.Logger:
    # It would log whole packets, with what was said and the tokens in them.
    log = logging.getLogger("chatserver.library.socketio")
    log.setLevel(logging.ERROR)
    return log


def _id_at(node_id: str) -> str:
    """The id of a link that is at this node: 20 characters, 72 random bits of them."""
    return node_id[:NODE_CHARS] + secrets.token_urlsafe(9)


class Desk(Links):
    """The links of this process, and the library that keeps them going."""

    def __init__(self, house: House) -> None:
        super().__init__(house.delivery, house.settings.proxies, house.errands)
        self._clients: dict[str, Link] = {}
        limits = house.settings.limits
        self._house = house
        self._verbs = SocketVerbs(house.messages, house.reads)
        log = _quiet_log()
        self._io = socketio.AsyncServer(
            async_mode="tornado",
            ping_interval=limits.heartbeat_s,
            ping_timeout=limits.silence_s,
            max_http_buffer_size=limits.body_bytes,
            http_compression=False,
            cors_allowed_origins=[],
            monitor_clients=False,
            logger=log,
            engineio_logger=log,
            json=_Json,
        )
        self._engine = engine = self._io.eio
        engine.create_queue = WatchedQueue
        if house.errands is not None:
            engine.generate_id = partial(_id_at, house.errands.node_id)
        engine._async = {
            **engine._async,
            "translate_request": _environ,
            "websocket": self._websocket,
        }
        self._library: dict[str, Callable[..., Awaitable[Any]]] = dict(engine.handlers)
        engine.on("connect", self._begin)
        engine.on("disconnect", self._finished)
        engine.on("message", self._said)
        self._io.on("connect", self._connect)
        self._io.on("disconnect", self._disconnect)

    # For the handler.

    async def handle(self, request: Asked) -> None:
        """Have the library answer."""
        await self._engine.handle_request(request)

    @property
    def frames(self) -> Buckets | None:
        """What is paid for what clients say; None where nothing is metered."""
        return self.delivery.connections.frames

    # The library's events of a link.

    async def _begin(self, sid: str, environ: dict[str, Any]) -> None:
        engine = self._engine.sockets[sid]
        link = Link(self.delivery, self._verbs, engine, engine.queue, self._end)
        link.sid = sid
        asked: Asked = environ["tornado.handler"]
        self.welcome(link, asked)
        line = asked.line
        if line is not None:
            line.belong_to(link)
        await self._library["connect"](sid, {"chatserver.link": link})

    async def _said(self, sid: str, packet: str) -> None:
        """The library runs each packet as a task, which may begin after the end of its link. Of a client that came so it
        would keep its name for good, each one more a step for all who come later, and a trace in the log."""
        if sid in self.open:
            await self._library["message"](sid, packet)

    async def _finished(self, sid: str, reason: str) -> None:
        await self._library["disconnect"](sid, reason)
        link = self.open.get(sid)
        if link is not None:
            link.abort()

    def _end(self, link: Link) -> None:
        self.forget(link)
        self._clients.pop(link.client, None)
        run_on(self._close(link))

    async def _close(self, link: Link) -> None:
        engine = self._engine.sockets.get(link.sid)
        if engine is not None:
            await engine.close(wait=False, abort=True)
            link.queue.put_nowait(None)  # whoever waits for a packet waits no more
            self._engine.sockets.pop(link.sid, None)

    def _websocket(self, handle: Callable[[Line], Awaitable[None]], server: Any) -> Any:
        async def run(environ: dict[str, Any]) -> None:
            line: Line = environ["tornado.handler"].line
            link = line.link
            try:
                await handle(line)
            finally:
                line.end()
                if link.line is line and not link.engine.upgraded:
                    link.line = None
                    link.engine.upgrading = False

        return run

    # The library's events of a client.

    async def _connect(self, name: str, environ: dict[str, Any], auth: Any = None) -> None:
        link: Link = environ["chatserver.link"]
        link.client = name
        self._clients[name] = link
        try:
            arrival, reader = await self._admit(link, auth)
        except ChatError as error:
            del self._clients[name]
            # `message` is what an Error of JavaScript shows; `data` is where the client's library puts the rest.
            raise socketio.exceptions.ConnectionRefusedError(
                error.code, packets.refusal(error)
            ) from None
        # The task begins when this has been answered: the greeting comes behind the answer.
        run_on(self._join(reader, arrival.user, arrival.after))

    async def _admit(self, link: Link, auth: Any) -> tuple[Arrival, SocketIoReader]:
        link.connects += 1
        if link.connects > CONNECTS_MAX:
            raise RateLimited("Begin a new connection.", 5.0)
        admission, delivery = self._house.admission, self.delivery
        ask = self._ask(link, auth)
        async with delivery.joins:
            arrival = admission.known(ask) or await admission.admit(ask)
            mailbox = await delivery.mailboxes.open(arrival.user.id)
            if link.ended or link.reader is not None:
                raise Unavailable("The connection has ended.", 1.0)
            reader = SocketIoReader(delivery, self._verbs, arrival, mailbox)
            delivery.readers.attach(reader)
        reader.outlet = link
        delivery.tallies.count(arrival.user.id, arrival.client, reader.transport, requests=1)
        link.signed_in(reader)
        self.signed_in(link)
        return arrival, reader

    def _ask(self, link: Link, auth: Any) -> Ask:
        fields = auth if isinstance(auth, dict) else {}
        headers, query = link.headers.copy(), dict(link.query)
        token = fields.get("token")
        if token is not None:
            if not _is_plain(token, TOKEN_CHARS):
                raise Unauthenticated("The token is none.")
            headers["Authorization"] = f"Bearer {token}"
        for name in ("after", "client", "user"):
            value = fields.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise BadRequest(f"{name} is text or a number.")
            query[name] = str(value)
        # As where a cookie is set: here a foreign page is refused with a token, too.
        return self._house.admission.ask(headers, query, sets_cookie=True)

    async def _join(self, reader: SocketIoReader, user: User, after: int | None) -> None:
        async with self.delivery.joins:
            if reader.attached:
                await reader.join(user, after)

    async def _disconnect(self, name: str, *_: Any) -> None:
        link = self._clients.pop(name, None)
        if link is not None and not link.ended:
            link.signed_out()
            self.wait(link)


def _is_plain(value: Any, chars: int) -> bool:
    return (
        isinstance(value, str) and len(value) <= chars and value.isascii() and value.isprintable()
    )


def _environ(request: Asked) -> dict[str, Any]:
    """A request as the library wants it: what it looks at, and nothing else."""
    return {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query,
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONNECTION": "upgrade" if request.line is not None else "",
        "HTTP_UPGRADE": "websocket" if request.line is not None else "",
        "wsgi.input": request,
        "wsgi.url_scheme": "http",
        "tornado.handler": request,
    }


def routes(house: House) -> list[Any]:
    """The address of this transport."""
    desk = Desk(house)
    rooms = {"admission": house.admission, "links": desk}
    return [URLSpec(r"/socket\.io/", SocketIoHandler, rooms)]
