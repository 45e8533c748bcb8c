"""How far delivery lags behind the order: a histogram in plain integers."""

from __future__ import annotations


class FanoutLag:
    """Time from an event's place in the order to the end of the flush that wrote it, by flush.

    `counts[n]` are the flushes up to `bounds_ms[n]` (and above the bound before); the last are the rest.
    """

    bounds_ms = (1, 2, 5, 10, 25, 50, 100, 250, 1000, 5000)

    def __init__(self) -> None:
        self.counts = [0] * (len(self.bounds_ms) + 1)
        self.sum_ms = 0
        self._oldest_ms: int | None = None

    def begin(self, at_ms: int) -> None:
        """Events were applied, the oldest of them from `at_ms`; their lag ends with the next flush."""
        if self._oldest_ms is None:
            self._oldest_ms = at_ms

    def end(self, now_ms: int) -> None:
        """A flush is over: count the lag of the oldest event that it held."""
        if self._oldest_ms is None:
            return
        # A clock that was stepped back must not make a lag negative.
        lag_ms = max(0, now_ms - self._oldest_ms)
        self._oldest_ms = None
        self.sum_ms += lag_ms
        for at, bound_ms in enumerate(self.bounds_ms):
            if lag_ms <= bound_ms:
                self.counts[at] += 1
                return
        self.counts[-1] += 1
