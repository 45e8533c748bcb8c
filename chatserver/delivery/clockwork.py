"""One clock for everybody: heartbeats, time-outs and whatever else comes round, on one timer wheel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chatserver.core import vocabulary
from chatserver.core.limits import Limits
from chatserver.core.timers import TimerWheel

log = logging.getLogger(__name__)

TICK_MAX_S = 1.0
TICK_MIN_S = 0.01


@dataclass(frozen=True, slots=True)
class Clocks:
    """`monotonic_s` is seconds that never step, `now_ms` milliseconds since 1970."""

    monotonic_s: Callable[[], float]
    now_ms: Callable[[], int]


class Visited(Protocol):
    """Something that the clockwork looks after."""

    def visit(self, now_s: float) -> float | None:
        """Look after itself (heartbeat, time-outs); seconds until the next visit, None when gone."""
        ...


class Clockwork:
    """Visits what it looks after, about when it should.

    `clock_s` is monotonic seconds, `clock_ms` milliseconds since 1970. `ping` is the heartbeat of this tick, shared
    by every stream that is due in it.
    """

    def __init__(
        self, limits: Limits, clock_s: Callable[[], float], clock_ms: Callable[[], int]
    ) -> None:
        self.clock_s = clock_s
        self.clock_ms = clock_ms
        self.ping = vocabulary.ping(clock_ms())
        shortest_s = min(limits.heartbeat_s, limits.silence_s, limits.offline_grace_s)
        tick_s = max(TICK_MIN_S, min(TICK_MAX_S, shortest_s / 5))
        self._wheel: TimerWheel[Visited] = TimerWheel(tick_s, clock_s())
        self.look_after_at: Callable[[Visited, float], None] = self._wheel.add
        """As `look_after`, at a time of the clock. The wheel's own: whoever comes is looked after twice."""
        self._each_turn: tuple[Callable[[float], None], ...] = ()
        self._ticking: asyncio.Task[None] | None = None

    def start(self, *each_turn: Callable[[float], None]) -> None:
        """Begin to tick; each of `each_turn` is called in every tick with the time."""
        self._each_turn = each_turn
        self._ticking = asyncio.get_running_loop().create_task(self._tick(), name="clockwork")

    async def close(self) -> None:
        """Stop ticking."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    def look_after(self, item: Visited, in_s: float) -> None:
        """Call its `visit` in about `in_s` seconds, and then as often as it asks for."""
        self._wheel.add(item, self.clock_s() + in_s)

    def look_away(self, item: Visited) -> None:
        """Visit it no more: it has ended."""
        self._wheel.drop(item)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._wheel.tick_s)
            self.turn(self.clock_s())

    def turn(self, now_s: float) -> None:
        """Visit whoever is due. Whatever one does wrong, the others get their turn."""
        self.ping = vocabulary.ping(self.clock_ms())
        for item in self._wheel.advance(now_s):
            try:
                in_s = item.visit(now_s)
            except Exception:
                log.exception("a visit failed")
                continue
            if in_s is not None:
                self._wheel.add(item, now_s + in_s)
        for work in self._each_turn:
            try:
                work(now_s)
            except Exception:
                log.exception("a turn of the clockwork failed")
