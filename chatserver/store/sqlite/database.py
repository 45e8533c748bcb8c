"""One SQLite file: the thread that writes it, and the threads that read it.

Nothing of what is stored lives here. Jobs are functions of a connection; results come back on the
event loop. The writer commits whatever waits in one transaction (group commit): it batches what waits and
never waits to batch.

Every thread and every connection is there before the start has ended. A connection that failed is closed, and
its thread takes another one: for its next job, and while it is idle once in `PROBE_S`.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from chatserver.core.errors import Unavailable
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite.opening import (
    FAILURES,
    PROGRESS_STEPS,
    Failure,
    Folder,
    OpenFiles,
    Reader,
    connect_writer,
    said,
)
from chatserver.store.sqlite.schema import migrate

_log = logging.getLogger("chatserver.store")
T = TypeVar("T")
V = TypeVar("V")

READERS = 4
"""Threads: reads are short, and more threads than cores only take turns at the interpreter. One more than costly reads may
have at once (`Limits.reads_at_once`), so that a sign-in never waits behind them."""
MAX_WAITING = 5000
"""Jobs that wait for a thread, reading and writing each; one more is `Unavailable`."""
MAX_JOBS = 256
"""Jobs in one transaction: bounds what one failed commit can take with it."""
PROBE_S = 1.0
"""How often a thread that could not do its work tries whether it can again."""
IDLE_S = 5.0
"""How often a reader without work tries whether it could do some, so that `healthy` does not speak of long ago.
The writer looks at the files only: a write costs a sync of the disk."""
_CANNOT_SAVE = "The server cannot save anything at the moment."
_CANNOT_READ = "The server cannot look this up at the moment."


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any] | None
    """None where nobody waits: a probe."""
    result: Any = None
    error: BaseException | None = None


_Jobs = queue.SimpleQueue[_Job | None]


class Database:
    """The file in `folder`, for one process at a time, or for several that are all `shared`.

    `busy_ms` is how long a write waits for somebody else's lock on the file (a backup tool, another of those processes)
    before it is `Unavailable`.
    """

    def __init__(self, folder: Path, busy_ms: int = 5000, shared: bool = False) -> None:
        self._folder = Folder(folder, shared)
        self._busy_ms = busy_ms
        self._writer: sqlite3.Connection | None = None
        self._readers: list[Reader] = []
        self._files: OpenFiles | None = None
        self._writes: _Jobs = queue.SimpleQueue()
        self._reads: _Jobs = queue.SimpleQueue()
        self._waiting_writes = 0
        self._waiting_reads = 0
        self._threads: list[threading.Thread] = []
        self._failing: set[object] = set()
        """Of the writer and the readers those that could not do what they were last asked."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    @property
    def healthy(self) -> bool:
        """Whether each thread lives, and could do what it was last asked: reading as well as writing."""
        return self._runs and not self._failing and all(t.is_alive() for t in self._threads)

    @property
    def _runs(self) -> bool:
        return bool(self._threads) and not self._stopping

    async def start(self) -> None:
        """Take the folder for this process, bring the file up to date and start the threads.

        Raises `StoreRefused` with a sentence for the operator where that cannot be.
        """
        self._loop = asyncio.get_running_loop()
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread goes on whatever happens to this task: nothing is closed under it.
            self._stopping = True
            while not opening.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({opening})
            opening.exception()
            self._let_go()
            raise
        self._start_threads()

    async def close(self) -> None:
        """Finish the jobs that wait, close the file and give the folder free. Safe to call twice."""
        self._stopping = True
        if self._threads:
            await asyncio.to_thread(self._end_threads)
        self._let_go()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer's next transaction; return its result once that is durable.

        What `work` raises undoes its own part only and is raised here. Raises `Unavailable` where the
        file cannot be written (nothing of `work` stays then) or too many jobs wait.
        """
        if not self._runs or self._waiting_writes >= MAX_WAITING:
            raise Unavailable(_CANNOT_SAVE)
        self._waiting_writes += 1
        return await self._do(work, self._writes)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on one unchanging snapshot that holds everything durable by now.

        Raises `Unavailable` where the file cannot be read, too many jobs wait, or it takes too long.
        """
        if not self._runs or self._waiting_reads >= MAX_WAITING:
            raise Unavailable(_CANNOT_READ)
        self._waiting_reads += 1
        return await self._do(work, self._reads)

    async def _do(self, work: Callable[[sqlite3.Connection], T], jobs: _Jobs) -> T:
        assert self._loop is not None, "threads run only after start"
        future: asyncio.Future[T] = self._loop.create_future()
        jobs.put(_Job(work, future))
        return await future

    async def probe(self) -> None:
        """Return where the file can be read and written. Raises `Unavailable`."""
        await self.write(_touch)
        await self.read(_look)

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
            self._folder.take()
            self._writer = connect_writer(self._folder.file, self._busy_ms)
            # A start that is given up does not wait for the end of a long migration.
            self._writer.set_progress_handler(lambda: self._stopping, PROGRESS_STEPS)
            migrate(self._writer)
            self._folder.refuse_full()
            self._writer.set_progress_handler(None, 0)
            for _ in range(READERS):
                self._readers.append(Reader(self._folder.file, self._busy_ms))
                self._readers[-1].read(_look)
            self._files = self._folder.opened()
            for reader in self._readers:
                reader.files = self._files
        except (OSError, sqlite3.Error) as error:
            refusal = self._folder.refusal(error)
            self._let_go()
            raise refusal from error
        except StoreRefused:
            self._let_go()
            raise

    def _start_threads(self) -> None:
        works: list[Callable[[], None]] = [
            self._write_all,
            *(partial(self._read_all, reader) for reader in self._readers),
        ]
        try:
            for number, work in enumerate(works):
                name = f"sqlite-reader-{number}" if number else "sqlite-writer"
                thread = threading.Thread(target=work, name=name, daemon=True)
                thread.start()
                self._threads.append(thread)
        except RuntimeError as error:
            self._end_threads()
            self._let_go()
            raise StoreRefused(
                f"No thread can be started ({error}): raise the limit of processes and threads."
            ) from error

    def _end_threads(self) -> None:
        self._writes.put(None)
        for _ in self._readers:
            self._reads.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _let_go(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._folder.let_go()

    # the threads

    def _read_all(self, reader: Reader) -> None:
        while True:
            try:
                job = self._reads.get(timeout=PROBE_S if reader in self._failing else IDLE_S)
            except queue.Empty:
                job = _Job(_look, None)
            if job is None:
                return
            # A read that was given up has nobody waiting.
            if job.future is None or not job.future.cancelled():
                self._read(reader, job)
            self._hand_back(self._deliver_read, job)

    def _read(self, reader: Reader, job: _Job) -> None:
        try:
            job.result = reader.read(job.work)
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
            job.error = error
        except FAILURES as error:
            if job.future is not None and not reader.is_lost:
                _log.error("reading the database failed: %s", said(error))
            self._note_health(reader, error if reader.is_lost else None)
            job.error = Unavailable(_CANNOT_READ)
            job.error.__cause__ = error
        except Exception as error:
            # It is the caller's own; the thread has to go on.
            job.error = error
        else:
            self._note_health(reader, None)

    def _write_all(self) -> None:
        while True:
            try:
                fails = self._writer in self._failing
                job = self._writes.get(timeout=PROBE_S if fails else IDLE_S)
            except queue.Empty:
                if not fails:
                    self._look_at_files()
                    continue
                job = _Job(_touch, None)
            if job is None:
                return
            jobs = [job]
            last = False
            while len(jobs) < MAX_JOBS and not last:
                try:
                    more = self._writes.get_nowait()
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
                self._check_files()  # as late as can be: what is acknowledged is to be there after a restart
                db.execute("COMMIT")
            self._note_health(db, None)
        except FAILURES as error:
            _roll_back(db)
            self._note_health(db, error)
            for job in jobs:
                job.error = Unavailable(_CANNOT_SAVE)
        self._hand_back(self._deliver_writes, jobs)

    def _check_files(self) -> None:
        assert self._files is not None, "threads run only while the files are open"
        self._files.check()

    def _look_at_files(self) -> None:
        try:
            self._check_files()
        except sqlite3.Error as error:
            self._note_health(self._writer, error)

    def _run(self, db: sqlite3.Connection, job: _Job, alone: bool) -> None:
        # A savepoint makes SQLite keep the former content of each page that changes: a third of the CPU time of
        # ten messages. Where there is only one job, undoing everything undoes that job.
        if not alone:
            db.execute("SAVEPOINT job")
        try:
            job.result = job.work(db)
        except FAILURES:
            # A full disk or a broken file is everybody's: SQLite may have undone all of it already.
            raise
        except Exception as error:
            # Anything else is that caller's alone, who gets it; the thread has to go on.
            job.error = error
            db.execute("ROLLBACK" if alone else "ROLLBACK TO job")
        if not alone:
            db.execute("RELEASE job")

    def _note_health(self, who: object, error: Failure | None) -> None:
        """Remember who fails; log where that begins and ends: an outage is one line, not one for every job."""
        what = "writing" if who is self._writer else "reading"
        if error is None and who in self._failing:
            self._failing.discard(who)
            if not self._failing:
                _log.warning("the database can be used again")
        elif error is not None and who not in self._failing:
            if not self._failing:
                why = self._folder.why(error) if what == "writing" else said(error)
                _log.error("%s the database failed: %s", what, why)
            self._failing.add(who)

    def _hand_back(self, deliver: Callable[[V], None], what: V) -> None:
        assert self._loop is not None, "threads run only after start"
        # Where the loop is gone nobody waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(deliver, what)

    def _deliver_read(self, job: _Job) -> None:
        self._waiting_reads -= job.future is not None
        _settle(job)

    def _deliver_writes(self, jobs: list[_Job]) -> None:
        for job in jobs:
            self._waiting_writes -= job.future is not None
            _settle(job)


class SqlitePart:
    """What each part of the store has: the database."""

    def __init__(self, db: Database) -> None:
        self._db = db


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except FAILURES as error:
            _log.error("undoing a failed write failed as well: %s", said(error))


def _settle(job: _Job) -> None:
    future = job.future
    if future is None or future.done():
        return
    if job.error is not None:
        future.set_exception(job.error)
    else:
        future.set_result(job.result)


def _look(db: sqlite3.Connection) -> None:
    """Read something from the file, to learn whether reading works."""
    db.execute("SELECT value FROM meta WHERE key = 'last_seq'").fetchone()


def _touch(db: sqlite3.Connection) -> None:
    """Write something that changes nothing, to learn whether writing works."""
    db.execute("UPDATE meta SET value = value WHERE key = 'last_seq'")
