"""Whoever writes from the stream into the store: whole appends, in order, each until it is there, and one node at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Event
from chatserver.journal.contract import Appended
from chatserver.journal.envelope import Placed, Subjects
from chatserver.journal.eventlog import Entry, Fenced
from chatserver.store import projector as module
from chatserver.store.projector import Projector


class Store:
    """What a projector needs of a database; `fails` writings come to nothing first."""

    def __init__(self) -> None:
        self.owner: tuple[int, int] | None = None
        self.written: list[tuple[list[int], int]] = []
        self.called: Callable[[], None] = lambda: None
        self.fails = 0

    async def lease(self) -> tuple[int, int] | None:
        return self.owner

    async def take_lease(self, owner: int, seen: tuple[int, int] | None) -> bool:
        if self.owner != seen:
            return False
        self.owner = (owner, 1)
        return True

    async def beat(self, owner: int) -> bool:
        return self.owner is not None and self.owner[0] == owner

    async def project(
        self, entries: Sequence[Entry], up_to: int, owner: int
    ) -> Sequence[Appended | None]:
        self.called()
        if self.fails:
            self.fails -= 1
            raise Unavailable("not now")
        self.written.append(([event.seq for entry in entries for event in entry.events], up_to))
        return [None] * len(entries)


class Link:
    """A connection on which a projector says how far the store is."""

    def __init__(self) -> None:
        self.said: list[int] = []
        self.link = self
        self.subjects = Subjects("00")

    def publish(self, subject: str, data: bytes) -> None:
        self.said.append(int(data))


def made() -> tuple[Any, Store, Link]:
    store, link = Store(), Link()
    return Projector(link, store, lambda: 0), store, link  # type: ignore[arg-type]


def placed(first_seq: int, number: int, of: int = 1) -> list[Placed]:
    return [
        Placed(
            Event(first_seq + index, 0, "message", Audience.FRIENDS, "ann", None, b"{}"),
            None,
            "node",
            number,
            index,
            of,
        )
        for index in range(of)
    ]


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def test_an_append_is_written_whole_and_each_batch_before_it_is_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BATCH_EVENTS", 2)
    monkeypatch.setattr(module, "PAUSE_S", (0.001, 0.001))
    projector, store, link = made()
    said: list[list[int]] = []
    store.fails, store.called = 3, lambda: said.append(list(link.said))
    projector._hear([*placed(1, 1), *placed(2, 2, of=3), *placed(5, 3)])
    writing = asyncio.create_task(projector._write_all())
    try:
        await until(lambda: link.said == [4, 5])
    finally:
        writing.cancel()
    assert store.written == [([1, 2, 3, 4], 4), ([5], 5)]
    assert said == [[], [], [], [], [4]], "what is not there is not announced"


async def test_the_lease_of_somebody_who_lives_is_left_alone_and_of_one_who_is_gone_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen by the count alone: no clock of the two is compared."""
    now_s = 0.0

    async def tick(wait_s: float) -> None:
        nonlocal now_s
        now_s += wait_s
        if alive:
            store.owner = (1, round(now_s * 100))
        await turn(0)

    turn = asyncio.sleep
    projector, store, _ = made()
    store.owner, alive = (1, 0), True
    monkeypatch.setattr(asyncio, "sleep", tick)
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    taking = asyncio.create_task(projector._take())
    while now_s < 20 * module.LEASE_S and not taking.done():
        await turn(0)
    assert not projector.active and store.owner is not None and store.owner[0] == 1
    alive, since_s = False, now_s
    while not taking.done() and now_s < since_s + 20:
        await turn(0)
    await taking
    assert projector.active and module.LEASE_S <= now_s - since_s <= module.LEASE_S + 1
    assert store.owner is not None and store.owner[0] != 1


async def test_who_was_asleep_does_not_take_the_time_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frozen watcher that wakes has not seen the owner stand still."""
    now_s, looks = 0.0, 0

    async def tick(wait_s: float) -> None:
        nonlocal now_s, looks
        looks += 1
        now_s += 60 if looks == 2 else wait_s
        await turn(0)

    turn = asyncio.sleep
    projector, store, _ = made()
    store.owner = (1, 7)
    monkeypatch.setattr(asyncio, "sleep", tick)
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    await projector._take()
    assert looks >= 2 + module.LEASE_S / module.WATCH_S


async def test_whose_lease_is_gone_writes_no_more() -> None:
    projector, store, _ = made()
    store.owner = (99, 1)
    with pytest.raises(Fenced):
        await projector._beat()
