"""What all connections of this process share, whoever parses what comes over them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from chatserver.core.bounded import Bounded
from chatserver.core.limits import Limits
from chatserver.core.prices import Buckets
from chatserver.delivery.clockwork import Clockwork
from chatserver.delivery.seats import Seats
from chatserver.delivery.tolls import Tolls
from chatserver.delivery.watch import Watch

log = logging.getLogger(__name__)

ADDRESSES_COUNTED = 10_000
"""Addresses whose failures are remembered one by one."""

POLLS_A_TURN = 64
"""So many polls are answered in a turn of the loop, of all connections together: about 3 ms. By connection it would be a
matter of how many connections somebody opens."""

BACKLOG_BYTES = 32 * 1024 * 1024
"""What may wait for one user, or for an address before sign-in, on all connections on which Tornado answers: the largest
answers ten times. A hundred connections that asked for a page of long messages and read nothing held 300 MB."""

LATELY_S = 5.0
"""So long after somebody was refused for want of room the server is not ready for more."""


def _frame_buckets(limits: Limits) -> Buckets | None:
    """Whoever may send faster may say more, too."""
    if not limits.meter:
        return None
    rate, burst = 2 * limits.send_rate, 2 * limits.send_burst
    return Buckets(max(limits.frame_rate, rate), max(limits.frame_burst, burst))


class Connections:
    """The clockwork that looks after them, their bounds, and what became of those that did not end well."""

    def __init__(self, clockwork: Clockwork, limits: Limits) -> None:
        self.clockwork = clockwork
        self.watch = Watch()
        self.stuck_s = limits.stuck_s
        """So long a peer may take no byte of what waits for it."""
        self.head_s = limits.head_s
        """So long the head of the first request may take."""
        self.tolls = Tolls(limits, clockwork.clock_s)
        self.frames = _frame_buckets(limits)
        """What the frames of users are paid from, over whichever connection; None where nothing is metered."""
        self.seats = Seats(limits, clockwork.clock_s)
        self.accepting = False
        """Whether new connections are taken."""
        self.lobby: Callable[[], int] = int
        """How many connections wait until there is room."""
        self.links_waiting: Callable[[], int] = int
        """How many Socket.IO links there are on which nobody has signed in."""
        self.starved_at_s: float | None = None
        """When there was last no descriptor for a new connection."""
        self.counts: Counter[str] = Counter()
        """Ends that were not asked for, by reason: `failed`, `stuck`, `overrun`, `no head`, `no descriptor`."""
        self.paused = 0
        """How often a WebSocket was not read until its user could pay for what was read of it."""
        self.answers: Counter[int] = Counter()
        """Answers that say that something is wrong here (500 and above), by status."""
        self._failed: Bounded[str, int] = Bounded(ADDRESSES_COUNTED)
        self._polls_left = POLLS_A_TURN
        self._backlogs: Counter[str] = Counter()

    def note_backlog(self, whose: str, change_bytes: int) -> bool:
        """So many bytes more, or less, wait for somebody to take them; whether that is more than may wait."""
        self._backlogs[whose] += change_bytes
        if not self._backlogs[whose]:
            del self._backlogs[whose]
        return self._backlogs[whose] > BACKLOG_BYTES

    def shared(self) -> dict[str, Buckets]:
        """The buckets that count for all nodes together, by name."""
        frames = {} if self.frames is None else {"frames": self.frames}
        return frames | self.tolls.shared()

    def take_turn(self) -> bool:
        """Whether one more poll may be answered in this turn of the loop; where not, the next turn is soon enough."""
        if not self._polls_left:
            return False
        if self._polls_left == POLLS_A_TURN:
            asyncio.get_running_loop().call_soon(self._begin_turn)
        self._polls_left -= 1
        return True

    def _begin_turn(self) -> None:
        self._polls_left = POLLS_A_TURN

    def answered(self, status: int) -> None:
        """A request was answered."""
        if status >= 500:
            self.answers[status] += 1

    def trouble(self) -> str | None:
        """Why no new connection can count on being taken, in a sentence; None where it can."""
        now_s = self.clockwork.clock_s()
        for at_s, sentence in (
            (self.starved_at_s, "The server has run out of descriptors."),
            (self.seats.full_at_s, "The server has no room for more connections."),
        ):
            if at_s is not None and now_s - at_s < LATELY_S:
                return sentence
        return None if self.accepting else "The server takes no new connections."

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
