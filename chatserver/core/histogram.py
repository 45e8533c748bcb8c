"""Histograms in plain integers: counted where something happens often, read where somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """How many values there were of which size.

    `counts[n]` are the values up to `bounds[n]` (and above the bound before); the last are the rest.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class FanoutLag:
    """Time from an event's place in the order to the end of what wrote it to the readers, in seconds."""

    def __init__(self) -> None:
        self.seconds = Histogram((0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0))
        self._oldest_ms: int | None = None

    def begin(self, at_ms: int) -> None:
        """Events were applied, the oldest of them from `at_ms`; their lag goes on until `end`."""
        if self._oldest_ms is None:
            self._oldest_ms = at_ms

    def end(self, now_ms: int) -> None:
        """Everything is written: count the lag of the oldest event that was waited for."""
        if self._oldest_ms is not None:
            # A clock that was stepped back must not make a lag negative.
            self.seconds.observe(max(0, now_ms - self._oldest_ms) / 1000)
            self._oldest_ms = None
