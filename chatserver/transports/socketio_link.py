"""One Socket.IO link, which its protocol calls a session: while the client polls, an outlet that is the library's queue; after
that a WebSocket of ours.

The library keeps one queue a client, without a bound. So it is watched here: what was put into it and has not left
makes the outlet wait, and a reader gives no more to an outlet that waits. A stuck client holds one batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from tornado.httputil import HTTPHeaders

from chatserver.core import packets
from chatserver.delivery.delivery import Delivery
from chatserver.transports.connection import CLOSE_S, PENDING_BYTES
from chatserver.transports.socketio_line import FRAMES, Batch, Line
from chatserver.transports.socketio_reader import SocketIoReader
from chatserver.transports.talking import SocketVerbs

LOOK_S = 5.0
"""How often a link is looked at."""


class Engine(Protocol):
    """The library's side of a link (Engine.IO's `AsyncSocket`)."""

    upgraded: bool
    upgrading: bool
    closed: bool
    last_ping: float | None
    """When a ping was sent that is not answered (time.time); None while none is out."""


class WatchedQueue(asyncio.Queue[Any]):
    """The library's queue of one link, which says what goes in and out. None is the library's way to wake itself."""

    link: Link | None = None
    unsent = 0
    """Packets that are in here, or on their way from here to the WebSocket."""

    def _put(self, item: Any) -> None:
        super()._put(item)
        if item is not None:
            self.unsent += 1

    def _get(self) -> Any:
        item = super()._get()
        if item is not None and (self.link is None or not self.link.engine.upgraded):
            self.left()  # into the answer to a poll
        return item

    def left(self) -> None:
        """One packet has left."""
        self.unsent -= 1
        if self.link is not None:
            self.link.packet_left()


class Link:
    """From the handshake to the end; an `Outlet` for its reader."""

    __slots__ = (
        "_bytes_down",
        "_bytes_up",
        "_closing",
        "_corked",
        "_delivery",
        "_held_bytes",
        "_on_end",
        "_progress_s",
        "_read_again",
        "client",
        "connects",
        "ended",
        "engine",
        "headers",
        "line",
        "payer_address",
        "polling",
        "posting",
        "queue",
        "query",
        "reader",
        "sid",
        "since_s",
        "verbs",
    )

    def __init__(
        self,
        delivery: Delivery,
        verbs: SocketVerbs,
        engine: Engine,
        queue: WatchedQueue,
        on_end: Callable[[Link], None],
    ) -> None:
        self._delivery = delivery
        self._on_end = on_end
        self.verbs = verbs
        self.engine = engine
        self.queue = queue
        self.reader: SocketIoReader | None = None
        self.line: Line | None = None
        """The WebSocket; before the upgrade is done, the one that asks for it."""
        self.sid = ""
        self.client = ""
        """The library's name for the client on it."""
        self.payer_address: str | None = None
        """Whose links this one counts to until somebody signs in; None: to nobody's."""
        self.headers = HTTPHeaders()
        """Of the handshake, as far as they say who asks."""
        self.query: dict[str, str] = {}
        self.connects = 0
        """How often the client has asked to be let in."""
        self.since_s = delivery.clockwork.clock_s()
        """Since when nobody is signed in here."""
        self.polling = False
        self.posting = False
        self.ended = False
        self._closing = False
        self._corked = b""
        self._held_bytes = 0
        self._progress_s = 0.0
        self._read_again: asyncio.Future[None] | None = None
        self._bytes_up = 0
        self._bytes_down = 0
        queue.link = self
        delivery.clockwork.look_after(self, delivery.limits.head_s)

    # The outlet.

    @property
    def waits(self) -> bool:
        """Whether something has not left yet."""
        return self.queue.unsent > 0 or (self.line is not None and self.line.outlet.waits)

    @property
    def bytes_up(self) -> int:
        """What came by polls and by the WebSocket."""
        return self._bytes_up + (0 if self.line is None else self.line.outlet.bytes_up)

    @property
    def bytes_down(self) -> int:
        """What left by polls and by the WebSocket."""
        return self._bytes_down + (0 if self.line is None else self.line.outlet.bytes_down)

    def count_bytes(self) -> None:
        """It always does."""

    def count(self, up: int, down: int) -> None:
        """A poll came, and was answered."""
        self._bytes_up += up
        self._bytes_down += down

    pipe = None
    """What goes to a client goes in order with what the library has to say."""

    def keep(self, data: bytes, sent: int) -> None:
        """It gives no pipe away."""
        raise RuntimeError("a link has no pipe")

    def cork(self, data: bytes) -> None:
        """Have `data` leave with the next `send`."""
        self._corked += data

    def uncork(self) -> bytes:
        """What is corked, for the owner to write at once."""
        corked, self._corked = self._corked, b""
        return corked

    def send(self, data: bytes) -> None:
        """Send packets, each with its end."""
        if self._corked:
            data, self._corked = self._corked + data, b""
        if self._closing or self.ended or not data:
            return
        if self.line is not None and self.engine.upgraded and not self.queue.unsent:
            self.line.outlet.send(FRAMES.of(data))
        else:
            self._put(data)

    def _put(self, data: bytes) -> None:
        if not self.queue.unsent:
            self._progress_s = self._delivery.clockwork.clock_s()
        self._held_bytes += len(data)
        if self._held_bytes > PENDING_BYTES:
            self._delivery.connections.counts["overrun"] += 1
            self._closing = True  # nothing more is kept
            asyncio.get_running_loop().call_soon(self.abort)
            return
        self.queue.put_nowait(Batch(data))

    def packet_left(self) -> None:
        """The library has taken a packet out of its queue, and it is on its way."""
        self._progress_s = self._delivery.clockwork.clock_s()
        if not self.queue.unsent:
            self._held_bytes = 0
            asyncio.get_running_loop().call_soon(self.drained)

    def drained(self) -> None:
        """Everything has left, as far as that is so: the reader goes on."""
        if self.ended or self.waits:
            return
        if self._closing:
            self._finish()
        elif self.reader is not None:
            self.reader.drained()

    def pause(self) -> None:
        """Take nothing more from the client until `resume`."""
        if self._read_again is None:
            self._read_again = asyncio.get_running_loop().create_future()
        if self.line is not None:
            self.line.outlet.pause()

    def resume(self) -> None:
        """Go on."""
        waiting, self._read_again = self._read_again, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if self.line is not None:
            self.line.resume_reading()

    async def until_read_again(self) -> None:
        """Return when the client may say more: the answer to what it posted waits for that."""
        while self._read_again is not None and not self.ended:
            await asyncio.shield(self._read_again)

    @property
    def is_paused(self) -> bool:
        """Whether nothing more is taken from the client."""
        return self._read_again is not None

    def close_soon(self) -> None:
        """End once what was sent has left, or a little later."""
        if self._closing or self.ended:
            return
        # A poll that waits takes what was sent, and the next one finds no link. The library's own packet for the
        # end must not come in the same answer: its clients throw away what stands before it.
        self._closing = True
        asyncio.get_running_loop().call_later(CLOSE_S, self.abort)
        if not self.waits:
            self._finish()

    def _finish(self) -> None:
        if self.line is not None and self.engine.upgraded:
            self.line.end()
        else:
            self.abort()

    def abort(self) -> None:
        """End now. Idempotent."""
        if self.ended:
            return
        self.ended = True
        self.resume()
        self._delivery.clockwork.look_away(self)
        self.signed_out()
        if self.line is not None:
            self.line.outlet.abort()
        self._on_end(self)

    # Who is on the other side.

    @property
    def payer(self) -> str:
        """Whose bucket pays for what comes: the user's, or the address's before."""
        reader = self.reader
        return f"@{self.payer_address or ''}" if reader is None else reader.mailbox.user_id

    def signed_in(self, reader: SocketIoReader) -> None:
        """A reader reads here from now on."""
        self.reader = reader
        if self.line is not None:
            self.line.sign_in(reader.mailbox.user_id)

    def signed_out(self) -> None:
        """Its reader is gone, or never was."""
        reader, self.reader = self.reader, None
        self.since_s = self._delivery.clockwork.clock_s()
        if reader is not None:
            reader.connection_lost()

    # In.

    def receive(self, packet: str, upgrades: bool) -> str | None:
        """Look at one packet of the client's; give it back where it is for the library.

        What nobody can answer, because nobody has signed in, ends the link.
        """
        if packets.is_control(packet, upgrades):
            return packet
        if self.reader is None:
            self.abort()
        else:
            self.reader.receive_event(packet)
        return None

    # The clock.

    def visit(self, now_s: float) -> float | None:
        """End a link on which nobody signs in, whose client takes nothing, or does not answer a ping."""
        limits = self._delivery.limits
        if self.ended:
            return None
        if self.reader is None and now_s >= self.since_s + limits.head_s:
            self._delivery.connections.counts["no head"] += 1
            self.abort()
            return None
        line = self.line
        if line is not None and not self.engine.upgraded and now_s >= line.since_s + limits.head_s:
            line.outlet.abort()  # it asked for the upgrade, and does not go on
        if self.queue.unsent and now_s >= self._progress_s + limits.stuck_s:
            self._delivery.connections.counts["stuck"] += 1
            if self.reader is not None:
                self.reader.stuck()
            self.abort()
            return None
        pinged_at_s = self.engine.last_ping
        if self.reader is not None and pinged_at_s and time.time() - pinged_at_s > limits.silence_s:
            self.abort()
            return None
        return min(LOOK_S, limits.head_s, limits.stuck_s)
