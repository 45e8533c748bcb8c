"""One SQLite file: who may open it, the thread that writes it, and the threads that read it.

Nothing of what is stored lives here. Jobs are functions of a connection; results come back on the
event loop. The writer commits whatever waits in one transaction (group commit): it batches what waits and
never waits to batch.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from chatserver.core.errors import Unavailable
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite.schema import migrate

_log = logging.getLogger("chatserver.store")
T = TypeVar("T")

FILE = "chat.sqlite3"
LOCK = "chat.lock"
READERS = 3
"""Threads: reads are short, and more threads than cores only take turns at the interpreter."""
MAX_WAITING = 5000
"""Jobs that wait for a thread, reading and writing each; one more is `Unavailable`."""
MAX_JOBS = 256
"""Jobs in one transaction: bounds what one failed commit can take with it."""
READ_S = 10.0
"""A read that takes longer is ended: something is wrong with it, and its thread is needed."""
_PROGRESS_STEPS = 100_000
"""Steps of SQLite's machine between two looks at the clock, about a millisecond."""


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Database:
    """The file in `folder`, for one process at a time.

    `busy_ms` is how long a write waits for somebody else's lock on the file (a backup tool) before it
    is `Unavailable`.
    """

    def __init__(self, folder: Path, busy_ms: int = 5000) -> None:
        self.path = folder / FILE
        self.healthy = False
        self._folder = folder
        self._busy_ms = busy_ms
        self._lock_fd: int | None = None
        self._writer: sqlite3.Connection | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting_writes = 0
        self._waiting_reads = 0
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Take the folder for this process, bring the file up to date and start the threads.

        Raises `StoreRefused` with a sentence for the operator where that cannot be.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)
        self.healthy = True
        self._pool = ThreadPoolExecutor(READERS, "sqlite-reader", self._open_reader)
        self._thread = threading.Thread(target=self._write_all, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish the jobs that wait, close the file and give the folder free. Safe to call twice."""
        self.healthy = False
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown)
            self._pool = None
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._let_go()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer's next transaction; return its result once that is durable.

        What `work` raises undoes its own part only and is raised here. Raises `Unavailable` where the
        file cannot be written (nothing of `work` stays then) or too many jobs wait.
        """
        if self._thread is None or self._loop is None or self._waiting_writes >= MAX_WAITING:
            raise Unavailable("The server cannot save anything at the moment.")
        job = _Job(work, self._loop.create_future())
        self._waiting_writes += 1
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on one unchanging snapshot that holds everything durable by now.

        Raises `Unavailable` where the file cannot be read, too many jobs wait, or it takes too long.
        """
        if self._pool is None or self._loop is None or self._waiting_reads >= MAX_WAITING:
            raise Unavailable("The server cannot look anything up at the moment.")
        self._waiting_reads += 1
        try:
            return await self._loop.run_in_executor(self._pool, self._read, work)
        except sqlite3.OperationalError as error:
            _log.error("reading the database failed: %s", error)
            raise Unavailable("The server cannot look this up at the moment.") from error
        finally:
            self._waiting_reads -= 1

    async def row(self, statement: str, values: Sequence[Any]) -> Any:
        """The first row that `statement` finds, or None."""
        return await self.read(lambda db: db.execute(statement, values).fetchone())

    async def rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """All rows that `statement` finds."""
        return await self.read(lambda db: db.execute(statement, values).fetchall())

    async def change(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """Carry out `statement` once for each of `values`, all or none."""
        if values:
            await self.write(lambda db: db.executemany(statement, values) and None)

    # opening

    def _open(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            # SQLite gives its side files the mode of this one.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            self._let_go()
            raise StoreRefused(
                f"The data folder {self._folder} cannot be used ({error.strerror}):"
                " name one that this user may read and write."
            ) from error
        try:
            self._writer = self._connect_writer()
            migrate(self._writer)
        except StoreRefused:
            self._let_go()
            raise
        except sqlite3.Error as error:
            self._let_go()
            raise StoreRefused(
                f"{self.path} cannot be used as a database ({error}): restore it from a backup,"
                " or choose another data folder."
            ) from error

    def _take_lock(self) -> None:
        fd = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise StoreRefused(
                f"The data in {self._folder} are in use by another chatserver:"
                " stop that one, or choose another data folder."
            ) from error
        self._lock_fd = fd

    def _connect_writer(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path,
            timeout=self._busy_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        self._writer = db
        # WAL: readers and the writer do not wait for each other. FULL: a commit returns only when it
        # would survive a power cut; NORMAL was hardly faster with group commit.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def _open_reader(self) -> None:
        db = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=ro",
            uri=True,
            timeout=self._busy_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        self._readers.append(db)
        self._local.db = db
        self._local.until = 0.0
        local = self._local
        db.set_progress_handler(lambda: time.monotonic() > local.until, _PROGRESS_STEPS)

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    # the threads

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db: sqlite3.Connection = self._local.db
        self._local.until = time.monotonic() + READ_S
        db.execute("BEGIN")
        try:
            return work(db)
        finally:
            self._local.until = time.monotonic() + READ_S
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _write_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            last = False
            while len(jobs) < MAX_JOBS and not last:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                else:
                    jobs.append(more)
            self._commit(jobs)
            if last:
                return

    def _commit(self, jobs: list[_Job]) -> None:
        db = self._writer
        assert db is not None, "the writer runs only while the file is open"
        try:
            db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run(db, job, alone=len(jobs) == 1)
            if db.in_transaction:
                db.execute("COMMIT")
            self._note_health(True, None)
        except sqlite3.Error as error:
            _roll_back(db)
            self._note_health(False, error)
            for job in jobs:
                job.error = Unavailable("The server cannot save anything at the moment.")
        assert self._loop is not None, "the writer runs only after start"
        self._loop.call_soon_threadsafe(self._deliver, jobs)

    def _run(self, db: sqlite3.Connection, job: _Job, alone: bool) -> None:
        # A savepoint makes SQLite keep the former content of each page that changes: a third of the CPU time of
        # ten messages. Where there is only one job, undoing everything undoes that job.
        if not alone:
            db.execute("SAVEPOINT job")
        try:
            job.result = job.work(db)
        except sqlite3.Error:
            # A full disk or a broken file is everybody's: SQLite may have undone all of it already.
            raise
        except Exception as error:
            # Anything else is that caller's alone, who gets it; the thread has to go on.
            job.error = error
            db.execute("ROLLBACK" if alone else "ROLLBACK TO job")
        if not alone:
            db.execute("RELEASE job")

    def _note_health(self, healthy: bool, error: sqlite3.Error | None) -> None:
        """Keep `healthy`, and log where it changes: an outage is one line, not one for every write."""
        if self.healthy and not healthy:
            _log.error("writing the database failed: %s", error)
        elif healthy and not self.healthy:
            _log.warning("the database can be written again")
        self.healthy = healthy

    def _deliver(self, jobs: list[_Job]) -> None:
        self._waiting_writes -= len(jobs)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)


class SqlitePart:
    """What each part of the store has: the database."""

    def __init__(self, db: Database) -> None:
        self._db = db


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except sqlite3.Error as error:
            _log.error("undoing a failed write failed as well: %s", error)
