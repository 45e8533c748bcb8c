"""What nodes say to each other beside the order, over core NATS: no order between nodes, no durability, may be lost.

One subject for all of it. NATS hands on what one connection has published in the order in which it did, so what one node
says is heard in that order by whoever hears it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson

from chatserver.core.events import Signal

log = logging.getLogger(__name__)

FORMAT = 1
"""The first number of everything that is said; whoever does not know it passes it over."""


class Line(Protocol):
    """What of a connection to NATS is needed here."""

    def publish(self, subject: str, payload: bytes) -> object:
        """Send now or never; does not wait, does not raise."""
        ...

    async def subscribe(self, subject: str, receive: Callable[[Any], None]) -> object:
        """Have `receive` called, on the loop, with each message that comes on `subject` from now on."""
        ...


Heard = Callable[[str, Sequence[Any]], None]
"""Called with the node that spoke and what it said."""


class Talk:
    """One node's voice and ear. `node_id` is this node's, another one at each start."""

    def __init__(self, line: Line, subject: str, node_id: str) -> None:
        self.node_id = node_id
        self._line = line
        self._subject = subject
        self._ears: dict[str, Heard] = {}

    def on(self, kind: str, heard: Heard) -> None:
        """Have `heard` called with whatever another node says of this kind."""
        self._ears[kind] = heard

    async def start(self) -> None:
        """Listen."""
        await self._line.subscribe(self._subject, self._receive)

    def say(self, kind: str, *fields: Any) -> None:
        """Tell all other nodes; never waits."""
        self._line.publish(self._subject, orjson.dumps([FORMAT, self.node_id, kind, *fields]))

    def _receive(self, message: Any) -> None:
        try:
            version, node_id, kind, *fields = orjson.loads(message.data)
        except (ValueError, TypeError):
            log.warning("passed over what no node of ours can have said")
            return
        ear = self._ears.get(kind)
        if version == FORMAT and node_id != self.node_id and ear is not None:
            ear(node_id, fields)


class NatsSignals:
    """`Signals` for the users of all nodes: `receive` is called with those of this node and of the others alike."""

    def __init__(self, talk: Talk, receive: Callable[[Signal, str | None], None]) -> None:
        self._talk = talk
        self._receive = receive
        talk.on("signal", self._heard)

    def publish(self, signal: Signal, to: str | None = None) -> None:
        """See `Signals.publish`."""
        self._receive(signal, to)
        self._talk.say("signal", signal.type, signal.about, to, signal.payload.decode())

    def _heard(self, node_id: str, fields: Sequence[Any]) -> None:
        type_, about, to, payload = fields
        self._receive(Signal(type_, about, payload.encode()), to)
