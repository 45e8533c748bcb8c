"""A connection that polls: taken over with its first poll, given to Tornado with whatever is no poll.

A client that polls asks the same question on the same connection all day. Here that costs no parsing: the
headers of a request that are byte for byte those of the one before are not looked at again. The first poll of a
connection, and everything that is not plainly one (another path, a body, another version), is Tornado's. What is
plain, and why less than HTTP allows, stands in `http/heads.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tornado.httputil import HTTPHeaders, RequestStartLine
from tornado.iostream import IOStream

from chatserver.delivery.connections import Connections
from chatserver.delivery.delivery import Delivery
from chatserver.delivery.tolls import POLL, REST_S
from chatserver.http.admission import Admission, Bearer
from chatserver.http.heads import (
    HEAD_BYTES,
    NO_HEADERS,
    has_bare_line_end,
    plain_fields,
    poll_line,
    says_close,
)
from chatserver.transports.connection import Connection
from chatserver.transports.longpoll import Poll
from chatserver.transports.outlet import Owner
from chatserver.transports.pollrequest import PollRequest, Repeated, remember
from chatserver.transports.watched import WatchedStream

HandBack = Callable[[IOStream, Any], None]
"""Tornado's `HTTPServer.handle_stream`."""

CLOSE = "Connection: close\r\n"


class PollConnection:
    """One connection, one poll at a time (RFC 9112, section 9.3.2: answers in order)."""

    __slots__ = (
        "_admission",
        "_at_rest",
        "_bearer",
        "_buffer",
        "_close_after",
        "_connection",
        "_delivery",
        "_hand_back",
        "_fields",
        "_headers",
        "_idle_since_s",
        "_last",
        "_poll",
        "_repeated",
        "_rests",
        "_seen",
        "_signed_in",
        "_working",
    )

    def __init__(
        self,
        connect: Callable[[Owner], Connection],
        admission: Admission,
        delivery: Delivery,
        hand_back: HandBack,
    ) -> None:
        """`connect` makes the connection of its owner. Raises as it does."""
        self._admission = admission
        self._delivery = delivery
        self._hand_back = hand_back
        self._buffer = (
            bytearray()
        )  # up to HEAD_BYTES and what one read brings; then nothing is read
        self._seen = 0  # before this no end of a head begins
        self._fields: bytes | None = None  # those of the poll before, which are known to be plain
        self._headers: HTTPHeaders = NO_HEADERS
        self._bearer: Bearer | None = None  # of these headers, where they bring something
        self._last = False  # by these headers
        self._repeated: Repeated | None = None
        self._poll: Poll | None = None
        self._signed_in = False
        self._working = False
        self._rests = False  # after a request that was not paid for
        self._close_after = False
        self._at_rest = False  # all that came is answered, and the answers have left
        clockwork = delivery.clockwork
        self._idle_since_s = clockwork.clock_s()
        self._connection: Connection | None = connect(self)
        clockwork.look_after_at(self, self._idle_since_s + delivery.limits.idle_s)

    def start(self, line: RequestStartLine, headers: HTTPHeaders) -> None:
        """Answer the first poll, which Tornado has read."""
        if self._connection is not None:
            self._headers = headers
            self._last = line.version != "HTTP/1.1" or says_close(line.version, headers)
            self._connection.guard(self._begin, line.method, line.path)

    def _begin(self, method: str, target: str) -> None:
        """Answer one poll, now or when there is something."""
        self._ask(self._read_request(method, target))

    def _read_request(self, method: str, target: str) -> PollRequest:
        self._close_after = self._last
        bearer = self._bearer or self._admission.bearer(self._headers)
        # What says nothing now may do so later: a cookie of another server's newer key.
        self._bearer = bearer if bearer.brought is not None else None
        lines = self._admission.cors.lines(self._headers)
        if self._last:
            lines += CLOSE
        return PollRequest(method, target, self._headers, bearer, lines)

    def _ask(self, request: PollRequest) -> None:
        poll = self._poll = Poll(self, request, self._admission, self._delivery)
        poll.begin()

    def begin(self, head: bytes) -> None:
        """Answer the first poll, whose whole head was read of the connection; it is not known yet whether it is a plain one."""
        if self._connection is not None:
            self._connection.guard(self._take_first, head)

    def _take_first(self, head: bytes) -> None:
        if not self._delivery.connections.take_turn() or not self._take(head):
            self._buffer += head
            self._work()

    def charge(self, request: PollRequest) -> None:
        """Have the address of somebody who is not known pay for one poll. Raises `RateLimited`."""
        connection = self._connection
        assert connection is not None
        self._admission.charge_address(request.headers, POLL, self._peer, connection.seat)

    def rest(self, request: PollRequest) -> None:
        """Nobody could pay for this poll: the connection is not read for a while, or ends where a proxy shares it."""
        connection = self._connection
        assert connection is not None
        if self._admission.is_shared(self._peer()):
            self._close_after = True
            request.lines += "" if self._last else CLOSE
        else:
            self._rests = True
            connection.later(REST_S, self._wake)

    def _peer(self) -> str:
        peer = None if self._connection is None else self._connection.peer
        return str(peer[0]) if peer else ""

    def _wake(self) -> None:
        self._rests = False
        self._work()

    def respond(self, data: bytes) -> None:
        """The answer to the present poll, whole; go on with what came meanwhile."""
        self._poll = None
        connection = self._connection
        if connection is None:
            return
        connection.send(data)
        self._idle_since_s = self._delivery.clockwork.clock_s()
        if self._close_after:
            self._buffer.clear()  # what was asked behind the last request is not answered (RFC 9112, 9.6)
            connection.resume()  # nor does it wait in the kernel, where it would turn our end into a reset
            connection.close_soon()
        elif not self._buffer:
            self._at_rest = not (self._rests or connection.waits)
        elif not self._working and not self._rests:
            # Not from here: an answer that led to the next one would go as deep as the client likes.
            self._working = True
            connection.soon(self._go_on)

    def sign_in(self, user_id: str) -> None:
        """Somebody has signed in over this connection."""
        if not self._signed_in and self._connection is not None:
            self._signed_in = True
            self._connection.sign_in(user_id)

    def cut(self) -> None:
        """Break the connection without a word."""
        if self._connection is not None:
            self._connection.abort()

    # The connection's side.

    def receive_data(self, data: bytes) -> None:
        """Bytes from the client: the next request, or its beginning."""
        repeated, at_rest, self._at_rest = self._repeated, self._at_rest, False
        if repeated is not None and at_rest:
            after = repeated.cursor(data)
            if after is not None and self._delivery.connections.take_turn():
                request = repeated.request
                request.after = after
                poll = self._poll = Poll(self, request, self._admission, self._delivery)
                poll.begin()
                return
        if self._close_after:
            return
        self._buffer += data
        self._work()

    def clogged(self) -> None:
        """Nothing is asked of it before it has `drained`."""

    def drained(self) -> None:
        """A long answer has left."""
        self._work()

    def stuck(self) -> None:
        """The client takes nothing: there is no word that it would hear."""

    def connection_lost(self) -> None:
        """The client is gone, and its poll with it."""
        self._connection = None
        self._buffer.clear()
        self._delivery.clockwork.look_away(self)
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.connection_lost()

    def visit(self, now_s: float) -> float | None:
        """Close a connection that rests for too long."""
        if self._connection is None:
            return None
        idle_s = self._delivery.limits.idle_s
        if self._poll is not None:
            return idle_s
        rests_s = now_s - self._idle_since_s
        if rests_s >= idle_s:
            self._connection.abort()
            return None
        return idle_s - rests_s

    # Requests.

    def _work(self) -> None:
        """Answer the requests that have come, until one waits or others have their turn."""
        if not self._working and not self._rests:
            self._working = True
            while self._poll is None and not self._rests:
                if not self._delivery.connections.take_turn():
                    self._in_the_next_turn()
                    break
                if not self._next():
                    self._working = False
                    break
            else:
                self._working = False
        self._look_at_input()

    def _in_the_next_turn(self) -> None:
        if self._connection is not None:
            self._connection.soon(self._go_on)
        else:
            self._working = False

    def _go_on(self) -> None:
        self._working = False
        self._work()

    def _look_at_input(self) -> None:
        """Read only while there is room for it, and the client takes what it is answered."""
        connection = self._connection
        if connection is not None:
            if connection.waits or len(self._buffer) > HEAD_BYTES:
                connection.pause()
            else:
                connection.resume()

    def _next(self) -> bool:
        """Take the next request; False where there is none that could be taken."""
        connection, buffer = self._connection, self._buffer
        if connection is None or connection.waits or self._close_after or not buffer:
            return False  # `drained` goes on
        end = buffer.find(b"\r\n\r\n", self._seen)
        if end < 0:
            if len(buffer) > HEAD_BYTES or not self._may_become_a_poll():
                return self._give_back(connection)
            self._seen = max(0, len(buffer) - 3)
            return False
        return self._take(bytes(buffer[: end + 4])) or self._give_back(connection)

    def _take(self, head: bytes) -> bool:
        """Begin the request with this head, which leaves the buffer; False, and nothing has happened, where it is Tornado's to judge."""
        line, _, fields = head[:-2].partition(b"\r\n")
        asked, as_before = poll_line(line), self._has(fields)
        if asked is None or len(head) > HEAD_BYTES or not (as_before or self._read(fields)):
            return False
        del self._buffer[: len(head)]
        self._seen = 0
        request = self._read_request(*asked)
        self._ask(request)
        # A first poll may have no second for a while; who brings a cursor and waits has asked before, and asks on like that.
        asks_on = as_before or (request.after is not None and request.wait_s > 0)
        keeps = asks_on and not self._last
        self._repeated = remember(request, line, head[len(line) :]) if keeps else None
        self._fields = fields if self._repeated is None else None  # which has them, too
        return True

    def _has(self, fields: bytes) -> bool:
        """Whether the headers are those of the request before."""
        return fields == self._fields or bool(self._repeated and self._repeated.has(fields))

    def _may_become_a_poll(self) -> bool:
        buffer = self._buffer
        begins = buffer.startswith(b"GET /poll"[: len(buffer)])
        return begins and not has_bare_line_end(buffer, self._seen)

    def _read(self, fields: bytes) -> bool:
        """Take the headers of a request; False where they are Tornado's to judge."""
        headers = plain_fields(fields)
        if headers is None:
            return False
        self._headers, self._bearer = headers, None
        self._last = says_close("HTTP/1.1", headers)
        return True

    def _give_back(self, connection: Connection) -> bool:
        self._connection = None
        self._delivery.clockwork.look_away(self)
        peer = connection.peer
        connections = self._delivery.connections
        stream = _Replayed(connection.release(), connections, bytes(self._buffer))
        self._buffer.clear()
        try:
            self._hand_back(stream, peer)
        except Exception as error:
            connections.failed(str(peer[0]) if peer else "somebody who has gone", error)
            stream.close()
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
