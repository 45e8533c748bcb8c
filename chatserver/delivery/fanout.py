"""The hub on the event loop: it follows the journal, and its marked readers are flushed once a turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from chatserver.core.events import Event
from chatserver.core.histogram import FanoutLag
from chatserver.core.hub import Hub
from chatserver.core.limits import Limits
from chatserver.core.mailbox import Reader

log = logging.getLogger(__name__)


class Fanout:
    """Owns the hub. `clock_ms` is milliseconds since 1970."""

    def __init__(self, limits: Limits, clock_ms: Callable[[], int]) -> None:
        self.hub = Hub(0, limits.mailbox_events, limits.mailbox_bytes, self._schedule, _cut)
        self.applied_events = 0
        """Events of the order, ever."""
        self.lag = FanoutLag()
        self._clock_ms = clock_ms

    def follow(self, events: Sequence[Event]) -> None:
        """Put the events into the mailboxes of their audience, and on to the readers."""
        self.lag.begin(events[0].at_ms)
        self.hub.apply(events)
        self.applied_events += len(events)
        if not self.hub.flush_due:
            self.lag.end(self._clock_ms())

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self.hub.flush()
        if not self.hub.flush_due:
            self.lag.end(self._clock_ms())


def _cut(reader: Reader, error: Exception) -> None:
    log.error("cut a reader that failed: %r", error)
    asyncio.get_running_loop().call_soon(reader.cut)
