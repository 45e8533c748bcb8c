"""WebSocket: `GET /ws`, subprotocol `chat.v1` (RFC 6455).

The handshake is Tornado's. Then the connection leaves it (the seam is `_TakenOver`) and is a `SocketReader`:
ready frames go to the connection as they are, and `core.framing.FrameParser` reads what the client sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from chatserver.core import framing, vocabulary
from chatserver.core.errors import (
    BAD_FRAMES,
    BadRequest,
    ChatError,
    Ending,
    RateLimited,
    Unavailable,
)
from chatserver.core.fields import json_object
from chatserver.core.limits import Limits
from chatserver.core.mailbox import Mailbox
from chatserver.core.prices import Buckets, TokenBucket
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Arrival
from chatserver.journal.contract import Answer, Appended
from chatserver.transports.encoding import Encoding
from chatserver.transports.reader import run_on
from chatserver.transports.stream import StreamReader
from chatserver.verbs.messages import Messages
from chatserver.verbs.reads import Reads

log = logging.getLogger(__name__)

BAD_FRAMES_MAX = 10
"""So many frames that make no sense, over a connection's life, and it is closed with 4500."""

INBOX_FRAMES = 64
"""Frames of one client that may wait their turn, and messages that may wait for the journal; then the
socket is not read until there is room."""

SLICE_BYTES = 512
"""What is parsed at once: at most 85 frames, half a millisecond. Nearly every frame of a chat is shorter."""

FRAME_BYTES = 4096
"""So many bytes are paid for like one frame."""


@dataclass(frozen=True, slots=True)
class SocketVerbs:
    """What a client may do by frames."""

    messages: Messages
    reads: Reads
    frames: Buckets | None
    """What a user's frames are paid from; None where nothing is metered."""


class SocketReader(StreamReader):
    """A WebSocket connection after its handshake."""

    __slots__ = (
        "_bad_frames",
        "_heard_s",
        "_inbox",
        "_owed",
        "_parser",
        "_ping",
        "_pinged_s",
        "_refusals",
        "_rest",
        "_resting",
        "_unacked",
        "_verbs",
        "_working",
    )

    encoding = Encoding(lambda event: framing.ws_text(event.payload), framing.ws_text)
    transport: ClassVar[str] = "websocket"

    def __init__(
        self, delivery: Delivery, verbs: SocketVerbs, arrival: Arrival, mailbox: Mailbox
    ) -> None:
        super().__init__(delivery, arrival, mailbox)
        self._verbs = verbs
        self._parser = framing.FrameParser(delivery.limits.body_bytes)
        self._inbox: deque[dict[str, Any]] | None = None
        self._working = True  # held until the greeting
        self._unacked = 0
        self._bad_frames = 0
        self._heard_s = delivery.clockwork.clock_s()
        self._pinged_s: float | None = None
        self._ping: bytes | None = None  # the newest that is not answered
        self._rest = b""  # read of the socket, and not yet looked at
        self._resting = False  # until the user has paid, or the next turn
        self._owed = 0.0  # for frames that were carried out
        self._refusals: TokenBucket | None = None

    # Out.

    def framed(self, payload: bytes, seq: int | None) -> bytes:
        return framing.ws_text(payload)

    def farewell(self, ending: Ending) -> bytes:
        bye = self.delivery.readers.bye(ending)
        return framing.ws_text(bye.payload) + framing.ws_close(ending.close_code, ending.reason)

    def beat(self, now_s: float) -> float | None:
        limits = self.delivery.limits
        if self._pinged_s is not None:
            # The visit after a ping: anything that came since counts as life. It may be early, where a login
            # was about to expire and was renewed.
            left_s = self._pinged_s + limits.silence_s - now_s
            if left_s > 0 and self._heard_s < self._pinged_s:
                return left_s
            silent = self._heard_s < self._pinged_s
            self._pinged_s = None
            if silent:
                self.outlet.abort()
                return None
            return max(0.0, limits.heartbeat_s - limits.silence_s)
        self._pinged_s = now_s
        ping = self.encoding.of_signal(self.delivery.clockwork.ping)
        self.outlet.send(ping + framing.WS_PING)
        return limits.silence_s

    def drained(self) -> None:
        """The outlet has sent everything, a ping that waited too: silence is counted anew."""
        self._pinged_s = None
        super().drained()

    def _answer(self, payload: bytes) -> None:
        if self.attached:
            self.outlet.send(framing.ws_text(payload))

    # In.

    def receive_data(self, data: bytes) -> None:
        """Bytes from the client."""
        self._heard_s = self.delivery.clockwork.clock_s()
        if not self.attached:
            return  # it was told to go; what it still says does not count
        if self._rest or self._resting:
            self._rest += data
        else:
            self._read_on(data)

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
            piece = data[at : at + SLICE_BYTES]
            at += SLICE_BYTES
            before = self._parser.frames
            self._read_slice(piece)
            frames = self._parser.frames - before
            frames_left -= frames
            cost = frames + len(piece) / FRAME_BYTES
            wait_s = self._pay(min(cost, self.delivery.limits.frame_burst))
        self._pong()
        if wait_s and self.attached:
            self.outlet.pause()
            self._read_rest_in(wait_s)

    def _read_slice(self, data: bytes) -> None:
        try:
            received, broken = self._parser.receive_data(data), None
        except framing.FrameError as error:
            received, broken = error.before, error
        for message in received:
            self._receive(message)
        if broken is not None and self.attached:
            self._close(broken.close_code, broken.reason)

    def _pay(self, cost: float) -> float:
        """Have the user pay for frames that were carried out; seconds until that can be paid."""
        bucket = self._verbs.frames
        if bucket is None:
            return 0.0
        self._owed = 0.0
        wait_s = bucket.take(self.mailbox.user_id, self.delivery.clockwork.clock_s(), cost)
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
        self._heard_s = self.delivery.clockwork.clock_s()  # it is we who do not listen
        wait_s = self._pay(self._owed) if self._owed else 0.0
        if wait_s:
            self._read_rest_in(wait_s)
            return
        rest, self._rest = self._rest, b""
        self._read_on(rest)
        self._resume_reading()

    @property
    def _is_full(self) -> bool:
        return len(self._inbox or ()) + self._unacked >= INBOX_FRAMES

    def _pong(self) -> None:
        """Answer the newest ping that has been read (RFC 6455, section 5.5.3)."""
        data, self._ping = self._ping, None
        if data is not None:
            self.outlet.send(framing.ws_frame(framing.OP_PONG, data))

    def _receive(self, message: framing.Received) -> None:
        if not self.attached:
            return
        if message.opcode == framing.OP_TEXT:
            self._receive_text(message.text)
        elif message.opcode == framing.OP_BINARY:
            self._bad(BadRequest("Frames are text."), None)
        elif message.opcode == framing.OP_PING:
            self._ping = message.data
        elif message.opcode == framing.OP_CLOSE:
            self._close(message.close_code, "")

    def _close(self, code: int | None, reason: str) -> None:
        self._pong()
        self._leave()
        frame = framing.ws_frame(framing.OP_CLOSE, b"") if code is None else None
        self.outlet.send(frame or framing.ws_close(code or 0, reason))
        self.outlet.close_soon()

    def _receive_text(self, text: str) -> None:
        try:
            fields = parse_frame(text)
        except ChatError as error:
            self._bad(error, None)
            return
        if self._working or fields["type"] != "send" or not self._send_now(fields):
            if self._inbox is None:
                self._inbox = deque()
            self._inbox.append(fields)
            self._start_working()
        if self._is_full:
            self.outlet.pause()

    def _send_now(self, fields: dict[str, Any]) -> bool:
        """Place a message without a task, where nothing has to be looked up for it and nothing waits before it."""
        try:
            placed = self._verbs.messages.submit_now(
                self.mailbox.user_id, fields, self._acknowledging(fields)
            )
        except ChatError as error:
            self._answer_error(error, fields)
            return True
        self._unacked += placed
        return placed

    def greeted(self) -> None:
        # The first frame is the hello: what a hasty client sent before it, was kept until now.
        self._working = False
        if self._inbox:
            self._start_working()

    def _start_working(self) -> None:
        if not self._working:
            self._working = True
            run_on(self._work())

    async def _work(self) -> None:
        """Carry out what waits, in order. A message is in its place before the next frame is looked at,
        but its commit is not waited for."""
        carried_out = 0
        try:
            while self._inbox and self.attached:
                fields = self._inbox.popleft()
                try:
                    await self._carry_out(fields)
                except ChatError as error:
                    self._answer_error(error, fields)
                self._resume_reading()
                carried_out += 1
                if carried_out % self.delivery.limits.turn_frames == 0:
                    await asyncio.sleep(0)  # the others have their turn
        finally:
            self._working = False

    async def _carry_out(self, fields: dict[str, Any]) -> None:
        kind = fields["type"]
        if kind == "ping":
            self._answer(vocabulary.PONG)
        elif kind == "send":
            self._unacked += 1
            try:
                await self._verbs.messages.submit(
                    self.mailbox.user_id, fields, self._acknowledging(fields)
                )
            except BaseException:
                self._unacked -= 1
                raise
        elif kind == "typing":
            await self._verbs.messages.typing(self.mailbox.user_id, fields)
        elif kind == "read":
            # What comes behind it does not wait for its second.
            await self._verbs.reads.read(self.mailbox.user_id, fields, patient=False)
        else:
            raise BadRequest("type is send, typing, read or ping.")

    def _acknowledging(self, fields: dict[str, Any]) -> Answer:
        return partial(self._acknowledge, fields.get("clientId"))

    def _acknowledge(self, client_id: Any, answer: Appended | Unavailable) -> None:
        self._unacked -= 1
        self._resume_reading()
        if isinstance(answer, Unavailable):
            self._refuse(answer, client_id)
        elif self.attached:
            ack = vocabulary.ack(client_id, answer.seq, answer.at_ms)
            # In one write with the sender's own event, which comes next; or by the flush, if there is none.
            self.outlet.cork(framing.ws_text(ack))
            if answer.duplicate or not self.has_everything:
                self.delivery.hub.mark(self)

    def _resume_reading(self) -> None:
        if self._resting or len(self._inbox or ()) + self._unacked >= INBOX_FRAMES // 2:
            return
        if self._rest:
            self._read_rest_in(0.0)
        else:
            self.outlet.resume()

    def _answer_error(self, error: ChatError, fields: dict[str, Any]) -> None:
        if error.status in (400, 422):
            self._bad(error, fields.get("clientId"))
        else:
            self._refuse(error, fields.get("clientId"))

    def _refuse(self, error: ChatError, client_id: Any) -> None:
        self._answer(vocabulary.error(error, client_id))
        if isinstance(error, RateLimited):
            now_s = self.delivery.clockwork.clock_s()
            if self._refusals is None:
                self._refusals = TokenBucket(1.0, self.delivery.limits.refusals, now_s)
            if self._refusals.take(now_s):
                self.end(BAD_FRAMES)  # it does not listen

    def _bad(self, error: ChatError, client_id: Any) -> None:
        self._bad_frames += 1
        self._refuse(error, client_id)
        if self._bad_frames >= BAD_FRAMES_MAX:
            self.end(BAD_FRAMES)


def frame_buckets(limits: Limits) -> Buckets | None:
    """What the frames of users are paid from. Whoever may send faster may say more, too."""
    if not limits.meter:
        return None
    rate, burst = 2 * limits.send_rate, 2 * limits.send_burst
    return Buckets(max(limits.frame_rate, rate), max(limits.frame_burst, burst))


def parse_frame(text: str) -> dict[str, Any]:
    """The object in a client's frame, with a string `type`. Raises `BadRequest`."""
    fields = json_object(text, "A frame")
    if not isinstance(fields.get("type"), str):
        raise BadRequest("A frame is a JSON object with a type.")
    return fields
