"""The WebSocket of a Socket.IO link, and what goes over it: the library's packets and ours, a frame each."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from chatserver.core import framing, packets
from chatserver.delivery.delivery import Delivery
from chatserver.transports.connection import Connection
from chatserver.transports.frames import FrameReading
from chatserver.transports.talking import INBOX_FRAMES

if TYPE_CHECKING:
    from chatserver.transports.socketio_link import Link

PROBE_BYTES = b"3probe"


class Batch:
    """Packets that the library hands out as if they were one; its queue holds these and its own."""

    __slots__ = ("data",)

    packet_type = 4
    binary = False

    def __init__(self, data: bytes) -> None:
        self.data = data

    def encode(self, b64: bool = False) -> str:
        """The packets, with the separator between them."""
        return self.data[:-1].decode()


class _Frames:
    """The frames of a batch, made once for all who are handed it."""

    def __init__(self) -> None:
        self._data = b""
        self._framed = b""

    def of(self, data: bytes) -> bytes:
        """A frame for each packet."""
        if data is not self._data:
            self._framed = b"".join(
                [framing.ws_text(packet) for packet in data.split(packets.END) if packet]
            )
            self._data = data
        return self._framed


FRAMES = _Frames()


class Line(FrameReading):
    """A WebSocket under a link: what the library takes for one (`wait`, `send`, `close`), and its connection's owner."""

    __slots__ = (
        *FrameReading.SLOTS,
        "_bound",
        "_inbox",
        "_news",
        "attached",
        "delivery",
        "outlet",
        "since_s",
        "link",
    )

    link: Link
    outlet: Connection

    def __init__(self, delivery: Delivery) -> None:
        """`outlet` is set right after, `link` by `belong_to`."""
        self._bound = False
        self.since_s = delivery.clockwork.clock_s()
        self.delivery = delivery
        self.attached = True
        self._inbox: deque[str] = deque()
        self._news: asyncio.Future[None] | None = None
        self._begin_reading(delivery.limits.body_bytes)

    def sign_in(self, user_id: str) -> None:
        """Somebody has signed in over this connection, and pays for it."""
        self.outlet.sign_in(user_id)

    def belong_to(self, link: Link) -> None:
        """It is under this link, and read from now on."""
        self.link = link
        self._bound = True
        link.line = self
        if link.reader is not None:
            self.sign_in(link.reader.mailbox.user_id)
        if self._rest:
            self._read_rest_in(0.0)
        self.outlet.resume()

    # For the library.

    async def wait(self) -> str:
        """The next packet for it. Raises OSError when there will be none."""
        while not self._inbox:
            if not self.attached:
                raise OSError("the connection is gone")
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        packet = self._inbox.popleft()
        self.resume_reading()
        return packet

    async def send(self, packet: str) -> None:
        """Send what the library took out of its queue. Raises OSError where the connection is gone."""
        if not self.attached:
            raise OSError("the connection is gone")
        data = packet.encode()
        self.outlet.send(FRAMES.of(data + packets.END))
        if data != PROBE_BYTES:  # the one packet that it does not queue
            self.link.queue.left()

    async def close(self) -> None:
        """The library has nothing more to say."""
        self.end()

    # Its connection's owner.

    def end(self) -> None:
        """Close, once what was sent has left."""
        if self.attached:
            self._part(framing.ws_close(1000))

    def _part(self, words: bytes) -> None:
        self.attached = False
        self.outlet.send(words)
        self.outlet.close_soon()
        self._wake()

    def resume_reading(self) -> None:
        """Read on, where there is room again."""
        if self.attached and not self._is_full:
            self._resume_frames()

    def receive_data(self, data: bytes) -> None:
        """Bytes from the client; a hasty one's wait until the library has made its link."""
        if self._bound:
            super().receive_data(data)
        else:
            self._rest += data
            self.outlet.pause()

    @property
    def _is_full(self) -> bool:
        return self.link.is_paused or len(self._inbox) >= INBOX_FRAMES

    def _take_price(self, cost: float) -> float:
        bucket = self.delivery.connections.frames
        if bucket is None:
            return 0.0
        return bucket.take(self.link.payer, self.delivery.clockwork.clock_s(), cost)

    def _receive_binary(self) -> None:
        self._close(framing.PROTOCOL_ERROR, "packets are text")

    def _receive_text(self, text: str) -> None:
        packet = self.link.receive(text, not self.link.engine.upgraded)
        if packet is not None:
            self._inbox.append(packet)
            self._wake()

    def _close(self, code: int | None, reason: str) -> None:
        self._pong()
        frame = framing.ws_frame(framing.OP_CLOSE, b"") if code is None else None
        self._part(frame or framing.ws_close(code or 0, reason))

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def clogged(self) -> None:
        """Whoever asks the link whether something waits is told."""

    def drained(self) -> None:
        """The kernel has taken everything."""
        if self._bound:
            self.link.drained()

    def stuck(self) -> None:
        """The peer takes nothing."""
        if self._bound and self.link.reader is not None:
            self.link.reader.stuck()

    def connection_lost(self) -> None:
        """The connection is gone, and the link with it; not where it only asked for the upgrade."""
        self.attached = False
        self._wake()
        if not self._bound:
            return
        link = self.link
        if link.line is self and link.engine.upgraded:
            link.abort()
        elif link.line is self:
            link.line = None
