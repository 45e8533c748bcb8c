"""The SQLite store's own promises: who may open the file, how it fails and comes back, its indexes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.conversations import Range
from chatserver.core.errors import Unavailable
from chatserver.core.events import encode_event
from chatserver.journal.eventlog import Entry
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite import database as sqlite_db
from chatserver.store.sqlite import opening as sqlite_opening
from chatserver.store.sqlite.opening import FILE
from chatserver.store.sqlite.schema import APPLICATION_ID, MIGRATIONS, migrate
from chatserver.store.sqlite.store import SqliteStore
from tests.store.appender import acknowledged_until_killed
from tests.store.kit import Clock, SqliteHome, account, friend_draft, login, message, opened

ROOT = Path(__file__).resolve().parents[2]


async def _refusal(folder: Path) -> str:
    store = SqliteStore(folder, Clock(), busy_ms=300)
    with pytest.raises(StoreRefused) as refused:
        await store.start()
    assert not store.healthy
    await store.close()
    sentence = str(refused.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


# who may open it


async def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path / "deep" / "data")

    async with opened(home) as world:
        await world.join("ann")
        assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
        for path in home.folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)

    async with opened(home) as world:
        second = SqliteStore(tmp_path, Clock())
        with pytest.raises(StoreRefused, match=r"in use by another chatserver: stop"):
            await second.start()
        await second.close()
        await world.say("ann", "goes on")
    async with opened(home) as world:
        assert await world.texts("ann") == ["goes on"]


async def test_a_link_in_the_place_of_the_database_is_refused_with_the_way_out(
    tmp_path: Path,
) -> None:
    """SQLite's log would stand elsewhere, where nobody looks after it, nor at who may read it."""
    home = SqliteHome(tmp_path / "data")
    async with opened(home) as world:
        await world.say("ann", "kept")
    (home.folder / FILE).rename(tmp_path / FILE)
    (home.folder / FILE).symlink_to(tmp_path / FILE)
    assert "is a symbolic link" in await _refusal(home.folder)
    (home.folder / FILE).unlink()
    (tmp_path / FILE).rename(home.folder / FILE)
    (tmp_path / "link").symlink_to(home.folder)
    async with opened(SqliteHome(tmp_path / "link")) as world:
        assert await world.texts("ann") == ["kept"]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"once upon a time " * 1000)
    assert "not a database" in await _refusal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"once upon a time " * 1000


async def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("CREATE TABLE notes (text)")
    db.commit()
    db.close()
    assert "another program" in await _refusal(tmp_path)
    tables = sqlite3.connect(tmp_path / FILE).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("notes",)]


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    await _once(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    assert "newer chatserver" in await _refusal(tmp_path)


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "cannot be used" in await _refusal(tmp_path / "data")
    assert "cannot be used" in await _refusal(tmp_path / "data" / "deeper")


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    """In a child that is not root, since root may do anything."""
    tmp_path.chmod(0o700)
    child = os.fork()
    if child == 0:
        try:
            tmp_path.chmod(0)
            if os.geteuid() == 0:
                os.setuid(65534)
            asyncio.run(SqliteStore(tmp_path, Clock()).start())
        except StoreRefused as refused:
            os._exit(0 if "Permission denied" in str(refused) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    tmp_path.chmod(0o700)
    assert os.waitstatus_to_exitcode(status) == 0


async def _once(folder: Path) -> None:
    async with opened(SqliteHome(folder)) as world:
        await world.join("ann")


# schema versions


async def test_a_file_is_brought_up_step_by_step_and_keeps_its_data(tmp_path: Path) -> None:
    await _once(tmp_path)
    more = (
        ("ALTER TABLE users ADD COLUMN motto TEXT", "UPDATE users SET motto = id"),
        ("CREATE INDEX users_by_motto ON users (motto)",),
    )
    db = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    migrate(db, (*MIGRATIONS, *more))
    assert db.execute("SELECT id, motto FROM users").fetchall() == [("ann", "ann")]
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 2,)
    migrate(db, (*MIGRATIONS, *more))


RELEASED = ("69b13c9dde0f3cfcea7d252cdde9489594996636647835570688b6736d585608",)
"""The SHA-256 of each step that was released: it is never edited."""


def test_released_steps_are_as_they_were() -> None:
    steps = [hashlib.sha256("\n".join(step).encode()).hexdigest() for step in MIGRATIONS]
    assert steps[: len(RELEASED)] == list(RELEASED)


async def test_a_file_of_the_first_version_opens_with_everybody_signed_in(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    migrate(db, MIGRATIONS[:1])
    db.execute(
        "INSERT INTO users VALUES"
        " ('ann', 'ann@example.com', 'ann@example.com', 'hash', 'ann', '', 'ann', '#0000aa', 5, 6)"
    )
    db.execute("INSERT INTO logins VALUES ('c', 'ann', 'cookie', 'label of c', NULL, 1, NULL, 2)")
    db.execute("INSERT INTO logins VALUES ('t', 'ann', 'token', 'label of t', x'00', 1, NULL, 2)")
    db.execute("UPDATE meta SET value = 9 WHERE key = 'last_seq'")
    db.close()

    async with opened(SqliteHome(tmp_path)) as world:
        store = world.store
        assert world.journal.head_seq == 9
        assert await store.account("ann") == replace(account("ann"), password="hash", created_at=5)
        cookie = login("c", "ann", created_at=1, last_used_at=2)
        assert await store.login("c") == cookie
        assert await store.login_by_secret(b"\x00") is not None
        assert await store.add_login(login("new", "ann"))
        seq = await world.change_password("ann", "new", "c")
        assert await store.login("c") == replace(cookie, generation=seq)
        assert await store.login("new") is None and await store.login_by_secret(b"\x00") is None


async def test_whoever_was_there_before_is_found_by_the_given_name_in_a_full_name(
    tmp_path: Path,
) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("me")
        await world.store.add_account(account("wang", "王小明"))
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("DELETE FROM name_words WHERE word = '小明'")
        db.execute("PRAGMA user_version = 7")
    db.close()
    async with opened(SqliteHome(tmp_path)) as world:
        assert [user.id for user, _ in await world.store.search("me", "小明", 9)] == ["wang"]


async def test_a_step_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    await _once(tmp_path)
    bad = (("ALTER TABLE users ADD COLUMN motto TEXT", "UPDATE users SET nothing = 1"),)
    db = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (*MIGRATIONS, *bad))
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    db.close()
    await _once_more(tmp_path)


async def _once_more(folder: Path) -> None:
    async with opened(SqliteHome(folder)) as world:
        assert await world.store.account("ann") == account("ann")


# failing and coming back


async def test_a_file_that_cannot_be_written_is_unavailable_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = SqliteHome(tmp_path)

    async with opened(home) as world:
        await world.say("ann", "before")
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await world.say("ann", "lost", client_id="c")
        with pytest.raises(Unavailable):
            await world.join("bob")
        assert not world.store.healthy and not world.journal.healthy
        assert await world.texts("ann") == ["before"]
        other.execute("ROLLBACK")
        other.close()
        assert not (await world.say("ann", "after", client_id="c")).duplicate
        assert world.store.healthy and world.journal.healthy
        assert await world.texts("ann") == ["before", "after"]
    assert "locked" in caplog.text and "again" in caplog.text


async def test_a_full_disk_loses_nothing_that_was_acknowledged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = SqliteHome(tmp_path)

    async with opened(home) as world:
        db = world.store._db  # type: ignore[attr-defined]
        await db.write(lambda c: c.execute("PRAGMA max_page_count = 60") and None)
        acknowledged = []
        with pytest.raises(Unavailable):
            for n in range(200):
                await world.say("ann", f"{n} " + "x" * 3000)
                acknowledged.append(n)
        assert not world.journal.healthy
        page = await world.store.history("ann", Range(after=0, limit=200))
        assert len(page.events) == len(acknowledged) == len(world.events)
        await db.write(lambda c: c.execute("PRAGMA max_page_count = 100000") and None)
        await world.say("ann", "room again")
    assert "full" in caplog.text


async def test_one_bad_job_does_not_undo_its_neighbours(tmp_path: Path) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann")
        tries = [world.join(name) for name in ("bob", "ann", "cho")]
        outcome = await asyncio.gather(*tries, return_exceptions=True)
        assert [type(each).__name__ for each in outcome] == ["NoneType", "Conflict", "NoneType"]
        assert set(await world.store.users(["bob", "cho"])) == {"bob", "cho"}


async def test_a_job_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO blocks VALUES ('ann', 'bob')")
        raise LookupError("half way")

    async with opened(SqliteHome(tmp_path)) as world:
        db = world.store._db  # type: ignore[attr-defined]
        done = asyncio.gather(
            db.change("INSERT INTO blocks VALUES (?, ?)", [("ann", "cho")]),
            db.write(lambda c: None),
        )
        with pytest.raises(LookupError):
            await db.write(fails)
        await done
        assert not await world.store.blocked("ann", "bob")
        assert await world.store.blocked("ann", "cho")


async def test_a_read_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_opening, "READ_S", 0.05)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"

    async with opened(SqliteHome(tmp_path)) as world:
        db = world.store._db  # type: ignore[attr-defined]
        with pytest.raises(Unavailable):
            await db.read(lambda c: c.execute(endless).fetchone())
        assert await world.store.account("ann") is None
    assert "interrupted" in caplog.text


async def test_too_many_waiting_jobs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_db, "MAX_WAITING", 3)

    async with opened(SqliteHome(tmp_path)) as world:
        await world.journal.drop_passed()  # nothing of the start waits any more
        calls: tuple[Callable[[], Coroutine[Any, Any, object]], ...] = (
            lambda: world.store.account("a"),
            lambda: world.store.set_last_seen({"a": 1}),
        )
        for call in calls:
            await call()  # behind what the journal does when it starts
            outcome = await asyncio.gather(*(call() for _ in range(5)), return_exceptions=True)
            assert sum(isinstance(each, Unavailable) for each in outcome) == 2
            await call()


# kill -9


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    acknowledged: dict[str, int] = {}
    head = 0
    for lines in (40, 200):
        for seq, text in acknowledged_until_killed("sqlite", str(tmp_path), lines):
            # The second child repeats ids of the first: it is answered with the first's places.
            assert acknowledged.setdefault(text, seq) == seq

        async with opened(home) as world:
            stored = {
                event.seq: event.payload
                for event in await world.journal.replay(await world.view("ann"), 0, 2**53, 10**6)
            }
            for text, seq in acknowledged.items():
                assert f'"{text}"'.encode() in stored[seq]
            assert len(set(stored.values())) == len(stored)
            standing = await world.say("ann")
            assert standing.seq > max(stored) and standing.seq > head
            head = standing.seq
    assert len(acknowledged) >= 200


async def test_a_batch_of_any_size_and_mix_is_written_whole_but_what_is_a_repeat(
    tmp_path: Path,
) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        first_seq = seq = world.journal.head_seq
        wanted = list[tuple[Any, ...]]()
        for size in (1, 3, 89, 340):
            batch = list[Entry]()
            for number in range(size):
                seq += 1
                to, client_id = (None, "bob")[number % 2], (None, f"c{number}")[number % 3 > 0]
                draft = message("ann", f"text {seq}", to, client_id)
                if number % 7 == 6:
                    draft, client_id = friend_draft("ann", "bob", "friend"), None
                event = encode_event(draft, seq, 1000 + seq)
                batch.append(Entry((event,), client_id))
            outcome = await world.log.write(batch)
            for entry, older in zip(batch, outcome, strict=True):
                (event,) = entry.events
                if older is None:
                    about = "bob" if event.type == "friend" else None
                    said = event.type, event.audience.value, event.actor, event.to
                    wanted.append(
                        (event.seq, *said, event.at_ms, event.payload, entry.client_id, about)
                    )
                else:
                    assert older.duplicate and older.seq < event.seq and entry.client_id
        with closing(sqlite3.connect(tmp_path / FILE)) as db:
            found = db.execute("SELECT * FROM events WHERE seq > ?", (first_seq,)).fetchall()
        assert found == wanted and 200 < len(wanted) < 433
