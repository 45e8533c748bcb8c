"""Reads of a store that lags: what they wait for, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from chatserver.core.errors import Unavailable
from chatserver.store import behind
from chatserver.store.behind import Behind


class Lagging:
    """A journal of which this node has applied 5, another has acknowledged 7, and the store shows less."""

    fresh = True
    head_seq = 5
    shown_seq = 3

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    async def newest(self) -> int:
        return 7

    async def shown(self, seq: int) -> None:
        while self.shown_seq < seq:
            await self.changed.wait()

    def show(self, seq: int) -> None:
        self.shown_seq = seq
        self.changed.set()
        self.changed = asyncio.Event()


class Told:
    """A store that answers with what it shows."""

    def __init__(self, journal: Lagging) -> None:
        self._journal = journal

    async def friends(self, user_id: str) -> int:
        return self._journal.shown_seq

    async def account(self, user_id: str) -> int:
        return self._journal.shown_seq


def lagging() -> tuple[Lagging, Behind]:
    journal = Lagging()
    return journal, Behind(cast(Any, Told(journal)), cast(Any, journal))


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_read_waits_for_what_was_applied_here_and_a_snapshot_for_what_anybody_has_heard() -> (
    None
):
    journal, store = lagging()
    read: asyncio.Task[Any] = asyncio.create_task(store.account("ann"))
    snapshot: asyncio.Task[Any] = asyncio.create_task(store.friends("ann"))
    await turns()
    assert not read.done() and not snapshot.done()
    journal.show(5)
    await turns()
    assert read.result() == 5 and not snapshot.done()
    journal.show(7)
    await turns()
    assert snapshot.result() == 7


async def test_a_snapshot_is_as_old_as_this_node_where_the_newest_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(behind, "NEWEST_S", 0.01)
    journal, store = lagging()
    journal.show(5)
    async with asyncio.timeout(20):
        assert await store.friends("ann") == cast(Any, 5)


async def test_a_node_that_is_not_fresh_reads_nothing() -> None:
    journal, store = lagging()
    journal.show(7)
    journal.fresh = False
    for question in (store.account("ann"), store.friends("ann")):
        with pytest.raises(Unavailable):
            await question
