"""The signals of one process: a call."""

from __future__ import annotations

from collections.abc import Callable

from chatserver.core.events import Signal


class LocalSignals:
    """`Signals` where all users are here: `receive` is called at once (`core.hub.Hub.signal`)."""

    def __init__(self, receive: Callable[[Signal, str | None], None]) -> None:
        self._receive = receive

    def publish(self, signal: Signal, to: str | None = None) -> None:
        """See `Signals.publish`."""
        self._receive(signal, to)
