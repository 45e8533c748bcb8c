"""How bytes look on the wire: WebSocket frames (RFC 6455) and SSE blocks (HTML, section 9.2).

Pure: bytes in, messages out; no socket is touched here. `FrameParser` is the server's side of
RFC 6455, sections 5 and 7: it is fed whatever the socket gave and returns what it means.
"""

from __future__ import annotations

import codecs
import struct
from dataclasses import dataclass
from typing import NoReturn

OP_CONTINUATION = 0x0
OP_TEXT = 0x1
OP_BINARY = 0x2
OP_CLOSE = 0x8
OP_PING = 0x9
OP_PONG = 0xA

_FIN = 0x80
_RSV = 0x70
_MASKED = 0x80
MAX_CONTROL_BYTES = 125
"""RFC 6455, section 5.5."""

PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007
TOO_BIG = 1009


def ws_frame(opcode: int, payload: bytes) -> bytes:
    """One final, unmasked frame, as a server sends it (RFC 6455, section 5.2)."""
    size = len(payload)
    if size <= MAX_CONTROL_BYTES:
        return bytes((_FIN | opcode, size)) + payload
    if size <= 0xFFFF:
        return struct.pack("!BBH", _FIN | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, 127, size) + payload


def ws_text(payload: bytes) -> bytes:
    """`payload`, which is UTF-8, as one text frame."""
    size = len(payload)
    # Nearly every acknowledgement and event is so short.
    return _TEXT_HEADS[size] + payload if size < HEADS_MADE else ws_frame(OP_TEXT, payload)


_WHOLE_TEXT = _FIN | OP_TEXT
HEADS_MADE = 512
"""Heads of text frames that are made once: 20 KB of memory."""
_TEXT_HEADS = [ws_frame(OP_TEXT, bytes(size))[: -size or None] for size in range(HEADS_MADE)]


def ws_close(code: int, reason: str = "") -> bytes:
    """A close frame; a reason that would not fit is cut at a character (RFC 6455, section 5.5.1)."""
    room = MAX_CONTROL_BYTES - 2
    text = reason.encode("utf-8")[:room].decode("utf-8", "ignore").encode("utf-8")
    return ws_frame(OP_CLOSE, struct.pack("!H", code) + text)


WS_PING = ws_frame(OP_PING, b"")


def sse_block(payload: bytes, seq: int | None) -> bytes:
    """One event of a stream; without `seq` it leaves the reader's last event id alone.

    `payload` is one line: JSON escapes the line ends that a user typed.
    """
    if seq is None:
        return b"data: %b\n\n" % payload
    return b"id: %d\ndata: %b\n\n" % (seq, payload)


class FrameError(Exception):
    """The peer broke the protocol; the connection is closed with `close_code` (RFC 6455, section 7.1.7).

    `before` holds what the same bytes amounted to before the fault. It counts: a message means the same, however
    the network cut the bytes.
    """

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason
        self.before: list[Received] = []


@dataclass(slots=True)
class Received:
    """A whole message or control frame. `text` is set for text; `data` for everything else.

    For `OP_CLOSE`, `close_code` is the peer's code, or None where it gave none.
    """

    opcode: int
    text: str = ""
    data: bytes = b""
    close_code: int | None = None


def valid_close_code(code: int) -> bool:
    """Whether a peer may send this code in a close frame (RFC 6455, section 7.4, and the IANA registry)."""
    return code in _REGISTERED_CODES or 3000 <= code <= 4999


_REGISTERED_CODES = frozenset(
    {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
)


def unmask(data: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Apply the four-byte mask of RFC 6455, section 5.3 (its own inverse)."""
    size = len(data)
    # One XOR of two big integers: many times faster in Python than a loop over the bytes.
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


_HEAD = struct.Struct("!BBH4s")
"""A frame's first bytes where its length takes two of them."""


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")()


class FrameParser:
    """Turns a client's bytes into messages; keeps what is not yet whole, bounded by `max_bytes`.

    After a FrameError or a close frame it takes no more: what stands behind a close frame is thrown away (RFC 6455,
    section 5.5.1). What it says of some bytes does not depend on the pieces in which they came, and each byte costs
    the same, however small the pieces are.
    """

    __slots__ = (
        "_ahead",
        "_buffer",
        "_checked",
        "_decoder",
        "_ended",
        "_first",
        "_fragments",
        "_max_bytes",
        "_opcode",
        "_size",
        "_wanted",
        "frames",
    )

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.frames = 0
        """Frames read so far, control frames and fragments too: what the work is counted by."""
        self._buffer: bytearray | None = None  # a frame that is not whole, never empty
        self._wanted: tuple[int, int, int] | None = None  # its header, once that is whole
        self._ahead: codecs.IncrementalDecoder | None = None  # reads its text before it is whole
        self._checked = 0  # so many bytes of it
        self._opcode: int | None = None  # of the message whose fragments are being gathered
        self._first = 0  # the number of its first frame
        self._fragments: list[str] | list[bytes] | None = None
        self._size = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False

    @property
    def unfinished(self) -> int | None:
        """Names the message or frame whose end has not come, the same until it has come; None where there is none.

        A message in fragments is one, whatever control frames come between.
        """
        if self._opcode is not None:
            return self._first
        return None if self._buffer is None else self.frames + 1

    @staticmethod
    def unmasked(mask: bytes, data: bytes) -> bytes:
        """As `unmask`; whoever has something quicker puts it here."""
        return unmask(data, mask)

    def whole_texts(self, data: bytes, at: int, about_bytes: int) -> tuple[list[str], int]:
        """The texts of the whole frames that stand in `data` from `at`, until `about_bytes` are read, and where they end.

        They are nearly all that ever comes. Whatever stands there, none where something is left from before: it
        is for `receive_data`, as is what follows them, and what is wrong.
        """
        texts: list[str] = []
        if self._buffer is not None or self._opcode is not None or self._ended:
            return texts, at
        there = len(data)
        last = there - _HEAD.size + 1
        if last > at + about_bytes:  # not by `min`, which takes as long as the rest of this
            last = at + about_bytes
        while at < last:
            first, second, size, mask = _HEAD.unpack_from(data, at)
            start = at + _HEAD.size
            if second != _MASKED | 126:
                size, start = second - _MASKED, at + 6
                mask = data[at + 2 : start]
            elif size <= MAX_CONTROL_BYTES:
                break  # a length has as few bytes as it can
            end = start + size
            if first != _WHOLE_TEXT or not 0 < size <= self._max_bytes or end > there:
                break
            if second == _MASKED | 127:
                break
            try:
                texts.append(self.unmasked(mask, data[start:end]).decode())
            except UnicodeDecodeError:
                break
            at = end
        self.frames += len(texts)
        return texts, at

    def receive_data(self, data: bytes) -> list[Received]:
        """What `data`, and what was left from before, amounts to.

        Raises FrameError when the peer broke a rule; what was whole before that is its `before`.
        """
        received: list[Received] = []
        if self._ended:
            return received
        try:
            self._read(data, received)
        except FrameError as error:
            self._end()
            error.before = received
            raise
        return received

    def _read(self, data: bytes, received: list[Received]) -> None:
        """Append every message that is whole now; keep the rest."""
        buffer: bytes | bytearray = data
        if self._buffer is not None:
            self._buffer += data
            buffer = self._buffer
        at = 0
        while True:
            header = self._wanted or self._header(buffer, at)
            if header is None:
                break
            first, start, size = header
            end = at + start + size
            if len(buffer) < end:
                self._wanted = header
                self._look_ahead(first & 0x0F, buffer, at + start)
                break
            start += at
            self._wanted = self._ahead = None
            payload = unmask(buffer[start:end], buffer[start - 4 : start]) if size else b""
            at = end
            self.frames += 1
            message = self._frame(first & 0x0F, bool(first & _FIN), payload)
            if message is not None:
                received.append(message)
                if message.opcode == OP_CLOSE:
                    self._end()
                    return
        self._keep(buffer, at)

    def _keep(self, buffer: bytes | bytearray, at: int) -> None:
        if at == len(buffer):
            self._buffer = None
        elif self._buffer is None:
            self._buffer = bytearray(memoryview(buffer)[at:])
        elif at:
            del self._buffer[:at]

    def _header(self, buffer: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        """(first byte, bytes before the payload, its size) or None while the header is not whole."""
        if len(buffer) - at < 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        size, start = second & 0x7F, 2
        self._check_header(first, second)
        if size == 126:
            start += 2
            if len(buffer) < at + start:
                return None
            (size,) = struct.unpack_from("!H", buffer, at + 2)
            if size < 126:
                self._fail(PROTOCOL_ERROR, "a length has as few bytes as it can")
        elif size == 127:
            start += 8
            if len(buffer) < at + start:
                return None
            (size,) = struct.unpack_from("!Q", buffer, at + 2)
            if size < 1 << 16 or size >= 1 << 63:
                self._fail(PROTOCOL_ERROR, "a length has as few bytes as it can")
        if not first & 0x8 and self._size + size > self._max_bytes:
            # Told from the header alone, before the bytes are let in.
            self._fail(TOO_BIG, f"messages hold {self._max_bytes} bytes at most")
        start += 4
        return (first, start, size) if len(buffer) >= at + start else None

    def _check_header(self, first: int, second: int) -> None:
        """What can be refused for a frame's first two bytes (RFC 6455, sections 5.2, 5.4 and 5.5)."""
        opcode = first & 0x0F
        if first & _RSV:
            self._fail(PROTOCOL_ERROR, "reserved bits set")
        if not second & _MASKED:
            self._fail(PROTOCOL_ERROR, "client frames must be masked")
        if opcode & 0x8:
            if opcode > OP_PONG:
                self._fail(PROTOCOL_ERROR, "unknown opcode")
            if second & 0x7F > MAX_CONTROL_BYTES or not first & _FIN:
                self._fail(PROTOCOL_ERROR, "control frames are short and whole")
        elif opcode > OP_BINARY:
            self._fail(PROTOCOL_ERROR, "unknown opcode")
        elif opcode == OP_CONTINUATION:
            if self._opcode is None:
                self._fail(PROTOCOL_ERROR, "nothing to continue")
        elif self._opcode is not None:
            self._fail(PROTOCOL_ERROR, "the message before is not finished")

    def _look_ahead(self, opcode: int, buffer: bytes | bytearray, start: int) -> None:
        """Refuse text that is no UTF-8 as soon as that can be told, not only when its frame is whole."""
        if opcode != OP_TEXT and (opcode != OP_CONTINUATION or self._opcode != OP_TEXT):
            return
        if self._ahead is None:
            self._ahead, self._checked = _new_decoder(), 0
            if self._decoder is not None:
                self._ahead.setstate(self._decoder.getstate())
        mask, turn = bytes(buffer[start - 4 : start]), self._checked % 4
        piece = unmask(buffer[start + self._checked :], mask[turn:] + mask[:turn])
        self._checked += len(piece)
        try:
            self._ahead.decode(piece)
        except UnicodeDecodeError:
            self._fail(NOT_UTF8, "text is UTF-8")

    def _frame(self, opcode: int, final: bool, payload: bytes) -> Received | None:
        if opcode & 0x8:
            return self._control(opcode, payload)
        if opcode != OP_CONTINUATION:
            if final:
                return self._whole(opcode, payload)
            self._begin(opcode)
        return self._gather(final, payload)

    def _whole(self, opcode: int, payload: bytes) -> Received:
        if opcode == OP_BINARY:
            return Received(OP_BINARY, data=payload)
        try:
            return Received(OP_TEXT, text=payload.decode("utf-8"))
        except UnicodeDecodeError:
            self._fail(NOT_UTF8, "text is UTF-8")

    def _begin(self, opcode: int) -> None:
        self._opcode = opcode
        self._first = self.frames
        self._fragments = []
        self._decoder = _new_decoder() if opcode == OP_TEXT else None

    def _gather(self, final: bool, payload: bytes) -> Received | None:
        assert self._fragments is not None
        self._size += len(payload)
        if len(self._fragments) >= self._max_bytes // 16:
            # Empty and tiny fragments add nothing to the size and would be kept without bound.
            self._fail(TOO_BIG, "too many fragments")
        if self._decoder is None:
            self._fragments.append(payload)  # type: ignore[arg-type]
        else:
            try:
                self._fragments.append(self._decoder.decode(payload, final))  # type: ignore[arg-type]
            except UnicodeDecodeError:
                self._fail(NOT_UTF8, "text is UTF-8")
        if not final:
            return None
        fragments, opcode = self._fragments, self._opcode
        self._opcode = self._fragments = self._decoder = None
        self._size = 0
        if opcode == OP_BINARY:
            return Received(OP_BINARY, data=b"".join(fragments))  # type: ignore[arg-type]
        return Received(OP_TEXT, text="".join(fragments))  # type: ignore[arg-type]

    def _control(self, opcode: int, payload: bytes) -> Received:
        if opcode != OP_CLOSE or not payload:
            return Received(opcode, data=payload)
        if len(payload) == 1:
            self._fail(PROTOCOL_ERROR, "half a close code")
        (code,) = struct.unpack_from("!H", payload)
        if not valid_close_code(code):
            self._fail(PROTOCOL_ERROR, "no such close code")
        try:
            payload[2:].decode("utf-8")
        except UnicodeDecodeError:
            self._fail(NOT_UTF8, "a close reason is UTF-8")
        return Received(OP_CLOSE, data=payload, close_code=code)

    def _fail(self, close_code: int, reason: str) -> NoReturn:
        raise FrameError(close_code, reason)

    def _end(self) -> None:
        """Take no more, and keep nothing."""
        self._ended = True
        self._buffer = self._wanted = self._ahead = self._fragments = self._decoder = None
