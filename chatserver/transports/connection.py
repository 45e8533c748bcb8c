"""A connection that owns its life: bytes in, bytes out, and nothing else in memory.

Whoever read the request's head (`firstlook`, or Tornado) leaves, and this small object keeps the socket.
Why: `write_message` makes a task and re-encodes for every socket (about 42 µs a delivery against 9), and a
stream with its handler costs four times the memory (`docs/design/wire.md`). Plain sockets only: TLS ends in
front of this server.

The bounds of every connection stand here, once: how much is read in a turn, when reading pauses, how much may
wait to be written, how long a peer may take no byte, and what becomes of an exception.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from tornado.iostream import IOStream, StreamClosedError

from chatserver.delivery.connections import Connections
from chatserver.delivery.seats import Seat, held_by, seat_of, sign_in
from chatserver.transports.outlet import Owner

READ_BYTES = 16 * 1024
"""What is read of one connection in a turn of the loop: clients send little, and the others are waiting."""

PENDING_BYTES = 1024 * 1024
"""What may wait for a peer that does not read: one batch of the mailbox and the answers to what the
peer sends meanwhile. Past it the connection is cut."""

PAUSE_BYTES = 256 * 1024
"""With so much waiting nothing more is read: whoever does not take answers is asked no more questions. Twice a
batch, so that a reader on a slow line can still write."""

CLOSE_S = 5.0
"""How long a peer may take to read what was sent before the end, and to close its side."""


class _Counted:
    """What has come and left."""

    __slots__ = ("down", "up")

    def __init__(self) -> None:
        self.up = 0
        self.down = 0


class Connection:
    """A socket on the event loop; an `Outlet` for its owner."""

    __slots__ = (
        "_closing",
        "_connections",
        "_corked",
        "_counted",
        "_fd",
        "_owner",
        "_paused",
        "_pending",
        "_progress_s",
        "_reading",
        "_sock",
        "_watched",
        "waits",
    )

    def __init__(
        self, sock: socket.socket, owner: Owner, connections: Connections, first: bytes = b""
    ) -> None:
        """Take `sock`, which does not block. `first` was read of it already: it is received in the next turn."""
        self._sock = sock
        self._fd = sock.fileno()
        # Nagle's algorithm (RFC 896) holds a small write back while an older one is not acknowledged,
        # which with delayed acknowledgements is 40 ms. We join what belongs together ourselves.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections = connections
        self._owner: Owner | None = owner
        self._corked = b""
        self._pending: bytearray | None = None  # what waits for the kernel, never empty
        self.waits = False
        self._closing = False
        self._paused = False
        self._reading = not first
        self._watched = False
        self._progress_s = 0.0
        self._counted: _Counted | None = None
        held_by(self._sock, self.abort)
        if first:  # it came before all that is still to be read
            asyncio.get_running_loop().call_soon(self._receive_first, first)
        else:
            connections.watch.add(self._fd, self)

    @classmethod
    def of_stream(cls, stream: IOStream, owner: Owner, connections: Connections) -> Connection:
        """Take the socket out of a stream of Tornado's, which is of no use afterwards.

        Raises StreamClosedError where the peer has gone.
        """
        if stream.closed():
            raise StreamClosedError()
        # Public ways only: whatever Tornado has read too far comes out of the first read at once; a
        # read that would have to wait is forgotten together with the stream.
        first = asyncio.ensure_future(stream.read_bytes(64 * 1024, partial=True))
        if first.done() and first.exception() is not None:
            raise StreamClosedError()
        stream.io_loop.remove_handler(stream.socket.fileno())
        return cls(stream.socket, owner, connections, first.result() if first.done() else b"")

    @property
    def peer(self) -> Any:
        """The address of the other side, as the socket tells it; None where it has gone."""
        try:
            return self._sock.getpeername()
        except OSError:
            return None

    def count_bytes(self) -> None:
        """Count what comes and leaves from now on. Nobody but the laboratory asks, and two numbers that change with each message
        are memory that the caches have lost."""
        self._counted = _Counted()

    @property
    def bytes_up(self) -> int:
        """What came since it is counted."""
        return 0 if self._counted is None else self._counted.up

    @property
    def bytes_down(self) -> int:
        """What the kernel took since it is counted."""
        return 0 if self._counted is None else self._counted.down

    @property
    def seat(self) -> Seat | None:
        """Its place among all connections."""
        return seat_of(self._sock)

    def sign_in(self, user_id: str) -> None:
        """Somebody has signed in over this connection, and pays for it."""
        sign_in(self._sock, user_id)

    def release(self) -> socket.socket:
        """Give the socket away. Only where nothing waits (ValueError); the owner hears nothing more."""
        if self._pending is not None or self._owner is None:
            raise ValueError("there is something to send, or nothing to give")
        self._owner = None
        self._closing = True
        self._stop_reading()
        self._connections.clockwork.look_away(self)
        return self._sock

    # Out.

    def cork(self, data: bytes) -> None:
        """Have `data` leave with the next `send`."""
        self._corked += data

    def uncork(self) -> bytes:
        """What is corked, for the owner to write at once."""
        corked, self._corked = self._corked, b""
        return corked

    def send(self, data: bytes) -> None:
        """Send what is corked and `data`, now if the kernel takes it. Never waits, never raises."""
        if self._corked:
            data, self._corked = self._corked + data, b""
        if self._closing or not data:
            return
        if self.waits:
            self.keep(data, 0)
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # Reset, broken pipe, no route: whichever, the peer is gone. Not from inside the caller.
            asyncio.get_running_loop().call_soon(self.abort)
            return
        if self._counted is not None:
            self._counted.down += sent
        if sent != len(data):
            self.keep(data, sent)

    @property
    def pipe(self) -> socket.socket | None:
        """The socket, while nothing has to go first (`Outlet.pipe`)."""
        return None if self.waits or self._closing or self._corked else self._sock

    def keep(self, data: bytes, sent: int) -> None:
        """What did not leave waits for the kernel; a peer that lets too much of it gather is cut off."""
        rest = memoryview(data)[sent:]
        if self._pending is None:
            self._pending = bytearray(rest)
            self.waits = True
            self._progress_s = self._connections.clockwork.clock_s()
            asyncio.get_running_loop().add_writer(self._fd, self._on_writable)
            self._watch()
            if self._owner is not None:
                self._owner.clogged()
        else:
            self._pending += rest
        if len(self._pending) > PENDING_BYTES:
            self._connections.counts["overrun"] += 1
            self._closing = True  # nothing more is kept
            asyncio.get_running_loop().call_soon(self.abort)
        elif len(self._pending) > PAUSE_BYTES:
            self._look_at_reading()

    def _on_writable(self) -> None:
        assert self._pending is not None
        try:
            sent = self._sock.send(self._pending)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        if self._counted is not None:
            self._counted.down += sent
        del self._pending[:sent]
        self._progress_s = self._connections.clockwork.clock_s()
        if self._pending:
            return
        self._pending = None
        self.waits = False
        asyncio.get_running_loop().remove_writer(self._fd)
        self._look_at_reading()
        if self._closing:
            self._shut_down()
        elif self._owner is not None:
            self.guard(self._owner.drained)

    # In.

    def pause(self) -> None:
        """Read no more until `resume`: the peer feels it in its own socket."""
        self._paused = True
        self._look_at_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self._look_at_reading()

    def _look_at_reading(self) -> None:
        waiting = 0 if self._pending is None else len(self._pending)
        wanted = self._owner is not None and not self._paused and waiting <= PAUSE_BYTES
        if wanted and not self._reading:
            self._reading = True
            self._connections.watch.add(self._fd, self)
        elif not wanted:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._connections.watch.drop(self._fd)

    def readable(self) -> None:
        """Bytes have come, or the end."""
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        owner = self._owner
        if not data or owner is None:
            self.abort()
            return
        if self._counted is not None:
            self._counted.up += len(data)
        try:  # as `guard`, a call less for each read
            owner.receive_data(data)
        except Exception as error:
            self._fail(error)

    def _receive_first(self, data: bytes) -> None:
        if self._owner is not None:
            if self._counted is not None:
                self._counted.up += len(data)
            self.guard(self._owner.receive_data, data)
        self._look_at_reading()

    def soon(self, callback: Callable[[], None]) -> None:
        """Call it in the next turn, as `guard` does."""
        asyncio.get_running_loop().call_soon(self.guard, callback)

    def later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call it after so long, as `guard` does."""
        asyncio.get_running_loop().call_later(delay_s, self.guard, callback)

    def guard(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call it. What it raises ends this connection, with one line in the log."""
        try:
            callback(*arguments)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        peer = self.peer
        self._connections.failed(str(peer[0]) if peer else "somebody who has gone", error)
        self.abort()

    # The end.

    def close_soon(self) -> None:
        """Close once what was sent has left and the peer has closed, or after CLOSE_S at the latest."""
        if self._owner is None or self._closing:
            return
        self._closing = True
        if self._pending is None:
            self._shut_down()
        asyncio.get_running_loop().call_later(CLOSE_S, self.abort)

    def abort(self) -> None:
        """Close now; what has not left is lost. Idempotent."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._closing = True
        self._stop_reading()
        if self._pending is not None:
            asyncio.get_running_loop().remove_writer(self._fd)
            self._pending = None
        self._sock.close()
        if self._watched:
            self._connections.clockwork.look_away(self)
        self.guard(owner.connection_lost)

    def _shut_down(self) -> None:
        # Closing a socket with unread bytes sends a reset, which may destroy what the peer has not read yet
        # (RFC 9112, section 9.6): so end our side, and wait for the peer's end.
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            asyncio.get_running_loop().call_soon(self.abort)

    # The clock.

    def _watch(self) -> None:
        """Be visited while something waits."""
        if not self._watched:
            self._watched = True
            self._connections.clockwork.look_after(self, self._connections.stuck_s)

    def visit(self, now_s: float) -> float | None:
        """End a connection whose peer takes nothing."""
        if self._owner is None or self._pending is None:
            self._watched = False
            return None
        left_s = self._progress_s + self._connections.stuck_s - now_s
        if left_s > 0:
            return left_s
        self._watched = False
        self._connections.counts["stuck"] += 1
        self.guard(self._owner.stuck)
        self.abort()
        return None
