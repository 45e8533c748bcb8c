"""Which nodes there are, and how far each of them has followed the order: told by a beat, over signals that may be lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import orjson
from nats.aio.msg import Msg

from chatserver.core.changes import Change, ReadChange
from chatserver.journal import whereabouts
from chatserver.journal.envelope import Subjects
from chatserver.journal.nats_link import NatsLink
from chatserver.journal.whereabouts import is_gone

BEAT_S = 1.0
MEET_S = 1.2
"""A start waits so long for the others: a beat and a little more."""
FRESH_S = 5.0
"""A node that has not proved for so long that it knows everything serves nothing (R3)."""
GONE_S = FRESH_S + 1.0
"""A node that has said nothing for so long is not waited for any more: it has stopped serving before."""
SETTLE_S = GONE_S + 1.0
"""How long a change waits at the most."""


def now_s() -> float:
    """A clock that runs on while this process, or this machine, is asleep."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(slots=True)
class _Node:
    head_seq: int
    heard_s: float
    there: list[str | int]


class Nodes:
    """The other nodes, as this one (`node`) hears of them; tells them of its own `head_seq()`."""

    def __init__(
        self, link: NatsLink, subjects: Subjects, node: str, head_seq: Callable[[], int]
    ) -> None:
        self._link = link
        self._subject = subjects.signal("at")
        self._node = node
        self._head_seq = head_seq
        self._here = whereabouts.here()
        self._others: dict[str, _Node] = {}
        self._waiting: list[asyncio.Event] = []
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hear, and be heard; returns when every living node has had the time to say that it is there.

        A node that served before would not wait for them with what it changes.
        """
        await self._link.subscribe(self._subject, self._hear)
        self._link.on_connected.append(self._ask)
        self._beating = asyncio.create_task(self._keep_beating(), name="nodes")
        self._ask()
        await asyncio.sleep(MEET_S)

    async def close(self) -> None:
        """Say that this node is not to be waited for."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
            self._say(-1)

    def _ask(self) -> None:
        """Have every node beat now."""
        self._say(self._head_seq(), asks=True)

    def beat(self) -> None:
        """Let all know now how far this node has come."""
        self._say(self._head_seq())

    def _say(self, head_seq: int, asks: bool = False) -> None:
        said = [self._node, head_seq, asks, self._here]
        self._link.publish(self._subject, orjson.dumps(said))

    def living(self) -> list[str]:
        """The other nodes that are waited for."""
        gone_s = now_s() - GONE_S
        return [name for name, node in self._others.items() if node.heard_s >= gone_s]

    async def settled(self, seq: int) -> None:
        """Return once every living node has followed `seq`; or those that have not serve nothing any more."""
        woken = asyncio.Event()
        self._waiting.append(woken)
        until_s = now_s() + SETTLE_S
        try:
            while self._behind(seq) and now_s() < until_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S / 2):
                        await woken.wait()
                woken.clear()
        finally:
            self._waiting.remove(woken)

    def _behind(self, seq: int) -> bool:
        gone_s = now_s() - GONE_S
        for name, node in list(self._others.items()):
            # One of this machine whose process has ended serves nothing more, however short ago it was heard.
            if node.heard_s < gone_s or (node.head_seq < seq and is_gone(node.there, self._here)):
                del self._others[name]
            elif node.head_seq < seq:
                return True
        return False

    def _hear(self, message: Msg) -> None:
        name, head_seq, asks, there = orjson.loads(message.data)
        if name == self._node:
            return
        if head_seq < 0:
            self._others.pop(name, None)
        else:
            known = self._others.setdefault(name, _Node(0, 0.0, there))
            known.head_seq = max(known.head_seq, head_seq)
            known.heard_s = now_s()
        if asks:
            self.beat()
        for woken in self._waiting:
            woken.set()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.beat()


def settles(change: Change | None) -> bool:
    """Whether an append waits until every node knows this change. Read positions only grow, and are asked for at the newest."""
    return change is not None and not isinstance(change, ReadChange)
