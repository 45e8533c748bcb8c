"""Whom a change waits for: nodes that live and have not followed it yet, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from chatserver.core.changes import AccountEnd, ReadChange
from chatserver.core.conversations import BROADCASTS
from chatserver.journal import nodes as module
from chatserver.journal.envelope import Subjects
from chatserver.journal.nodes import GONE_S, Nodes, settles


class Talk:
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        self.said: list[list[Any]] = []
        self.on_connected: list[Callable[[], None]] = []
        self.hear: Callable[[Any], None] = lambda message: None

    async def subscribe(self, subject: str, hear: Callable[[Any], None]) -> None:
        self.hear = hear

    def publish(self, subject: str, data: bytes) -> None:
        self.said.append(orjson.loads(data))

    def say(self, node: str, head_seq: int, asks: bool = False) -> None:
        """A word of a node of another machine."""
        self.hear(SimpleNamespace(data=orjson.dumps([node, head_seq, asks, []])))


@asynccontextmanager
async def known(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Nodes, Talk, list[float]]]:
    """A node that has heard of `b` at 5, and a clock that the test moves."""
    clock = [1000.0]
    monkeypatch.setattr(module, "MEET_S", 0.0)
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    monkeypatch.setattr(module, "now_s", lambda: clock[0])
    talk: Any = Talk()
    nodes = Nodes(talk, Subjects("00"), "a", lambda: 7)
    await nodes.start()
    talk.say("b", 5)
    try:
        yield nodes, talk, clock
    finally:
        await nodes.close()


async def waits(task: asyncio.Task[None]) -> bool:
    await asyncio.wait([task], timeout=0.05)
    return not task.done()


async def test_a_change_waits_for_a_node_until_that_has_followed_or_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with known(monkeypatch) as (nodes, talk, _):
        for answer in (("b", 9), ("b", -1)):
            talk.say("b", 5)
            waiting = asyncio.create_task(nodes.settled(9 if answer[1] > 0 else 12))
            talk.say("b", 8)
            assert await waits(waiting)
            talk.say(*answer)
            async with asyncio.timeout(10):
                await waiting


async def test_a_node_that_is_silent_is_waited_for_as_long_as_it_may_serve_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with known(monkeypatch) as (nodes, _, clock):
        waiting = asyncio.create_task(nodes.settled(9))
        clock[0] += GONE_S - 0.5
        assert await waits(waiting)
        clock[0] += 0.6
        async with asyncio.timeout(10):
            await waiting


async def test_what_a_node_has_followed_it_has_followed_though_an_older_word_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with known(monkeypatch) as (nodes, talk, _):
        talk.say("b", 9)
        talk.say("b", 6)
        async with asyncio.timeout(10):
            await nodes.settled(9)


async def test_who_is_asked_says_where_it_is_and_at_the_end_that_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with known(monkeypatch) as (_, talk, _):
        talk.said.clear()
        talk.say("b", 5, True)
        assert ["a", 7] in [each[:2] for each in talk.said]
    assert talk.said[-1][:2] == ["a", -1]


def test_a_read_position_waits_for_nobody() -> None:
    assert settles(AccountEnd("ann")) and not settles(None)
    assert not settles(ReadChange("ann", BROADCASTS, 5))
