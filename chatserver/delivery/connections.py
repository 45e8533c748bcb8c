"""What all connections of this process share, whoever parses what comes over them."""

from __future__ import annotations

import logging
from collections import Counter

from chatserver.core.bounded import Bounded
from chatserver.delivery.clockwork import Clockwork

log = logging.getLogger(__name__)

ADDRESSES_COUNTED = 10_000
"""Addresses whose failures are remembered one by one."""


class Connections:
    """The clockwork that looks after them, their bound in time, and what became of those that did not end well."""

    def __init__(self, clockwork: Clockwork, stuck_s: float) -> None:
        self.clockwork = clockwork
        self.stuck_s = stuck_s
        """So long a peer may take no byte of what waits for it."""
        self.counts: Counter[str] = Counter()
        """Ends that were not asked for, by reason: `failed`, `stuck`, `overrun`."""
        self._failed: Bounded[str, int] = Bounded(ADDRESSES_COUNTED)

    def failed(self, address: str, error: BaseException) -> None:
        """An exception came out of a callback of one connection: one line, and a count."""
        self.counts["failed"] += 1
        count = (self._failed.get(address) or 0) + 1
        self._failed.put(address, count)
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = (
            "" if frame is None else f" in {frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}"
        )
        log.error(
            "closed a connection of %s, the %d. of this address: %r%s", address, count, error, place
        )
