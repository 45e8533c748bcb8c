"""WebSocket: `GET /ws`, subprotocol `chat.v1` (RFC 6455).

After the handshake (`transports/handshake.py`) the connection is a `SocketReader`: ready frames go to it as they are, and
`core.framing.FrameParser` reads what the client sends.
"""

from __future__ import annotations

from typing import Any, ClassVar

from chatserver.core import framing, vocabulary
from chatserver.core.errors import TOO_SLOW, BadRequest, ChatError, Ending
from chatserver.core.fields import json_object
from chatserver.core.mailbox import Mailbox
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Arrival
from chatserver.transports.encoding import Encoding
from chatserver.transports.frames import FrameReading
from chatserver.transports.talking import SocketVerbs, TalkingReader


class SocketReader(TalkingReader, FrameReading):
    """A WebSocket connection after its handshake."""

    __slots__ = (*FrameReading.SLOTS, "_pinged_s")

    encoding = Encoding(lambda event: framing.ws_text(event.payload), framing.ws_text)
    transport: ClassVar[str] = "websocket"

    def __init__(
        self, delivery: Delivery, verbs: SocketVerbs, arrival: Arrival, mailbox: Mailbox
    ) -> None:
        super().__init__(delivery, verbs, arrival, mailbox)
        self._begin_reading(delivery.limits.body_bytes)
        self._pinged_s: float | None = None

    # Out.

    def framed(self, payload: bytes, seq: int | None) -> bytes:
        return framing.ws_text(payload)

    def farewell(self, ending: Ending) -> bytes:
        bye = self.delivery.readers.bye(ending)
        return framing.ws_text(bye.payload) + framing.ws_close(ending.close_code, ending.reason)

    def acknowledgement(self, reference: Any, seq: int, at_ms: int) -> bytes:
        return framing.ws_text(vocabulary.ack(reference, seq, at_ms))

    def refusal(self, reference: Any, error: ChatError) -> bytes:
        return framing.ws_text(vocabulary.error(error, reference))

    def beat(self, now_s: float) -> float | None:
        finish_in_s = self._finish_in_s(now_s)
        if finish_in_s <= 0:
            self.end(TOO_SLOW)
            return None
        in_s = self._ping_or_judge(now_s)
        return None if in_s is None else min(in_s, finish_in_s)

    def _ping_or_judge(self, now_s: float) -> float | None:
        """Send a ping, or look whether anything came since the last; seconds until the next look."""
        limits = self.delivery.limits
        if self._pinged_s is not None:
            # The visit after a ping: anything that came since counts as life. It may be early, where a login
            # was about to expire and was renewed, or a message is to be finished.
            left_s = self._pinged_s + limits.silence_s - now_s
            if left_s > 0 and self._silent:
                return left_s
            self._pinged_s = None
            if self._silent:
                self.outlet.abort()
                return None
            return max(0.0, limits.heartbeat_s - limits.silence_s)
        self._pinged_s, self._silent = now_s, True
        ping = self.encoding.of_signal(self.delivery.clockwork.ping)
        self.outlet.send(ping + framing.WS_PING)
        return limits.silence_s

    def drained(self) -> None:
        """The outlet has sent everything, a ping that waited too: silence is counted anew."""
        self._pinged_s = None
        super().drained()

    # In.

    def _take_price(self, cost: float) -> float:
        bucket = self.delivery.connections.frames
        if bucket is None:
            return 0.0
        return bucket.take(self.mailbox.user_id, self.delivery.clockwork.clock_s(), cost)

    def _read_again(self) -> None:
        self._resume_frames()

    def _receive_binary(self) -> None:
        self._bad(BadRequest("Frames are text."), None)

    def _close(self, code: int | None, reason: str) -> None:
        self._pong()
        self._leave()
        frame = framing.ws_frame(framing.OP_CLOSE, b"") if code is None else None
        self.outlet.send(frame or framing.ws_close(code or 0, reason))
        self.outlet.close_soon()

    def _receive_text(self, text: str) -> None:
        try:
            fields = json_object(text, "A frame")
            if not isinstance(fields.get("type"), str):
                raise BadRequest("A frame is a JSON object with a type.")
        except ChatError as error:
            self._bad(error, None)
            return
        self._receive_fields(fields, fields.get("clientId"))

    async def _carry_out_more(self, fields: dict[str, Any], reference: Any) -> None:
        if fields["type"] != "ping":
            raise BadRequest("type is send, typing, read or ping.")
        if self.attached:
            self.outlet.send(framing.ws_text(vocabulary.PONG))
