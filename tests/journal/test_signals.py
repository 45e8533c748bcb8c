"""The signals of one process are a call."""

from __future__ import annotations

from chatserver.core.events import Signal
from chatserver.journal.signals import LocalSignals


def test_a_signal_is_received_at_once_with_the_friend_it_is_for() -> None:
    received: list[tuple[Signal, str | None]] = []
    signals = LocalSignals(lambda signal, to: received.append((signal, to)))
    signal = Signal("typing", "ann", b"{}")
    signals.publish(signal)
    signals.publish(signal, "bob")
    assert received == [(signal, None), (signal, "bob")]
