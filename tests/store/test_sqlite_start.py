"""How a start on SQLite ends where it cannot go on: cancelled while it migrates, on a full disk, out of descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite import database as sqlite_db
from chatserver.store.sqlite.opening import FILE
from chatserver.store.sqlite.schema import MIGRATIONS, migrate
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import Clock, SqliteHome, opened

_SLOW = (
    "CREATE TABLE numbers (n INTEGER)",
    "WITH RECURSIVE n(x) AS (SELECT begun() UNION ALL SELECT x + 1 FROM n LIMIT 1000000000)"
    " INSERT INTO numbers SELECT x FROM n",
)
"""A step that would take an hour, and can be interrupted."""


async def test_a_start_that_is_cancelled_while_it_migrates_closes_nothing_under_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is waited for; a start right after finds the folder free, and the version before the step."""
    begun, ended = threading.Event(), threading.Event()
    found: list[str] = []

    def begins() -> int:
        begun.set()
        return 1

    def slow(db: sqlite3.Connection) -> None:
        migrate(db)
        # Only a statement that runs can be interrupted: it says so itself.
        db.create_function("begun", 0, begins)
        try:
            migrate(db, (*MIGRATIONS, _SLOW))
        except sqlite3.Error as error:
            found.append(str(error))
            raise
        finally:
            ended.set()

    monkeypatch.setattr(sqlite_db, "migrate", slow)
    store = SqliteStore(tmp_path, Clock())
    starting = asyncio.create_task(store.start())
    assert await asyncio.to_thread(begun.wait, 30)
    starting.cancel()
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ended.is_set()
    assert found == ["interrupted"]
    await store.close()
    assert not store.healthy
    monkeypatch.undo()
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann")
    version = sqlite3.connect(tmp_path / FILE).execute("PRAGMA user_version").fetchone()
    assert version == (len(MIGRATIONS),)


async def _refusal(folder: Path) -> str:
    with pytest.raises(StoreRefused) as refused:
        await SqliteStore(folder, Clock()).start()
    return str(refused.value)


async def test_a_full_disk_is_called_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to say that a backup was to be restored."""

    def small(db: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
        db.execute("PRAGMA max_page_count = 4")
        migrate(db, migrations)

    monkeypatch.setattr(sqlite_db, "migrate", small)
    assert "is full: make room on it" in await _refusal(tmp_path)
    monkeypatch.undo()
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann")


async def test_a_disk_that_is_full_for_the_folder_itself_is_called_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "open", full)
    assert "is full: make room on it" in await _refusal(tmp_path)


async def test_no_thread_for_a_reader_is_a_sentence_and_gives_the_folder_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "sqlite-reader-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert "No thread can be started" in await _refusal(tmp_path)
    monkeypatch.undo()
    async with opened(SqliteHome(tmp_path)) as world:
        await world.join("ann")
