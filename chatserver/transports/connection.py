"""A connection taken over from Tornado: bytes in, bytes out, and nothing else in memory.

Tornado does the HTTP part; then its handler, request and stream go, and this small object keeps the socket.
Why: `write_message` makes a task and re-encodes for every socket (about 42 µs a delivery against 9), and a
stream with its handler costs four times the memory (`docs/design/wire.md`). Plain sockets only: TLS ends in
front of this server.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Protocol

from tornado.iostream import IOStream, StreamClosedError

from chatserver.core.events import Event
from chatserver.transports.encoding import Encoding

READ_BYTES = 16 * 1024
"""A read's size: clients send little, but whoever sends much at once is heard at once."""

PENDING_BYTES = 1024 * 1024
"""What may wait for a peer that does not read: one batch of the mailbox and the answers to what the
peer sends meanwhile. Past it the connection is cut."""

CLOSE_S = 5.0
"""How long a peer may take to read what was sent before the end, and to close its side."""


class ConnectionOwner(Protocol):
    """Whose connection it is. None of these may raise."""

    def receive_data(self, data: bytes) -> None:
        """Bytes came."""
        ...

    def drained(self) -> None:
        """Everything that had to wait has left."""
        ...

    def fall_behind(self) -> None:
        """What it was handed by `follow` did not all leave: it is to follow no more."""
        ...

    def connection_lost(self) -> None:
        """The connection is gone, from whichever side; called once, last."""
        ...


class Connection:
    """A socket on the event loop.

    `bytes_up` and `bytes_down` count what came and what the kernel took, from the take-over on.
    """

    __slots__ = (
        "_closing",
        "_fd",
        "_loop",
        "_owner",
        "_reading",
        "_sock",
        "bytes_down",
        "bytes_up",
        "corked",
        "joined",
        "pending",
        "progress_s",
    )

    def __init__(
        self, stream: IOStream, owner: ConnectionOwner, joined: Encoding | None = None
    ) -> None:
        """Take the socket out of `stream`. What the peer sent already is received in the next turn.

        `joined` makes the bytes of events, where this wire is to follow a mailbox. `stream` is of no use
        afterwards. Raises StreamClosedError where the peer has gone.
        """
        if stream.closed():
            raise StreamClosedError()
        # Public ways only: whatever Tornado has read too far comes out of the first read at once; a
        # read that would have to wait is forgotten together with the stream.
        first = asyncio.ensure_future(stream.read_bytes(64 * 1024, partial=True))
        if first.done() and first.exception() is not None:
            raise StreamClosedError()
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket = stream.socket
        self._fd = self._sock.fileno()
        # Nagle's algorithm (RFC 896) holds a small write back while an older one is not acknowledged,
        # which with delayed acknowledgements is 40 ms. We join what belongs together ourselves.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.io_loop.remove_handler(self._fd)
        self._owner: ConnectionOwner | None = owner
        self.joined = joined
        self.corked = b""
        """What leaves with the next write."""
        self.pending: bytearray | None = None
        """What waits for the kernel, never empty; `drained` follows."""
        self._closing = False
        self._reading = True
        self.bytes_up = 0
        self.bytes_down = 0
        self.progress_s = 0.0
        self._loop.add_reader(self._fd, self._on_readable)
        if first.done():
            self._loop.call_soon(self._receive, first.result())

    @property
    def closed(self) -> bool:
        """Whether the socket is gone."""
        return self._owner is None

    @property
    def peer(self) -> Any:
        """The address of the other side, as the socket tells it; None where it has gone."""
        try:
            return self._sock.getpeername()
        except OSError:
            return None

    def release(self) -> socket.socket:
        """Give the socket away. Only where nothing is pending; the owner hears nothing more."""
        if self.pending is not None or self._owner is None:
            raise ValueError("there is something to send, or nothing to give")
        self.pause()
        self._owner = None
        return self._sock

    def send(self, data: bytes) -> None:
        """Send what is corked and `data`, now if the kernel takes it. Never waits, never raises."""
        if self.corked:
            data, self.corked = self.corked + data, b""
        if not data or self._owner is None or self._closing:
            return
        if self.pending is not None:
            self._keep(data, 0)
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # Reset, broken pipe, no route: whichever, the peer is gone. Not from inside the caller.
            self._loop.call_soon(self.abort)
            return
        self.bytes_down += sent
        if sent < len(data):
            self._keep(data, sent)

    def follow(self, events: list[Event]) -> None:
        """As `send`, of the next events of the mailbox: what happens for each friend of each sender.

        So it does without everything that is not needed there (nor does it count the bytes).
        """
        joined = self.joined
        assert joined is not None
        data = joined.data if events is joined.events else joined.of(events)
        sent = 0
        if self.pending is None:
            if self.corked:
                data, self.corked = self.corked + data, b""
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self._loop.call_soon(self.abort)
                return
            if sent == len(data):
                return
        if self._owner is not None:
            self._keep(data, sent)
            self._owner.fall_behind()

    def fall_behind(self) -> None:
        """The owner is to pull again: more has come than is written at once."""
        if self._owner is not None:
            self._owner.fall_behind()

    def _keep(self, data: bytes, sent: int) -> None:
        """What did not leave, waits for the kernel; a peer that lets too much of it gather is cut off."""
        rest = memoryview(data)[sent:]
        if self.pending is None:
            self.pending = bytearray(rest)
            self.progress_s = self._loop.time()
            self._loop.add_writer(self._fd, self._on_writable)
        else:
            self.pending += rest
        if len(self.pending) > PENDING_BYTES:
            self._loop.call_soon(self.abort)

    def close_soon(self) -> None:
        """Close once what was sent has left and the peer has closed, or after CLOSE_S at the latest."""
        if self._owner is None or self._closing:
            return
        self._closing = True
        if self.pending is None:
            self._shut_down()
        self._loop.call_later(CLOSE_S, self.abort)

    def abort(self) -> None:
        """Close now; what has not left is lost. Idempotent."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._loop.remove_reader(self._fd)
        if self.pending is not None:
            self._loop.remove_writer(self._fd)
            self.pending = None
        self._sock.close()
        owner.connection_lost()

    def pause(self) -> None:
        """Read no more until `resume`: the peer feels it in its own socket."""
        if self._reading and self._owner is not None:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read again."""
        if not self._reading and self._owner is not None:
            self._reading = True
            self._loop.add_reader(self._fd, self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        if data:
            self._receive(data)
        else:
            self.abort()

    def _receive(self, data: bytes) -> None:
        if self._owner is not None:
            self.bytes_up += len(data)
            self._owner.receive_data(data)

    def _on_writable(self) -> None:
        assert self.pending is not None
        try:
            sent = self._sock.send(self.pending)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        self.bytes_down += sent
        del self.pending[:sent]
        self.progress_s = self._loop.time()
        if self.pending:
            return
        self.pending = None
        self._loop.remove_writer(self._fd)
        if self._closing:
            self._shut_down()
        elif self._owner is not None:
            self._owner.drained()

    def _shut_down(self) -> None:
        # Closing a socket with unread bytes sends a reset, which may destroy what the peer has not read yet
        # (RFC 9112, section 9.6): so end our side, and wait for the peer's end.
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._loop.call_soon(self.abort)
