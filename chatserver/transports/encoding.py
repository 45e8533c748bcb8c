"""Floor 3: the bytes of several events, made once for all readers that are equally far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from chatserver.core.events import Event, Signal


class Encoding:
    """The bytes of events one after another, on one transport.

    `frame` is the attribute that holds an item's bytes. Of a burst to a thousand friends, the bytes are
    joined once: readers are served one after another, so remembering the last join is enough.
    """

    def __init__(self, frame: str) -> None:
        self._frame: Callable[[Event | Signal], bytes] = attrgetter(frame)
        self.events: list[Event] = []
        """What was joined last, not to be changed."""
        self.data = b""
        """Its bytes."""

    def __call__(self, items: Iterable[Event | Signal]) -> bytes:
        """The bytes of `items`."""
        return b"".join([self._frame(item) for item in items])

    def of(self, events: list[Event]) -> bytes:
        """The bytes of `events`, remembered for whoever asks for the same list next."""
        if events is not self.events:
            self.events = events
            self.data = self(events)
        return self.data
