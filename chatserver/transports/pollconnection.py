"""A connection that polls: taken over from Tornado with its first poll, given back with whatever is no poll.

A client that polls asks the same question on the same connection all day. Here that costs no parsing: the
headers of a request that are byte for byte those of the one before are not looked at again. The first poll of a
connection, and everything that is not plainly one (another path, a body, another version), is Tornado's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPInputError
from tornado.iostream import IOStream

from chatserver.delivery.connections import Connections
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Admission
from chatserver.transports.connection import Connection
from chatserver.transports.longpoll import Poll
from chatserver.transports.watched import WatchedStream

HEAD_BYTES = 16 * 1024
"""A longer head is Tornado's to refuse. Also what may wait behind a poll that is being held."""

IDLE_S = 75.0
"""How long a connection may rest between two polls; longer than a poll is held."""

HandBack = Callable[[IOStream, Any], None]
"""Tornado's `HTTPServer.handle_stream`."""


def is_poll(method: str, target: str) -> bool:
    """Whether a request is one that can be answered here."""
    return method in ("GET", "HEAD") and target.startswith("/poll") and target[5:6] in ("", "?")


def is_plain(headers: HTTPHeaders) -> bool:
    """Whether nothing follows the head, and nothing but an answer is asked for."""
    return (
        headers.get("Content-Length", "0") == "0"
        and "Transfer-Encoding" not in headers
        and "Expect" not in headers
    )


class PollConnection:
    """One connection, one poll at a time (RFC 9112, section 9.3.2: answers in order)."""

    __slots__ = (
        "_admission",
        "_buffer",
        "_close_after",
        "_connection",
        "_delivery",
        "_hand_back",
        "_head",
        "_headers",
        "_idle_since_s",
        "_poll",
        "_working",
    )

    def __init__(
        self,
        stream: IOStream,
        admission: Admission,
        delivery: Delivery,
        hand_back: HandBack,
    ) -> None:
        """Take `stream` over, whose first request Tornado has read. Raises StreamClosedError."""
        self._admission = admission
        self._delivery = delivery
        self._hand_back = hand_back
        self._buffer = bytearray()
        self._head = b""
        self._headers = HTTPHeaders()
        self._poll: Poll | None = None
        self._working = False
        self._close_after = False
        self._idle_since_s = delivery.clockwork.clock_s()
        self._connection: Connection | None = Connection(stream, self, delivery.connections)
        delivery.clockwork.look_after(self, IDLE_S)

    def begin(
        self, method: str, target: str, headers: HTTPHeaders, version: str = "HTTP/1.1"
    ) -> None:
        """Answer one poll, now or when there is something."""
        connection = headers.get("Connection", "").lower()
        self._close_after = connection == "close" or version != "HTTP/1.1"
        self._poll = Poll(self, (method, target, headers), self._admission, self._delivery)
        self._poll.begin()

    def respond(self, data: bytes) -> None:
        """The answer to the present poll, whole; go on with what came meanwhile."""
        self._poll = None
        if self._connection is None:
            return
        self._connection.send(data)
        self._idle_since_s = self._delivery.clockwork.clock_s()
        if self._close_after:
            self._buffer.clear()  # what was asked behind the last request is not answered (RFC 9112, 9.6)
            self._connection.close_soon()
        elif self._buffer:
            self._work()

    @property
    def close_after(self) -> bool:
        """Whether the connection ends with the present answer."""
        return self._close_after

    def cut(self) -> None:
        """Break the connection without a word."""
        if self._connection is not None:
            self._connection.abort()

    # The connection's side.

    def receive_data(self, data: bytes) -> None:
        """Bytes from the client: the next request, or its beginning."""
        if self._close_after:
            return
        self._buffer += data
        if self._poll is None:
            self._work()
        elif len(self._buffer) > HEAD_BYTES and self._connection is not None:
            self._connection.pause()

    def drained(self) -> None:
        """A long answer has left."""
        if self._poll is None and self._buffer:
            self._work()

    def stuck(self) -> None:
        """The client takes nothing: there is no word that it would hear."""

    def connection_lost(self) -> None:
        """The client is gone, and its poll with it."""
        self._connection = None
        self._delivery.clockwork.look_away(self)
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.connection_lost()

    def visit(self, now_s: float) -> float | None:
        """Close a connection that rests for too long."""
        if self._connection is None:
            return None
        if self._poll is not None:
            return IDLE_S
        rests_s = now_s - self._idle_since_s
        if rests_s >= IDLE_S:
            self._connection.abort()
            return None
        return IDLE_S - rests_s

    # Requests.

    def _work(self) -> None:
        """Answer the requests that have come, until one waits: in a loop, since an answer leads back here."""
        if self._working:
            return
        self._working = True
        try:
            while self._poll is None and self._next():
                pass
        finally:
            self._working = False

    def _next(self) -> bool:
        """Begin the next request; False where there is none that could be begun."""
        connection, buffer = self._connection, self._buffer
        if connection is None or connection.waits or self._close_after or not buffer:
            return False  # `drained` goes on
        connection.resume()
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > HEAD_BYTES or not buffer.startswith(b"GET /poll"[: len(buffer)]):
                self._give_back(connection)
            return False
        head = bytes(buffer[: end + 2])
        line, _, lines = head.partition(b"\r\n")
        parts = line.split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1" or not line.isascii():
            return self._give_back(connection)
        method, target = parts[0].decode("ascii"), parts[1].decode("ascii")
        if not is_poll(method, target) or not self._read_head(lines):
            return self._give_back(connection)
        del buffer[: end + 4]
        self.begin(method, target, self._headers)
        return True

    def _read_head(self, head: bytes) -> bool:
        """Take the headers of a request; False where they are Tornado's to judge."""
        if head == self._head:
            return True
        try:
            headers = HTTPHeaders.parse(head.decode("latin1"))
        except HTTPInputError:
            return False
        if "Host" not in headers or not is_plain(headers):
            return False
        self._head, self._headers = head, headers
        return True

    def _give_back(self, connection: Connection) -> bool:
        self._connection = None
        self._delivery.clockwork.look_away(self)
        peer = connection.peer
        connections = self._delivery.connections
        stream = _Replayed(connection.release(), connections, bytes(self._buffer))
        self._buffer.clear()
        self._hand_back(stream, peer)
        return False


class _Replayed(WatchedStream):
    """A stream whose first bytes were read already."""

    def __init__(self, sock: socket.socket, connections: Connections, read_before: bytes) -> None:
        self._read_before = memoryview(read_before)
        super().__init__(sock, connections)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Tornado's hook for where bytes come from."""
        size = min(len(buf), len(self._read_before))
        if size:
            buf[:size] = self._read_before[:size]
            self._read_before = self._read_before[size:]
            return size
        return super().read_from_fd(buf)
