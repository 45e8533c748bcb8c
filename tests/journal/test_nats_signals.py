"""What nodes say to each other is heard by the others, once, and never by the one who said it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from chatserver.core import vocabulary
from chatserver.core.conversations import BROADCASTS
from chatserver.journal.nats_signals import FORMAT, NatsSignals, Talk


class Line:
    """A connection of several nodes; what is published comes to all of them, the one who spoke too."""

    def __init__(self) -> None:
        self.ears: list[Callable[[Any], None]] = []

    def publish(self, subject: str, payload: bytes) -> None:
        for ear in self.ears:
            ear(SimpleNamespace(data=payload))

    async def subscribe(self, subject: str, receive: Callable[[Any], None]) -> None:
        self.ears.append(receive)


async def test_a_signal_comes_to_every_node_once_with_the_one_whom_it_is_for() -> None:
    line, heard = Line(), dict[str, list[Any]]()
    signals = {}
    for name in ("a", "b"):
        talk = Talk(line, "chat.s", name)
        got = heard[name] = []

        def receive(signal: Any, to: str | None, got: list[Any] = got) -> None:
            got.append((signal.type, signal.about, signal.payload, to))

        signals[name] = NatsSignals(talk, receive)
        await talk.start()
    said = vocabulary.typing("ann", BROADCASTS)
    signals["a"].publish(said, "bob")
    assert heard["a"] == heard["b"] == [("typing", "ann", said.payload, "bob")]


@pytest.mark.parametrize(
    "data", [b"", b"x", b"7", b"[]", b'[1,"b"]', b"{}", orjson.dumps([FORMAT + 1, "b", "kind", 1])]
)
async def test_what_no_node_can_have_said_is_passed_over_and_the_next_is_heard(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    line, heard = Line(), list[Any]()
    talk = Talk(line, "chat.s", "a")
    talk.on("kind", lambda node, fields: heard.append((node, list(fields))))
    await talk.start()
    line.publish("chat.s", data)
    line.publish("chat.s", orjson.dumps([FORMAT, "b", "another kind", 1]))
    line.publish("chat.s", orjson.dumps([FORMAT, "b", "kind", 1]))
    talk.say("kind", 2)
    assert heard == [("b", [1])]
