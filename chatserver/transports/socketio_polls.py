"""The requests of a Socket.IO client that polls: carried out where its link is, whichever node they come to.

A link is in one process. Its id begins with the node's, so a request that comes to another node is an errand for
that one (`journal.errands`): what of it counts goes there, and the answer comes back. Only the upgrade does not go that way.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from tornado.httputil import HTTPHeaders

from chatserver.core import packets
from chatserver.core.errors import BadRequest, ChatError, TooLarge
from chatserver.core.tallies import headers_bytes, request_bytes
from chatserver.http.problems import problem_response
from chatserver.http.requests import parse_query
from chatserver.transports.frames import frame_cost
from chatserver.transports.socketio_line import Line
from chatserver.transports.socketio_link import Link

if TYPE_CHECKING:
    from chatserver.transports.socketio_requests import Links

NODE_CHARS = 8
"""Of the id of a link: the node that has it, where there are several."""

_WHO = ("Cookie", "Origin", "Sec-Fetch-Site", "Host", "X-Chat-User", "X-Forwarded-Proto")
_WHO_MORE = ("X-Forwarded-For", "Authorization")


class Request(Protocol):
    """What of a request is needed here."""

    method: Any
    query: str
    uri: Any
    headers: HTTPHeaders
    body: bytes


class Asked:
    """A request as the library sees it: what to read, and where to answer. `line`: the WebSocket, if it is one."""

    def __init__(self, handler: Polls, body: bytes = b"", line: Line | None = None) -> None:
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


class Polls(ABC):
    """One request that polls or posts. Whatever carries it says what came, and takes the answer as a `RequestHandler` does."""

    request: Any
    gone = False
    """Whether the client has left before it was answered."""
    sent_bytes = 0
    _links: Links
    _link: Link | None = None
    _headers: HTTPHeaders

    @property
    @abstractmethod
    def payer(self) -> str | None:
        """The address that pays until somebody signs in; None: it counts in all only."""

    @abstractmethod
    def set_status(self, status_code: int, reason: str | None = None) -> None:
        """Of the answer."""

    @abstractmethod
    def set_header(self, name: str, value: Any) -> None:
        """Of the answer."""

    @abstractmethod
    def write(self, chunk: Any) -> None:
        """More of the answer's body."""

    @abstractmethod
    def finish(self, chunk: Any = None) -> Any:
        """The answer is whole."""

    @abstractmethod
    def refuse(self, error: ChatError) -> None:
        """Answer with a problem."""

    @abstractmethod
    def signed_in(self, user_id: str) -> None:
        """The user of the link pays for the connection, too."""

    def find(self) -> Link | None:
        """The link that the request is for; None where it begins one. Raises `ChatError`."""
        link = self._links.link(parse_query(self.request.query))
        if link is None:
            self._links.check_room(self.payer)
        elif link.polling and self.request.method == "GET" and not self._upgrades:
            link.abort()  # Engine.IO's rule, and nobody knows which of the two has got what
            raise BadRequest("A poll of this session waits already.")
        return link

    @property
    def _upgrades(self) -> bool:
        return bool(self.request.headers.get("Upgrade", "").lower() == "websocket")

    async def poll(self, link: Link | None) -> None:
        """Answer a GET."""
        if link is None:
            await self._links.handle(Asked(self))
            return
        self._link = link
        self._pay_by(link)
        link.polling = True
        try:
            await self._links.handle(Asked(self))
        finally:
            link.polling = False
            self._count(link, 0)

    async def say(self) -> None:
        """Answer a POST."""
        link = None
        try:
            link = self.find()
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

    def left(self) -> None:
        """The client has gone."""
        self.gone = True
        # What was on its way to this poll is lost: the client comes back at its own cursor.
        if self._link is not None and self._link.polling:
            self._link.abort()

    def _pay_by(self, link: Link) -> None:
        if link.reader is not None:
            self.signed_in(link.reader.mailbox.user_id)

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
        self._pay_by(link)
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


@dataclass(slots=True)
class FarRequest:
    """A request that came to another node."""

    method: str
    query: str
    uri: str
    headers: HTTPHeaders
    body: bytes


class FarPoll(Polls):
    """A request that came to another node, and is carried out here."""

    def __init__(self, links: Links, question: bytes) -> None:
        head, _, body = question.partition(b"\n")
        method, query, uri, headers, payer = orjson.loads(head)
        self._links = links
        self._payer: str | None = payer
        self.request = FarRequest(method, query, uri, HTTPHeaders(), body)
        for name, value in headers:
            self.request.headers.add(name, value)
        self._status = 200
        self._headers = HTTPHeaders()
        self._body = b""
        self._user_id: str | None = None

    @staticmethod
    def question(request: Request, payer: str | None) -> bytes:
        """What is sent to the node that has the link."""
        kept = [
            (name, value)
            for name in ("Upgrade", *_WHO, *_WHO_MORE)
            for value in request.headers.get_list(name)
        ]
        head = [str(request.method), request.query, request.uri or "", kept, payer]
        return orjson.dumps(head) + b"\n" + request.body

    async def answer(self) -> bytes:
        """Carry it out; what `FarAnswer` reads."""
        try:
            if self.request.method == "POST":
                await self.say()
            else:
                link = self.find()
                if link is None:
                    raise BadRequest("There is no session with this sid.")
                await self.poll(link)
        except ChatError as error:
            self.refuse(error)
        head = [self._status, list(self._headers.get_all()), self._user_id]
        return orjson.dumps(head) + b"\n" + self._body

    @property
    def payer(self) -> str | None:
        return self._payer

    def set_status(self, status_code: int, reason: str | None = None) -> None:
        self._status = status_code

    def set_header(self, name: str, value: Any) -> None:
        self._headers[name] = str(value)

    def write(self, chunk: Any) -> None:
        self._body += chunk.encode() if isinstance(chunk, str) else chunk
        self.sent_bytes = len(self._body)

    def finish(self, chunk: Any = None) -> None:
        if chunk is not None:
            self.write(chunk)

    def refuse(self, error: ChatError) -> None:
        self._status, headers, self._body = problem_response(error)
        for name, value in headers.get_all():
            self._headers[name] = value

    def signed_in(self, user_id: str) -> None:
        self._user_id = user_id


@dataclass(frozen=True, slots=True)
class FarAnswer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    user_id: str | None
    body: bytes

    @classmethod
    def read(cls, answer: bytes) -> FarAnswer:
        """What `FarPoll.answer` has written."""
        head, _, body = answer.partition(b"\n")
        status, headers, user_id = orjson.loads(head)
        return cls(status, [(name, value) for name, value in headers], user_id, body)
