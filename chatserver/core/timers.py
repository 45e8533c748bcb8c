"""A timer wheel: one timer for all connections instead of one each.

Ref: G. Varghese, T. Lauck, "Hashed and Hierarchical Timing Wheels" (1987); this is the simple one, with
its slots in a dictionary.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Generic, TypeVar

T = TypeVar("T")


class TimerWheel(Generic[T]):
    """Items to be visited at about a time: never early, late by `tick_s` at the most (if advanced)."""

    def __init__(self, tick_s: float, now_s: float) -> None:
        self.tick_s = tick_s
        self._slots: defaultdict[int, set[T]] = defaultdict(set)
        self._at = int(now_s / tick_s)

    def add(self, item: T, at_s: float) -> None:
        """Visit `item` once, at `at_s` or up to a tick later."""
        slot = int(at_s / self.tick_s) + 1
        if slot <= self._at:
            slot = self._at + 1
        self._slots[slot].add(item)

    def drop(self, item: T) -> None:
        """Forget `item`, wherever it stands: what has ended should not live until its time comes."""
        # There are as many slots as ticks in the longest wait, under a hundred: looking through them costs
        # about 2 µs, once in an item's life; remembering the slot would cost memory in every item.
        for slot in self._slots.values():
            slot.discard(item)

    def advance(self, now_s: float) -> list[T]:
        """Everything whose time has come, taken out. A clock that jumped ahead costs no empty steps."""
        until = int(now_s / self.tick_s)
        if until - self._at > len(self._slots):
            slots = sorted(slot for slot in self._slots if slot <= until)
        else:
            slots = [slot for slot in range(self._at + 1, until + 1) if slot in self._slots]
        self._at = max(self._at, until)
        due: list[T] = []
        for slot in slots:
            due.extend(self._slots.pop(slot))
        return due
