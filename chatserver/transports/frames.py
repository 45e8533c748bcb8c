"""Reading the frames of a WebSocket at the pace that its peer can pay for and the others can bear.

What came is parsed in slices. After a turn's frames, or until they are paid for, or while the owner is full, the rest
waits and the socket is not read: the peer feels it, and nobody else.
"""

from __future__ import annotations

import asyncio
import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from chatserver.core import framing
from chatserver.core.limits import Limits
from chatserver.delivery.delivery import Delivery
from chatserver.transports.outlet import Outlet

SLICE_BYTES = 512
"""What is parsed at once: at most 85 frames, half a millisecond. Nearly every frame of a chat is shorter."""

FRAME_BYTES = 4096
"""So many bytes are paid for like one frame."""


try:
    # In C: a tenth of the time for a line of text, a hundredth for a long one.
    from tornado.speedups import websocket_mask as _unmasked
except ImportError:  # Tornado runs without it, and so do we
    _unmasked = framing.FrameParser.unmasked


class QuickParser(framing.FrameParser):
    """With a short way for one whole text that comes alone, which is nearly all that ever comes."""

    __slots__ = ()

    unmasked = staticmethod(_unmasked)

    def whole_text(self, data: bytes) -> str | None:
        """The text, where `data` is one whole frame, nothing else, and nothing is left from before. None says nothing: then
        it is for `whole_texts` and `receive_data`."""
        there = len(data)
        if there > _SHORT_MOST:
            head, size, mask = _LONG.unpack_from(data)
            text = data[_LONG.size :]
            # A length has as few bytes as it can.
            if head != _LONG_TEXT or size != len(text) or size <= framing.MAX_CONTROL_BYTES:
                return None
        elif there > _SHORT.size:
            head, mask = _SHORT.unpack_from(data)
            text = data[_SHORT.size :]
            if head != _SHORT_TEXT + len(text):
                return None
        else:
            return None
        if len(text) > self._max_bytes or self._ended:
            return None
        if self._buffer is not None or self._opcode is not None:
            return None
        try:
            whole = self.unmasked(mask, text).decode()
        except UnicodeDecodeError:
            return None
        self.frames += 1
        return whole


_SHORT, _LONG = struct.Struct("!H4s"), struct.Struct("!HH4s")
"""A masked frame's head: its first two bytes, a length that does not fit into them, and the mask (RFC 6455, section 5.2)."""
_SHORT_MOST = _SHORT.size + framing.MAX_CONTROL_BYTES
_SHORT_TEXT = 0x8180
_LONG_TEXT = _SHORT_TEXT | 126
"""A final text frame, masked; in a short one the length stands there, too."""


class FrameReading(ABC):
    """The reading half of a connection's owner, which has the rest and these `SLOTS`."""

    if not TYPE_CHECKING:  # which would hold the subclass to the slots of this one
        __slots__ = ()

    SLOTS = ("_begun", "_owed", "_parser", "_ping", "_rest", "_resting", "_silent")

    attached: bool
    """Whether what the peer says still counts."""
    delivery: Delivery
    outlet: Outlet
    _parser: QuickParser
    _ping: bytes | None
    _rest: bytes
    _resting: bool
    _silent: bool
    _owed: float
    _begun: tuple[int, float] | None

    def _begin_reading(self, max_bytes: int) -> None:
        self._parser = QuickParser(max_bytes)
        self._ping = None  # the newest that is not answered
        self._rest = b""  # read of the socket, and not yet looked at
        self._resting = False  # until the user has paid, or the next turn
        self._silent = False  # whether nothing has come since the owner set it, though we listened
        self._owed = 0.0  # for frames that were carried out
        self._begun = None  # which message or frame was seen to have no end yet, and when first

    # What the owner says.

    @property
    @abstractmethod
    def _is_full(self) -> bool:
        """Whether frames are to be received only later."""

    @abstractmethod
    def _take_price(self, cost: float) -> float:
        """Have whoever pays pay so much; seconds until that can be paid."""

    @abstractmethod
    def _receive_text(self, text: str) -> None:
        """One message."""

    @abstractmethod
    def _receive_binary(self) -> None:
        """One message, of a kind that nobody sends here."""

    @abstractmethod
    def _close(self, code: int | None, reason: str) -> None:
        """The peer closes (None: without a code), or broke the protocol."""

    # In.

    def receive_data(self, data: bytes) -> None:
        """Bytes from the client."""
        self._silent = False
        if not self.attached:
            return  # it was told to go; what it still says does not count
        if self._rest or self._resting:
            self._rest += data
            return
        text = None if self._is_full else self._parser.whole_text(data)
        if text is None:
            self._read_on(data)
            return
        # As `_read_on` does with a single frame.
        self._receive_text(text)
        wait_s = self._pay(frame_cost(1, len(data), self.delivery.limits))
        if wait_s and self.attached:
            self._rest_for(wait_s)

    def _read_on(self, data: bytes) -> None:
        """Read `data` in slices, until this turn's frames are used up, or the user has to pay first, or the inbox is
        full. The rest waits, and the socket is not read meanwhile: the others do not wait for it."""
        frames_left, wait_s, at = self.delivery.limits.turn_frames, 0.0, 0
        while at < len(data) and self.attached:
            if wait_s or frames_left <= 0 or self._is_full:
                self._rest = data[at:]
                self.outlet.pause()
                if wait_s:
                    self._pong()  # whoever waits for it should not have to wait as long
                if not self._is_full:
                    self._read_rest_in(wait_s)
                return
            began, before = at, self._parser.frames
            texts, at = self._parser.whole_texts(data, began, SLICE_BYTES)
            for text in texts:
                if self.attached:
                    self._receive_text(text)
            if not texts:
                at = min(began + SLICE_BYTES, len(data))
                self._read_slice(data[began:at])
            frames = self._parser.frames - before
            frames_left -= frames
            wait_s = self._pay(frame_cost(frames, at - began, self.delivery.limits))
        if self._ping is not None:
            self._pong()
        if wait_s and self.attached:
            self._rest_for(wait_s)

    def _rest_for(self, wait_s: float) -> None:
        """Read nothing more until that much can be paid."""
        self.outlet.pause()
        self._read_rest_in(wait_s)

    def _read_slice(self, data: bytes) -> None:
        try:
            received, broken = self._parser.receive_data(data), None
        except framing.FrameError as error:
            received, broken = error.before, error
        for message in received:
            if not self.attached:
                return
            if message.opcode == framing.OP_PING:
                self._ping = message.data
            elif message.opcode == framing.OP_CLOSE:
                self._close(message.close_code, "")
            elif message.opcode == framing.OP_TEXT:
                self._receive_text(message.text)
            elif message.opcode == framing.OP_BINARY:
                self._receive_binary()
        if broken is not None and self.attached:
            self._close(broken.close_code, broken.reason)

    def _pay(self, cost: float) -> float:
        """Have the user pay for frames that were carried out; seconds until that can be paid."""
        wait_s = self._take_price(cost)
        if wait_s:
            self.delivery.connections.paused += 1
            self._owed = cost
        return wait_s

    def _read_rest_in(self, wait_s: float) -> None:
        if not self._resting:
            self._resting = True
            loop = asyncio.get_running_loop()
            if wait_s:
                loop.call_later(wait_s, self._read_rest)
            else:
                loop.call_soon(self._read_rest)

    def _read_rest(self) -> None:
        self._resting = False
        if not self.attached:
            return
        self._silent = False  # it is we who do not listen
        wait_s = self._pay(self._owed) if self._owed else 0.0
        if wait_s:
            self._read_rest_in(wait_s)
            return
        self._owed = 0.0
        rest, self._rest = self._rest, b""
        self._read_on(rest)
        self._resume_frames()

    def _finish_in_s(self, now_s: float) -> float:
        """How long the peer may still take for what it has begun to say; nothing left: it is dripping, and that is no life.

        To be asked again and again, as the clock comes round: it counts from the first look at which it was not finished.
        """
        which, may_take_s = self._parser.unfinished, self.delivery.limits.body_s
        if which is None or self._rest or self._resting or self._is_full:
            self._begun = None  # where it is we who do not listen, that is not the peer's time
            return may_take_s
        if self._begun is None or self._begun[0] != which:
            self._begun = (which, now_s)
        return self._begun[1] + may_take_s - now_s

    def _resume_frames(self) -> None:
        """Read on, where nothing but the owner's fullness kept us from it."""
        if self._resting:
            return
        if self._rest:
            self._read_rest_in(0.0)
        else:
            self.outlet.resume()

    def _pong(self) -> None:
        """Answer the newest ping that has been read (RFC 6455, section 5.5.3)."""
        data, self._ping = self._ping, None
        if data is not None:
            self.outlet.send(framing.ws_frame(framing.OP_PONG, data))


def frame_cost(frames: int, size_bytes: int, limits: Limits) -> float:
    """What so many frames with so many bytes cost; never more than can be paid at once."""
    cost = frames + size_bytes / FRAME_BYTES
    return cost if cost < limits.frame_burst else limits.frame_burst
