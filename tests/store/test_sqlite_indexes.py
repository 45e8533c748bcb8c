"""The SQLite store finds things by index, and by whichever way it finds them finds the same."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from pathlib import Path

import pytest

from chatserver.core.conversations import BROADCASTS, Direct, Range
from chatserver.store.sqlite import history as sqlite_history
from chatserver.store.sqlite import ranges as sqlite_ranges
from chatserver.store.sqlite import replay as sqlite_replay
from chatserver.store.sqlite.opening import FILE
from chatserver.store.sqlite.schema import MIGRATIONS
from tests.store.kit import SqliteHome, World, login, opened


async def test_no_statement_reads_a_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every statement that the store runs, explained by SQLite itself."""
    statements: set[str] = set()
    connect = sqlite3.connect

    def traced(*args: object, **more: object) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*args, **more)  # type: ignore[call-overload]
        db.set_trace_callback(statements.add)
        return db

    monkeypatch.setattr(sqlite3, "connect", traced)
    for walk in (0, 1000):
        monkeypatch.setattr(sqlite_replay, "WALK_EVENTS", walk)
        monkeypatch.setattr(sqlite_ranges, "GATHERED", 256 if walk else 1)
        monkeypatch.setattr(sqlite_history, "LOOK_EVENTS", 1 + walk)
        async with opened(SqliteHome(tmp_path / str(walk))) as world:
            await _everything(world)
    monkeypatch.undo()
    db = connect(tmp_path / "0" / FILE)
    statements -= set(itertools.chain(*MIGRATIONS))  # done once, and to all there is
    plans = {text: _plan(db, text) for text in statements if _is_query(text)}
    assert len(plans) > 40
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    tables = tables - {"meta"} | {"also"}  # meta has a handful of rows
    for text, steps in plans.items():
        for step in steps:
            word, name, *_ = f"{step} -".split()
            # A range of all events is fine for whoever wants all of them, and for nobody else.
            wide = "PRIMARY KEY (rowid>" in step or "PRIMARY KEY (rowid<" in step
            assert not (wide and "actor =" in text), f"{step}: {text}"
            assert not (word == "SCAN" and name in tables), f"{step}: {text}"


def _is_query(text: str) -> bool:
    return text.split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}


def _plan(db: sqlite3.Connection, text: str) -> list[str]:
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}")]


async def _everything(world: World) -> None:
    store = world.store
    await world.join("ann", "bob", "cho", "dee")
    await world.relate("asked", "ann", "bob")
    await world.befriend("ann", "bob")
    for to in (None, "bob"):
        await world.say("ann", to=to, client_id=f"c{to}")
        await world.say("ann", to=to, client_id=f"c{to}")
        await world.read("bob", 5, None if to is None else "ann")
    await world.rename("ann", "Ann", "Lind")
    for id_ in ("c1", "c2"):
        await store.add_login(login(id_, "ann", secret_hash=id_.encode()))
    await store.login("c1")
    await store.login_by_secret(b"c1")
    await store.newcomers(["c1"], [b"c1"], ())
    await store.logins("ann", "cookie")
    await store.touch_logins({"c1": 1})
    await world.end_logins("ann", "c2")
    await store.drop_expired_logins(1)
    await store.account("ann")
    await store.account_by_email("ann")
    await store.users(["ann", "bob"])
    await world.change_password("ann", "x", "c1")
    await store.set_last_seen({"ann": 1})
    await store.search("cho", "ann li", 5)
    await store.in_common("cho", ["ann", "bob"])
    await world.block("cho", "ann", True)
    await store.blocks("cho")
    await store.blocked("cho", "ann")
    await world.block("cho", "ann", False)
    await store.friends("ann")
    await store.relation("ann", "bob")
    await store.find_message("ann", "cNone")
    for conversation in (BROADCASTS, Direct("ann")):
        for before, after in ((None, None), (2**53, None), (None, 0)):
            await store.history("bob", Range(conversation, before, after, 5))
    await store.read_state("bob")
    await store.standings("bob")
    view = await world.view("bob")
    await world.journal.replay(view, 0, 2**53, 5)
    await world.journal.backlog(view, 0, 2**53, 5)
    await asyncio.gather(*[world.journal.few(view, 0, 2**53, 5) for _ in range(2)])
    world.clock.now_ms *= 2
    await world.journal.drop_passed()
    await world.journal._probe()  # type: ignore[attr-defined]
    await world.end("ann", "bob")


async def test_walking_and_seeking_find_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short range is read and filtered, a long one answered by index: two ways, one answer."""
    people = [f"u{n}" for n in range(7)]

    async with opened(SqliteHome(tmp_path)) as world:
        await world.join(*people)
        chance = random.Random(7)
        for n in range(250):
            await _step(world, n, chance.randrange(10), *chance.sample(people, 2))
        seqs = [0, *(event.seq for event in world.events[::17]), world.journal.head_seq]
        for viewer in people:
            view = await world.view(viewer)
            assert view.friends
            for after in seqs:
                for limit in (1, 3, 500):
                    await _agree(world, view, after, seqs[-1], limit, monkeypatch)


async def _step(world: World, n: int, kind: int, one: str, other: str) -> None:
    match kind:
        case 5 | 6:
            await world.say(one, str(n))
        case 7 | 8:
            await world.befriend(one, other)
        case 0:
            await world.say(one, str(n))
        case 1:
            await world.say(one, str(n), to=other)
        case 2:
            await world.read(one, n, other)
        case 3:
            await world.relate("none", one, other)
        case 4:
            await world.rename(one, one)
        case _:
            await world.relate("asked", one, other)


async def test_a_page_of_broadcasts_is_the_same_walked_and_by_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walking over everybody's events, looking into each friend's range, or first the one and then the other."""
    people = [f"u{n}" for n in range(7)]

    async def pages(world: World, viewer: str, seq: int, limit: int) -> list[object]:
        found: list[object] = []
        for before, after in ((None, None), (seq, None), (None, seq)):
            page = await world.store.history(viewer, Range(BROADCASTS, before, after, limit))
            found.append(([event.payload for event in page.events], page.more))
        return found

    async with opened(SqliteHome(tmp_path)) as world:
        await world.join(*people)
        chance = random.Random(9)
        for n in range(250):
            await _step(world, n, chance.randrange(10), *chance.sample(people, 2))
        seqs = [0, *(event.seq for event in world.events[::25]), world.journal.head_seq]
        for viewer, seq, limit in itertools.product(people, seqs, (1, 4, 100)):
            found = []
            for look, cost in ((100_000, 0), (1, 0), (1, 3), (20, 1)):
                monkeypatch.setattr(sqlite_history, "LOOK_EVENTS", look)
                monkeypatch.setattr(sqlite_history, "RANGE_COST_EVENTS", cost)
                found.append(await pages(world, viewer, seq, limit))
            assert found[1:] == found[:1] * 3


async def _agree(
    world: World, view: object, after: int, up_to: int, limit: int, patch: pytest.MonkeyPatch
) -> None:
    found = []
    for walk, gathered in ((0, 1), (0, 256), (100_000, 1)):
        patch.setattr(sqlite_replay, "WALK_EVENTS", walk)
        patch.setattr(sqlite_replay, "WALK_EACH", walk)
        patch.setattr(sqlite_ranges, "GATHERED", gathered)
        replayed = await world.journal.replay(view, after, up_to, limit)  # type: ignore[arg-type]
        counted = await world.journal.backlog(view, after, up_to, limit)  # type: ignore[arg-type]
        assert counted == len(replayed)
        found.append([event.payload for event in replayed])
    assert found[0] == found[1] == found[2]


async def test_who_missed_too_much_is_refused_without_reading_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand events used to be read and decoded first, for each poll with a cursor of long ago."""
    monkeypatch.setattr(sqlite_replay, "WALK_EVENTS", 20)
    statements: list[str] = []

    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        for n in range(60):
            await world.say("ann", str(n))
        view = await world.view("bob")

        def counted(db: sqlite3.Connection) -> int:
            db.set_trace_callback(statements.append)
            try:
                return sqlite_replay.count_visible(db, view, 0, 2**53, 10)
            finally:
                db.set_trace_callback(None)

        db = world.store._db  # type: ignore[attr-defined]
        assert await db.read(counted) == 10
    assert statements
    for text in statements:
        assert "payload" not in text
        assert "SELECT seq" not in text, "they are counted by index, none is read"
