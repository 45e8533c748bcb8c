"""A Socket.IO client's reader: a cursor into the mailbox like any other, whose items look like Socket.IO's events.

Nothing here knows the library; the link under it is in `transports.socketio_link`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from chatserver.core import packets
from chatserver.core.errors import BadRequest, ChatError, Ending
from chatserver.core.vocabulary import error as error_item
from chatserver.transports.encoding import Encoding
from chatserver.transports.talking import TalkingReader


class SocketIoReader(TalkingReader):
    """One connected client; its outlet is its link."""

    __slots__ = ()

    encoding = Encoding(packets.message, packets.item)
    transport: ClassVar[str] = "socketio"

    def framed(self, payload: bytes, seq: int | None) -> bytes:
        return packets.item(payload)

    def farewell(self, ending: Ending) -> bytes:
        # Told "disconnect", the client's library stays away; without it, it comes back by itself.
        bye = packets.item(self.delivery.readers.bye(ending).payload)
        return bye if ending.retry else bye + packets.BYE

    def beat(self, now_s: float) -> float | None:
        """The heartbeat is the library's: its clients know no other."""
        return self.delivery.limits.heartbeat_s

    def acknowledgement(self, reference: Any, seq: int, at_ms: int) -> bytes:
        if reference is None:
            return b""
        return packets.answer(reference, {"seq": seq, "at": at_ms})

    def refusal(self, reference: Any, error: ChatError) -> bytes:
        if reference is None:
            return packets.named("error", error_item(error, None))
        return packets.answer(reference, {"error": packets.refusal(error)})

    def receive_event(self, packet: str) -> None:
        """What the client says, in an event."""
        if not self.attached:
            return
        said = packets.parse_event(packet)
        if isinstance(said, packets.Refused):
            self._bad(said.error, said.number)
        else:
            self._receive_fields(said.fields, said.number)

    async def _carry_out(self, fields: dict[str, Any], reference: Any) -> None:
        await super()._carry_out(fields, reference)
        if fields["type"] != "send" and reference is not None and self.attached:
            self.outlet.send(packets.answer(reference, {}))

    async def _carry_out_more(self, fields: dict[str, Any], reference: Any) -> None:
        raise BadRequest("There is no such verb.")

    @property
    def parked(self) -> bool:
        return bool(getattr(self.outlet, "polling", False))

    @property
    def is_full(self) -> bool:
        """Whether more is to be received only later."""
        return self._is_full

    def receive_data(self, data: bytes) -> None:
        """Nothing comes here: the link reads the connection."""
