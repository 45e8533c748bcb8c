"""WebSocket: `GET /ws`, subprotocol `chat.v1` (RFC 6455).

The handshake is Tornado's. Then the connection leaves it (the seam is `_TakenOver`) and is a `SocketReader`:
ready frames go to the connection as they are, and `core.framing.FrameParser` reads what the client sends.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from chatserver.core import framing, vocabulary
from chatserver.core.errors import BAD_FRAMES, BadRequest, ChatError, Ending, Unavailable
from chatserver.core.fields import json_object
from chatserver.core.mailbox import Mailbox
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


@dataclass(frozen=True, slots=True)
class SocketVerbs:
    """What a client may do by frames."""

    messages: Messages
    reads: Reads


class SocketReader(StreamReader):
    """A WebSocket connection after its handshake."""

    __slots__ = (
        "_bad_frames",
        "_heard_s",
        "_inbox",
        "_parser",
        "_pinged_s",
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
        try:
            for message in self._parser.receive_data(data):
                self._receive(message)
        except framing.FrameError as error:
            self._close(error.close_code, error.reason)

    def _receive(self, message: framing.Received) -> None:
        if not self.attached:
            return
        if message.opcode == framing.OP_TEXT:
            self._receive_text(message.text)
        elif message.opcode == framing.OP_BINARY:
            self._bad(BadRequest("Frames are text."), None)
        elif message.opcode == framing.OP_PING:
            self.outlet.send(framing.ws_frame(framing.OP_PONG, message.data))
        elif message.opcode == framing.OP_CLOSE:
            self._close(message.close_code, "")

    def _close(self, code: int | None, reason: str) -> None:
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
        if len(self._inbox or ()) + self._unacked >= INBOX_FRAMES:
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
        try:
            while self._inbox and self.attached:
                fields = self._inbox.popleft()
                try:
                    await self._carry_out(fields)
                except ChatError as error:
                    self._answer_error(error, fields)
                self._resume_reading()
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
            await self._verbs.reads.read(self.mailbox.user_id, fields)
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
        if len(self._inbox or ()) + self._unacked < INBOX_FRAMES // 2:
            self.outlet.resume()

    def _answer_error(self, error: ChatError, fields: dict[str, Any]) -> None:
        if error.status in (400, 422):
            self._bad(error, fields.get("clientId"))
        else:
            self._refuse(error, fields.get("clientId"))

    def _refuse(self, error: ChatError, client_id: Any) -> None:
        self._answer(vocabulary.error(error, client_id))

    def _bad(self, error: ChatError, client_id: Any) -> None:
        self._bad_frames += 1
        self._refuse(error, client_id)
        if self._bad_frames >= BAD_FRAMES_MAX:
            self.end(BAD_FRAMES)


def parse_frame(text: str) -> dict[str, Any]:
    """The object in a client's frame, with a string `type`. Raises `BadRequest`."""
    fields = json_object(text, "A frame")
    if not isinstance(fields.get("type"), str):
        raise BadRequest("A frame is a JSON object with a type.")
    return fields
