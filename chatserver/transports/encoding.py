"""The bytes of events and signals on one transport, made once for all readers that are equally far."""

from __future__ import annotations

from collections.abc import Callable

from chatserver.core.events import Event, Signal

SIGNALS_FRAMED = 512
"""So many are remembered: those of one turn of a herd."""


class Encoding:
    """How items look on one transport; remembers what it made last.

    Of a batch to a thousand friends the bytes are made once: the readers take it one after another, so remembering
    the last batch is enough. The same goes for a signal.
    """

    def __init__(
        self, frame_event: Callable[[Event], bytes], frame_signal: Callable[[bytes], bytes]
    ) -> None:
        self._frame_event = frame_event
        self._frame_signal = frame_signal
        self.events: list[Event] = []
        """What was encoded last, not to be changed."""
        self.data = b""
        """Its bytes."""
        self._framed: dict[Signal, bytes] = {}
        self._signals: list[Signal] = []
        self._signal_data = b""

    def of(self, events: list[Event]) -> bytes:
        """The bytes of `events`, one after another; there is one at least."""
        if events is not self.events:
            # Events are compared by identity: readers that pull have equal lists, not the same one.
            if events != self.events:
                frame = self._frame_event
                many = len(events) > 1
                self.data = b"".join([frame(each) for each in events]) if many else frame(events[0])
            self.events = events
        return self.data

    def of_signals(self, signals: list[Signal]) -> bytes:
        """The bytes of `signals`, one after another."""
        if signals != self._signals:
            # Of a herd each friend hears of others, but of each of them many do.
            if len(self._framed) > SIGNALS_FRAMED:
                self._framed.clear()
            self._signal_data = b"".join([self._frame(one) for one in signals])
            self._signals = signals
        return self._signal_data

    def _frame(self, signal: Signal) -> bytes:
        framed = self._framed.get(signal)
        if framed is None:
            framed = self._framed[signal] = self._frame_signal(signal.payload)
        return framed

    def of_signal(self, signal: Signal) -> bytes:
        """The bytes of one signal."""
        return self.of_signals([signal])
