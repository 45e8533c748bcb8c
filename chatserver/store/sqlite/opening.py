"""How the file is opened: who may (one process at a time, or several that share a lock), by which connections, and why it could not be;
and whether its files still stand where they were opened."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from chatserver.store.contract import StoreRefused

T = TypeVar("T")

Failure = sqlite3.Error | MemoryError
FAILURES = (sqlite3.Error, MemoryError)
"""How SQLite says that it could not. The second is want of memory: an outage like any other, and not the end of a thread."""

FILE = "chat.sqlite3"
LOCK = "chat.lock"
READ_S = 10.0
"""A read that takes longer is ended: something is wrong with it, and its thread is needed."""
PROGRESS_STEPS = 100_000
"""Steps of SQLite's machine between two looks at the clock, about a millisecond."""
CHECKPOINT_PAGES = 4000
"""Pages in the log before the writer moves them into the file, 16 MB. A page that changes again meanwhile is moved once:
at SQLite's own 1,000 that work was a sixth of the CPU of writing, and stood in the way of two batches in a hundred. A
reader finds a page among so many by one table of hashes; with more it needs a second."""
_FULL_BYTES = 64 * 1024
"""With less room a new database cannot be made, and SQLite does not always say that this was the reason."""
_FILES_OF_A_CONNECTION = 4
"""The database, its log, the log's index, and for a moment the folder. What SQLite had of them is closed again
when it says that it could not open something."""
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_PROBE = "chat.probe"
_ROOM_TO_GROW_BYTES = 1024 * 1024
"""A limit of file size below this above the database is one that it runs into soon."""
_NO_ROOM = {
    errno.ENOSPC: "The disk with the data folder {} is full: make room on it, and start again.",
    errno.EDQUOT: "The disk quota for the data folder {} is used up: make room, or raise it, and start again.",
    errno.EFBIG: "No file in the data folder {} may grow further: raise the limit of file size (ulimit -f), and start again.",
}
"""What each of these is to the operator. SQLite calls the last two a disk I/O error."""
_PASSING = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)
"""Errors that say nothing of what is in the file."""

CLOSELY_S = 5.0
"""How often each file is looked at. Between, the folder tells: its time changes with each name in it, and one look is a third of
three. Where two names change within one tick of the disk's clock, it tells of the first alone."""

_Identity = tuple[int, int]


class Displaced(sqlite3.OperationalError):
    """A file is not the one any more that was opened; the text says which, and what to do.

    SQLite goes on with a file that was deleted or replaced, and so does whoever asks it: what is written then is acknowledged,
    and is gone with the process.
    """


class OpenFiles:
    """`paths`, all in `folder`, as they are now. `clock_s` is monotonic seconds."""

    def __init__(
        self, folder: Path, paths: Sequence[Path], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = str(folder)  # a path is as slow to become one as the look itself
        self._opened = {path: _identity(os.stat(path)) for path in paths}
        self._clock_s = clock_s
        self._folder_was: tuple[_Identity, int] | None = None
        self._closely_s = 0.0

    def check(self) -> None:
        """Raises `Displaced` where one was deleted, moved or replaced; they may come back."""
        now_s = self._clock_s()
        try:
            status = os.stat(self._folder)
        except OSError:
            raise _displaced(self._folder) from None
        folder_is = (_identity(status), status.st_mtime_ns)
        if folder_is == self._folder_was and now_s < self._closely_s:
            return
        self._folder_was = None
        for path, opened in self._opened.items():
            try:
                found = _identity(os.stat(path))
            except OSError:
                raise _displaced(path) from None
            if found != opened:
                raise _displaced(path)
        self._folder_was = folder_is
        self._closely_s = now_s + CLOSELY_S


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _displaced(path: Path | str) -> Displaced:
    return Displaced(
        f"{path} was deleted, moved or replaced while it was in use: nothing is saved until it is back;"
        " where it is gone, stop the server and restore a backup."
    )


class Folder:
    """The data folder at `path`; `shared` is for one of several processes."""

    def __init__(self, path: Path, shared: bool = False) -> None:
        self.path = path
        self._shared = shared
        self.file = path / FILE
        self._lock_fd: int | None = None

    def take(self) -> None:
        """Make it where it is missing, and take it for this process. Raises OSError and `StoreRefused`."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.file.is_symlink():
            raise StoreRefused(
                f"{self.file} is a symbolic link, and SQLite keeps the files beside it where it leads to:"
                " move the whole data folder there, and name that one with --data."
            )
        self._lock()
        # SQLite gives its side files the mode of this one.
        os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _lock(self) -> None:
        fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            how = fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise StoreRefused(
                f"The data in {self.path} are in use by another chatserver:"
                " stop that one, or choose another data folder."
            ) from error
        self._lock_fd = fd

    def opened(self) -> OpenFiles:
        """Its files, once they are all there. Raises OSError.

        The lock is one of them: without it another server would begin to write here. So is the log's index, in which processes
        that share the file see each other.
        """
        sides = (self.file.with_name(FILE + side) for side in ("", "-wal", "-shm"))
        return OpenFiles(self.path, (self.path / LOCK, *sides))

    def let_go(self) -> None:
        """Give it free. Safe to call twice."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def refusal(self, error: OSError | sqlite3.Error) -> StoreRefused:
        """What the operator is to do about an error while it was opened."""
        if _says_full(error) or self._is_full():
            return StoreRefused(self._full())
        trouble = error.errno if isinstance(error, OSError) else self._write_trouble()
        if trouble in _NO_ROOM:
            return StoreRefused(_NO_ROOM[trouble].format(self.path))
        system = error if isinstance(error, OSError) else self._opened()
        if system is not None and system.errno in _OUT_OF_FILES:
            return StoreRefused(
                f"{self.file} cannot be opened ({system.strerror}): raise the limit of open files."
            )
        if isinstance(error, OSError):
            return StoreRefused(
                f"The data folder {self.path} cannot be used ({error.strerror}):"
                " name one that this user may read and write."
            )
        if trouble is not None:
            return StoreRefused(
                f"The data folder {self.path} cannot be written ({os.strerror(trouble)}): look at its disk, or name"
                " one that this user may read and write."
            )
        if _code(error) & 0xFF in _PASSING:
            return StoreRefused(
                f"{self.file} cannot be read or written ({error}): look at its disk; the file itself may be whole."
            )
        return StoreRefused(
            f"{self.file} cannot be used as a database ({error}): restore it from a backup,"
            " or choose another data folder."
        )

    def refuse_full(self) -> None:
        """Raises `StoreRefused` where there is no room: what is written may still fit into the log of an earlier life,
        and the server would begin to fail a little later."""
        if self._is_full():
            raise StoreRefused(self._full())

    def why(self, error: Failure) -> str:
        """An error while it is in use, for the log: with its reason where that is one of room."""
        if _says_full(error) or self._is_full():
            return self._full()
        if (trouble := self._write_trouble()) is not None and trouble in _NO_ROOM:
            return _NO_ROOM[trouble].format(self.path)
        return said(error)

    def _full(self) -> str:
        return _NO_ROOM[errno.ENOSPC].format(self.path)

    def _write_trouble(self) -> int | None:
        """Why nothing more can be written, which SQLite keeps to itself; None where something can."""
        probe = self.path / _PROBE
        try:
            at_bytes = self.file.stat().st_size + _ROOM_TO_GROW_BYTES
            fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                # Far out, where a limit of file size counts; what lies before takes no room.
                if os.pwrite(fd, bytes(_FULL_BYTES), at_bytes) < _FULL_BYTES:
                    os.pwrite(fd, bytes(1), at_bytes + _FULL_BYTES)
                os.fsync(fd)
            finally:
                os.close(fd)
                probe.unlink()
        except OSError as error:
            return error.errno
        return None

    def _is_full(self) -> bool:
        try:
            return shutil.disk_usage(self.path).free < _FULL_BYTES
        except OSError:
            return False

    def _opened(self) -> OSError | None:
        """Why nothing can be opened, which SQLite keeps to itself; None where something can."""
        taken: list[int] = []
        try:
            # The folder: closing a second descriptor of the file itself would drop SQLite's locks on it.
            for _ in range(_FILES_OF_A_CONNECTION):
                taken.append(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            return error
        finally:
            for fd in taken:
                os.close(fd)
        return None


def said(error: Failure) -> str:
    """What an error says; one of memory says nothing by itself."""
    return str(error) or "no memory"


def _says_full(error: OSError | Failure) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    return _code(error) == sqlite3.SQLITE_FULL


def _code(error: Failure) -> int:
    """SQLite's code for an error; 0 where it was not SQLite that raised it."""
    return getattr(error, "sqlite_errorcode", 0)


def connect_writer(file: Path, busy_ms: int) -> sqlite3.Connection:
    """The one connection that writes."""
    db = sqlite3.connect(
        file,
        timeout=busy_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        # WAL: readers and the writer do not wait for each other. FULL: a commit returns only when it
        # would survive a power cut; NORMAL was hardly faster with group commit.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    except BaseException:
        db.close()
        raise
    return db


class Reader:
    """A connection for one thread that reads; taken again after it failed. Raises `sqlite3.Error`."""

    def __init__(self, file: Path, busy_ms: int) -> None:
        self._file = file
        self._busy_ms = busy_ms
        self.files: OpenFiles | None = None
        """What is to stand where it stood whenever a connection is taken; None while it is being opened."""
        self._until_s = 0.0
        self._db: sqlite3.Connection | None = None

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection at the moment."""
        return self._db is None

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` finds in one unchanging snapshot."""
        db = self._db or self._connect()
        self._until_s = time.monotonic() + READ_S
        try:
            db.execute("BEGIN")
            try:
                return work(db)
            finally:
                self._until_s = time.monotonic() + READ_S
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except FAILURES as error:
            # What took too long says nothing about the connection; anything else may have spoilt it.
            if _code(error) != sqlite3.SQLITE_INTERRUPT:
                self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        if self.files is not None:
            self.files.check()  # or it would read another database than the writer writes
        db = sqlite3.connect(
            f"file:{quote(str(self._file))}?mode=ro",
            uri=True,
            timeout=self._busy_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        # A large sort would open a file, for which there may be no descriptor.
        db.execute("PRAGMA temp_store = MEMORY")
        db.set_progress_handler(lambda: time.monotonic() > self._until_s, PROGRESS_STEPS)
        self._db = db
        return db

    def close(self) -> None:
        """Let the connection go; the next reading takes another one."""
        if self._db is not None:
            self._db.close()
            self._db = None
