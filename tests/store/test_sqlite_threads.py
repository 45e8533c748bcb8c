"""The threads of the SQLite store: taken at the start, mended after a failure, and looked at by `healthy`."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chatserver.core.errors import Unavailable
from chatserver.store.sqlite import database as sqlite_db
from chatserver.store.sqlite import opening as sqlite_opening
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import Clock, SqliteHome, account, opened

ROOT = Path(__file__).resolve().parents[2]


async def test_a_started_store_has_all_its_threads_and_connections(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, Clock())
    await store.start()
    names = {thread.name for thread in threading.enumerate()}
    assert {"sqlite-writer", "sqlite-reader-1", "sqlite-reader-2", "sqlite-reader-3"} <= names
    files = _open_files()
    await asyncio.gather(*(store.account("ann") for _ in range(50)))
    await store.add_account(account("ann"))
    assert _open_files() == files
    await store.close()


def _open_files() -> int:
    return len(os.listdir("/dev/fd"))


async def test_a_connection_that_fails_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also while nobody reads: the server is ready again by itself."""
    monkeypatch.setattr(sqlite_db, "PROBE_S", 0.05)
    connect = sqlite_opening.Reader._connect

    def refused(reader: sqlite_opening.Reader) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    everybody = threading.Barrier(sqlite_db.READERS)

    def broken(db: sqlite3.Connection) -> None:
        everybody.wait(60)  # so each thread has one of these
        raise sqlite3.OperationalError("disk I/O error")

    async with opened(SqliteHome(tmp_path)) as world:
        store = world.store
        db = store._db  # type: ignore[attr-defined]
        await world.join("ann")
        monkeypatch.setattr(sqlite_opening.Reader, "_connect", refused)
        reads = [db.read(broken) for _ in range(sqlite_db.READERS)]
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * sqlite_db.READERS
        for _ in range(20):
            with pytest.raises(Unavailable):
                await store.account("ann")
        assert not store.healthy
        await world.say("ann", "writing goes on")
        monkeypatch.setattr(sqlite_opening.Reader, "_connect", connect)
        async with asyncio.timeout(30):
            while not store.healthy:
                await asyncio.sleep(0.01)
        for _ in range(20):
            assert await store.account("ann") is not None
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert len(errors) == 1 and "can be used again" in caplog.text


async def test_a_moment_without_memory_is_an_outage_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it comes between the jobs, too: the thread of the writer died of it, and nothing was saved any more."""
    monkeypatch.setattr(sqlite_db, "PROBE_S", 0.05)

    def starved(connection: sqlite3.Connection) -> None:
        raise MemoryError

    async with opened(SqliteHome(tmp_path)) as world:
        db = world.store._db  # type: ignore[attr-defined]
        await world.join("ann")
        db._writer = _Starved(db._writer)
        for ask in (db.read, db.write):
            with pytest.raises(Unavailable):
                await ask(starved)
        for db._writer.lacks in ("BEGIN IMMEDIATE", "COMMIT"):
            with pytest.raises(Unavailable):
                await world.store.add_account(account("bob"))
            assert not world.store.healthy
        db._writer.lacks = ""
        async with asyncio.timeout(30):
            while not world.store.healthy:
                await asyncio.sleep(0.01)
        await world.store.add_account(account("bob"))
        assert await world.store.account("bob") is not None
    assert "failed: no memory" in caplog.text and "can be used again" in caplog.text


class _Starved:
    """A connection that has no memory for one statement."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.lacks = ""

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement == self.lacks:
            raise MemoryError
        return self._db.execute(statement, *values)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)


async def test_health_hears_of_a_reading_that_nobody_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_db, "IDLE_S", 0.05)
    monkeypatch.setattr(sqlite_db, "PROBE_S", 0.05)

    def broken(db: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with opened(SqliteHome(tmp_path)) as world:
        await world.store.account("ann")
        monkeypatch.setattr(sqlite_db, "_look", broken)
        async with asyncio.timeout(30):
            while world.store.healthy:
                await asyncio.sleep(0.01)
        monkeypatch.undo()
        async with asyncio.timeout(30):
            while not world.store.healthy:
                await asyncio.sleep(0.01)
    assert "disk I/O error" in caplog.text


async def test_health_hears_of_a_write_that_works_again_though_nobody_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_db, "PROBE_S", 0.05)
    async with opened(SqliteHome(tmp_path)) as world:
        db = world.store._db  # type: ignore[attr-defined]
        await db.write(lambda c: c.execute("PRAGMA query_only = 1") and None)
        with pytest.raises(Unavailable):
            await world.store.set_last_seen({"ann": 1})
        assert not world.store.healthy
        db._writer.execute("PRAGMA query_only = 0")
        async with asyncio.timeout(30):
            while not world.store.healthy:
                await asyncio.sleep(0.01)
    assert "writing the database failed" in caplog.text


@pytest.mark.parametrize("name", ["sqlite-writer", "sqlite-reader-1"])
async def test_a_thread_that_has_died_is_no_health(tmp_path: Path, name: str) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        db = world.store._db  # type: ignore[attr-defined]
        assert world.store.healthy
        (db._writes if name == "sqlite-writer" else db._reads).put(None)
        async with asyncio.timeout(30):
            while world.store.healthy:
                await asyncio.sleep(0.01)


# no descriptors

_CHILD = """
import asyncio, os, resource, sys
from pathlib import Path
from chatserver.core.errors import Unavailable
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite import database
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import Clock, account

database.PROBE_S = 0.05
when, folder = sys.argv[1], Path(sys.argv[2])

def exhaust(but):
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        for _ in range(but):
            os.close(taken.pop())
    return taken

def give_back(taken):
    for fd in taken:
        os.close(fd)

def broken(db):
    import sqlite3
    raise sqlite3.OperationalError("disk I/O error")

async def start_without(but):
    taken = exhaust(but)
    try:
        await store.start()
        return ""
    except StoreRefused as refused:
        return str(refused)
    finally:
        give_back(taken)

async def main():
    global store
    store = SqliteStore(folder, Clock())
    if when == "start":
        sentences = []
        while sentence := await start_without(len(sentences)):
            sentences.append(sentence)
            store = SqliteStore(folder, Clock())
        # Each start lacked one descriptor less, so each step of it failed once.
        assert len(sentences) > 5, sentences
        for sentence in sentences:
            assert "raise the limit of open files" in sentence, sentence
    else:
        await store.start()
    taken = exhaust(0)
    # What is open stays usable: nothing more is opened for a read or a write.
    await asyncio.gather(*(store.account("ann") for _ in range(100)))
    await store.add_account(account("ann"))
    # Now each reader loses its connection, and cannot have another one.
    async def read_badly():
        try:
            await store._db.read(broken)
        except Unavailable:
            pass
    while len(store._db._failing) < database.READERS:
        await read_badly()
    assert not store.healthy
    give_back(taken)
    async with asyncio.timeout(30):
        while not store.healthy:
            await asyncio.sleep(0.01)
    for _ in range(100):
        assert await store.account("ann") is not None
    await store.close()

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
asyncio.run(main())
print("whole")
"""


@pytest.mark.parametrize("when", ["start", "later"])
def test_a_moment_without_descriptors_ends_with_that_moment(tmp_path: Path, when: str) -> None:
    """A start says what is missing; later the store comes back by itself, without a restart."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 64
    command = [sys.executable, "-c", _CHILD, when, str(tmp_path / "data")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.stdout == "whole\n", done.stderr
