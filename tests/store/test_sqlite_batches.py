"""How a batch of events gets into SQLite: at once and whole, or not at all, and by no detour over the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.events import encode_event
from chatserver.journal.eventlog import Entry
from chatserver.store.sqlite.eventlog import ROWS_AT_ONCE, write_batch
from chatserver.store.sqlite.opening import CHECKPOINT_PAGES, FILE, connect_writer
from chatserver.store.sqlite.schema import migrate
from tests.store.kit import SqliteHome, message, opened

PEOPLE = 3000
"""So many that their places in an index fill more pages than a statement may keep in memory."""


def entry(seq: int, actor: str, client_id: str | None = None) -> Entry:
    """A message at this place."""
    draft = message(actor, f"text {seq}", None, client_id)
    return Entry((encode_event(draft, seq, 1000 + seq),), client_id)


@pytest.mark.parametrize("bad_at", range(4))
async def test_a_batch_in_which_one_event_cannot_stand_leaves_nothing_and_can_come_again(
    tmp_path: Path, bad_at: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Its place is taken: no two events may have the same. Nobody of the batch is told that theirs is there, nor who wrote
    something else in the same transaction."""
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann", "bob")
        taken = (await world.say("ann", "first")).seq
        seqs = [
            taken + 1 + number for number in range(100)
        ]  # two statements, of 64 and of 16 rows, at the least
        good = [entry(seq, "bob", f"c{seq}") for seq in seqs]
        at = (0, 40, 70, 99)[bad_at]
        bad = [*good[:at], entry(taken, "bob", "bad"), *good[at + 1 :]]
        outcome = await asyncio.gather(
            world.join("cho"),
            world.log.write(bad),
            world.join("dee"),
            return_exceptions=True,
        )
        assert [type(each) for each in outcome[1:2]] == [Unavailable]
        assert await world.texts("bob") == [] and await world.texts("ann") == ["first"]
        for name, told in zip(("cho", "dee"), (outcome[0], outcome[2]), strict=True):
            there = name in await world.store.users([name])
            assert there is (told is None), f"{name} was told {told!r}"
        assert await world.log.write(good) == [None] * len(good)
        again = await world.log.write([entry(seq + 1000, "bob", f"c{seq}") for seq in seqs])
        assert [older.seq for older in again if older is not None] == seqs
        assert await world.log.last_seq() == seqs[-1]
        with closing(sqlite3.connect(tmp_path / FILE)) as db:
            found = db.execute("SELECT seq FROM events ORDER BY seq").fetchall()
        assert [seq for (seq,) in found] == [taken, *seqs]
    assert "writing the database failed" in caplog.text


def test_no_statement_keeps_what_its_pages_held_in_a_file_of_its_own(tmp_path: Path) -> None:
    """SQLite would, to undo half of a statement alone: on the disk from 64 KiB on ("Temporary Files Used By SQLite", 2.4)."""
    with closing(connect_writer(tmp_path / FILE, 300)) as db:
        migrate(db)
        order = sorted(range(PEOPLE), key=lambda number: number * 7919 % PEOPLE)
        for at in range(0, PEOPLE, 500):
            some = order[at : at + 500]
            batch = [
                entry(1 + at + n, f"person {who:09d}", f"{who:064d}") for n, who in enumerate(some)
            ]
            assert set(write_batch(db, batch)) == {None}
        seen: set[str] = set()
        steps = 0

        def look() -> None:
            nonlocal steps
            steps += 1
            for link in Path("/proc/self/fd").iterdir():
                try:
                    seen.add(link.readlink().name)
                except OSError:
                    continue  # it was this look's own

        db.set_progress_handler(look, 200)
        many = ROWS_AT_ONCE[0]
        far = [order[PEOPLE // many * number] for number in range(many)]
        db.execute("BEGIN")
        write_batch(
            db,
            [entry(10_000 + n, f"person {who:09d}", f"{who:063d}x") for n, who in enumerate(far)],
        )
        db.execute("COMMIT")
    assert steps > 10 and FILE in seen
    assert not [name for name in seen if name.startswith("etilqs")], "SQLite's name for it"


def test_the_log_beside_the_file_is_used_again(tmp_path: Path) -> None:
    """It grows to CHECKPOINT_PAGES and what one batch holds, however much is written."""
    page_bytes, most_bytes = 4096 + 24, 0
    with closing(connect_writer(tmp_path / FILE, 300)) as db:
        migrate(db)
        for number in range(16):
            payloads = [b"x" * 4000] * 500
            db.execute("BEGIN")
            db.executemany(
                "INSERT INTO events (seq, type, audience, actor, at, payload)"
                " VALUES (?, 'message', 2, 'ann', 1, ?)",
                [(1000 * number + n, payload) for n, payload in enumerate(payloads)],
            )
            db.execute("COMMIT")
            most_bytes = max(most_bytes, (tmp_path / f"{FILE}-wal").stat().st_size)
    assert 1000 * page_bytes < most_bytes < (CHECKPOINT_PAGES + 2000) * page_bytes
