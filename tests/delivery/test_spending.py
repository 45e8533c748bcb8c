"""What is paid at one node is paid at all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from chatserver.core.prices import Buckets
from chatserver.delivery.spending import Spending
from chatserver.journal.nats_signals import Talk

BURST = 6


class Three:
    """Three nodes with a bucket each of one token a second; what they say is heard when `hear` is called."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.said: list[bytes] = []
        self._talks = [Talk(self, "", f"node{number}") for number in range(3)]
        self.buckets = [Buckets(1.0, BURST) for _ in self._talks]
        self.nodes = [
            Spending(talk, {"tries": bucket}, lambda: self.now_s)
            for talk, bucket in zip(self._talks, self.buckets, strict=True)
        ]

    def publish(self, subject: str, payload: bytes) -> None:
        self.said.append(payload)

    async def subscribe(self, subject: str, receive: Any) -> None: ...

    def hear(self) -> None:
        for node in self.nodes:
            node.say()
        said, self.said = self.said, []
        for payload in said:
            for talk in self._talks:
                talk._receive(SimpleNamespace(data=payload))

    def take(self) -> int:
        """How many of three nodes give a token now, before they hear of each other."""
        given = sum(bucket.take("mallory", self.now_s) == 0 for bucket in self.buckets)
        self.hear()
        return given


async def test_who_is_spread_over_nodes_gets_no_more_than_at_one() -> None:
    it = Three()
    burst = sum(it.take() for _ in range(20))
    # The last ones are taken at all three before they hear of it, and owed.
    assert BURST <= burst <= BURST + 2
    seconds = 300
    given = 0
    for _ in range(seconds):
        it.now_s += 1.0
        given += it.take()
    assert seconds - BURST <= given + (burst - BURST) <= seconds + 2
    await asyncio.sleep(0)


async def test_what_is_given_back_at_one_node_is_there_at_all() -> None:
    it = Three()
    one, two, _ = it.buckets
    for _ in range(BURST):
        assert one.take("ann", 0.0) == 0
    it.hear()
    assert two.take("ann", 0.0) > 0
    for _ in range(BURST):
        one.give_back("ann")
    it.hear()
    assert [two.take("ann", 0.0) for _ in range(BURST)] == [0] * BURST
    assert two.take("bob", 0.0) == 0


async def test_a_rate_that_only_a_newer_node_has_is_passed_over() -> None:
    it = Three()
    newer = Buckets(1.0, BURST)
    talk = Talk(it, "", "newer")
    node = Spending(talk, {"something new": newer, "tries": it.buckets[0]}, lambda: it.now_s)
    newer.take("mallory", 0.0)
    it.buckets[0].take("mallory", 0.0)
    node.say()
    it.hear()
    assert [bucket.take("mallory", 0.0) for bucket in it.buckets[1:] * (BURST - 1)] == [0] * 10
    assert all(bucket.take("mallory", 0.0) > 0 for bucket in it.buckets[1:])
