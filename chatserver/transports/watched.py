"""A connection on which Tornado answers, under the same bounds in time as those that left it.

What Tornado refuses by itself, before a handler is asked, gets the form that every refusal has here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any

from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from chatserver.core.errors import BadRequest, ChatError, HeaderTooLarge
from chatserver.delivery.connections import Connections
from chatserver.delivery.seats import held_by, seat_of
from chatserver.http.heads import HEAD_BYTES, HEAD_LINES
from chatserver.http.problems import problem_response
from chatserver.http.requests import http_date
from chatserver.transports.connection import Connection
from chatserver.transports.outlet import Nobody

CHUNKS_MAX = 128
"""Of one body: what takes as long as a request that a handler answers. Each costs 9 us, so 64 KB in chunks of a byte were 100 ms
for the price of one request, and with 1,000 allowed sixteen connections of one user made everybody else wait for 240 ms."""

TORNADOS_REFUSAL = b"HTTP/1.1 400 Bad Request\r\n\r\n"
"""What Tornado writes, without a length or a body, where a request's head or framing is none."""


def _refusal(error: ChatError) -> bytes:
    status, headers, body = problem_response(error)
    headers["Date"], headers["Connection"] = http_date(), "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.get_all())
    return f"HTTP/1.1 {status} {error.title}\r\n{lines}\r\n".encode("latin1") + body


class WatchedStream(IOStream):
    """A connection on which Tornado answers, ended where its peer takes no byte for too long.

    `asks_first`: it is also ended where the head of its first request is not there in time, whether the peer says
    nothing or drips; `head_came` ends that. It is looked after only while something is awaited, so that a connection
    which is taken over leaves nothing behind.
    """

    def __init__(
        self, sock: socket.socket, connections: Connections, asks_first: bool = False
    ) -> None:
        self._connections = connections
        self._progress_s = 0.0
        self._watched = False
        self._reads_head = False
        self._awaits_head = False
        self._wrong: ChatError = BadRequest("This is no request that can be answered.")
        self._chunks = 0
        self._had_last = False
        self._refused = False
        self._rest_s = 0.0
        self._unsent_bytes = 0
        self._held_bytes = 0
        """Of answers that have not left as a whole: Tornado keeps each until its last byte has."""
        self._noted_bytes = 0
        self._whose = ""
        self._head_due_s: float | None = None
        super().__init__(sock)
        held_by(sock, self.close)
        if asks_first:
            self._head_due_s = connections.clockwork.clock_s() + connections.head_s
            connections.clockwork.look_after(self, connections.head_s)

    def head_came(self) -> None:
        """The head of a request is there."""
        if self._head_due_s is not None:
            self._head_due_s = None
            self._connections.clockwork.look_away(self)
            self._watched = False

    # Out.

    def write(self, data: bytes | memoryview) -> Any:
        """As Tornado's; its own refusal becomes one of ours."""
        if data == TORNADOS_REFUSAL:
            self._refused = True
            data = _refusal(self._wrong)
        self._unsent_bytes += len(data)
        self._held_bytes += len(data)
        written = super().write(data)
        self._note_backlog()
        return written

    def write_to_fd(self, data: memoryview) -> int:
        """Tornado's hook for where bytes go."""
        size = len(data)
        try:
            sent = super().write_to_fd(data)
        except BlockingIOError:
            self._watch()
            raise
        finally:
            del data  # Tornado wants the view back
        self._unsent_bytes -= sent
        if self._noted_bytes:
            self._note_backlog()
        self._progress_s = self._connections.clockwork.clock_s()
        if sent < size:
            self._watch()
        return sent

    def _note_backlog(self) -> None:
        """Count what waits for whoever has asked, over all of their connections; too much, and this one is cut."""
        if not self._unsent_bytes:
            self._held_bytes = 0
        change = self._held_bytes - self._noted_bytes
        if not change:
            return
        if not self._noted_bytes:
            seat = seat_of(self.socket)
            self._whose = "" if seat is None else seat.asker or seat.address or ""
        if not self._whose:
            return  # a proxy before sign-in, which speaks for many
        self._noted_bytes = self._held_bytes
        if self._connections.note_backlog(self._whose, change) and change > 0:
            self._connections.counts["overrun"] += 1
            asyncio.get_running_loop().call_soon(self.close)

    # In.

    def had_last(self) -> None:
        """The request that is being read is the last of this connection."""
        self._had_last = True

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read a head, which is what Tornado's server uses it for.

        Not behind the last request, and not out of what is left of a closed connection: what is asked there
        cannot be answered, so it must not be carried out (RFC 9112, section 9.6).
        """
        if self._had_last or self.closed():
            self.close()
            raise StreamClosedError()
        self._reads_head = self._awaits_head = True
        self._chunks = 0
        if self._rest_s:
            return self._read_after_rest(regex, max_bytes)
        return super().read_until_regex(regex, max_bytes)

    async def _read_after_rest(self, regex: bytes, max_bytes: int | None) -> bytes:
        rest_s, self._rest_s = self._rest_s, 0.0
        await asyncio.sleep(rest_s)
        return await super().read_until_regex(regex, max_bytes)

    def _consume(self, loc: int) -> bytes:
        """Tornado's hook for what is taken from the buffer: a head of too many lines it does not see, and so refuses."""
        data = super()._consume(loc)
        if self._awaits_head:
            self._awaits_head = False
            if data.count(b"\n") > HEAD_LINES + 2:  # the request line, and the empty one
                self._wrong = HeaderTooLarge(f"A head has at most {HEAD_LINES} lines.")
                return b""
        return data

    def rest(self, rest_s: float) -> None:
        """Let the next request wait: this one was not paid for."""
        self._rest_s = rest_s

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read the size of a chunk, which is what Tornado's server uses it for. Of too many the connection ends."""
        self._reads_head = False
        self._chunks += 1
        if self._chunks > CHUNKS_MAX:
            too_many = UnsatisfiableReadError("too many chunks")
            self.close(exc_info=too_many)
            raise too_many
        return super().read_until(delimiter, max_bytes)

    # The end.

    def close_fd(self) -> None:
        """Tornado's hook for the end. Whoever was refused in the middle of a sentence can still read why."""
        self._unsent_bytes = 0
        self._note_backlog()
        too_long = isinstance(self.error, UnsatisfiableReadError)
        sock: socket.socket | None = self.socket
        if sock is None or not (too_long or self._refused):
            super().close_fd()
            return
        self.socket = None  # type: ignore[assignment]
        words = b""
        if too_long:
            refusal: ChatError = BadRequest("The size of a chunk is a line of a few digits.")
            if self._chunks > CHUNKS_MAX:
                refusal = BadRequest(f"A body comes in at most {CHUNKS_MAX} chunks.")
            if self._reads_head:
                refusal = HeaderTooLarge(f"A head has at most {HEAD_BYTES} bytes.")
            words = _refusal(refusal)
        _part(sock, words, self._connections)

    # The clock.

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            clockwork = self._connections.clockwork
            self._progress_s = clockwork.clock_s()
            clockwork.look_after(self, self._connections.stuck_s)

    def visit(self, now_s: float) -> float | None:
        """Close it where the peer asks nothing, or takes nothing."""
        if self.closed():
            return None
        if self._head_due_s is not None:
            if now_s < self._head_due_s:
                return self._head_due_s - now_s
            self._connections.counts["no head"] += 1
            self.close()
            return None
        if not self.writing():
            self._watched = False
            return None
        left_s = self._progress_s + self._connections.stuck_s - now_s
        if left_s > 0:
            return left_s
        self._connections.counts["stuck"] += 1
        self._refused = False  # it does not read why, either
        self.close()
        return None


def _part(sock: socket.socket, words: bytes, connections: Connections) -> None:
    """Send the last words and close, reading what still comes: else a reset may destroy them on their way."""
    try:
        connection = Connection.of_stream(IOStream(sock), Nobody(), connections)
    except (StreamClosedError, OSError):
        sock.close()
        return
    connection.send(words)
    connection.close_soon()
