"""What several people have missed is found by one question, and is what each would have found alone."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.events import Event
from chatserver.store.sqlite import replay as sqlite_replay
from tests.store.kit import SqliteHome, World, opened
from tests.store.test_sqlite_indexes import _step

PEOPLE = [f"u{n}" for n in range(7)]


async def talked(world: World) -> list[int]:
    """People who made friends and parted, and wrote to all and to one another; some places in the order."""
    await world.join(*PEOPLE)
    chance = random.Random(7)
    for n in range(250):
        await _step(world, n, chance.randrange(10), *chance.sample(PEOPLE, 2))
    return [0, *(event.seq for event in world.events[::17]), world.journal.head_seq]


def payloads(events: list[Event] | None) -> list[bytes] | None:
    return None if events is None else [event.payload for event in events]


@pytest.mark.parametrize("most_in_all", [2000, 10])
async def test_many_who_ask_at_once_find_what_each_finds_alone(
    tmp_path: Path, most_in_all: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_replay, "MOST_EVENTS", most_in_all)
    async with opened(SqliteHome(tmp_path)) as world:
        seqs, chance = await talked(world), random.Random(8)
        for most in (3, 20, 500):
            asked = []
            for user in PEOPLE * 2:
                after, up_to = sorted(chance.sample(seqs, 2))
                asked.append((await world.view(user), after, up_to, most))
            jobs = counted(world)
            together = await asyncio.gather(*[world.log.few(*one) for one in asked])
            assert len(jobs) == 1, "one question"
            alone = [await world.log.few(*one) for one in asked]
            assert [payloads(one) for one in together] == [payloads(one) for one in alone]
            wholly = [await world.log.visible(*one[:3], most + 1) for one in asked]
            assert [payloads(one) for one in alone] == [
                None if len(one) > most else payloads(one) for one in wholly
            ]
            assert any(together)


def counted(world: World) -> list[Callable[[sqlite3.Connection], Any]]:
    """The jobs that the readers of the database are given from now on."""
    db = world.store._db  # type: ignore[attr-defined]
    jobs: list[Callable[[sqlite3.Connection], Any]] = []
    read = type(db).read

    async def noted(job: Callable[[sqlite3.Connection], Any]) -> Any:
        jobs.append(job)
        return await read(db, job)

    db.read = noted
    return jobs
