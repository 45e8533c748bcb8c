"""What the file shows of a stream that is its order: each batch in a transaction with its place, and only by who holds the lease."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry, Fenced
from chatserver.store.ended import ends, needed, runs
from chatserver.store.sqlite.eventlog import SqliteLog, find_message, last_seq, write_batch

_OWNER, _BEAT, _ORDER = "projector", "projector_beat", "order"
_PUT = "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


class SqliteProjection(SqliteLog):
    """The `Projection` of a `SqliteStore`; usable while that is started."""

    async def projected(self) -> int:
        return await self.last_seq()

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Appended]:
        def work(db: sqlite3.Connection) -> dict[tuple[str, str], Appended]:
            found = {key: find_message(db, *key) for key in keys}
            return {key: Appended(*at, True) for key, at in found.items() if at is not None}

        return await self._db.read(work)

    async def project(
        self, batch: Sequence[Entry], up_to: int, owner: int
    ) -> Sequence[Appended | None]:
        return await self._db.write(lambda db: _project(db, batch, up_to, owner))

    async def lease(self) -> tuple[int, int] | None:
        return await self._db.read(_lease)

    async def take_lease(self, owner: int, seen: tuple[int, int] | None) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            if _lease(db) != seen:
                return False
            db.execute(_PUT, (_OWNER, owner))
            db.execute(_PUT, (_BEAT, 1))
            return True

        return await self._db.write(work)

    async def beat(self, owner: int) -> bool:
        return await self._db.write(lambda db: _count_on(db, owner))

    async def give_lease_back(self, owner: int) -> None:
        await self._db.change("DELETE FROM meta WHERE key = ? AND value = ?", [(_OWNER, owner)])

    async def end_again(self) -> None:
        """Nothing to do: a transaction of a projector that was frozen is refused when it looks at the lease."""

    async def order(self) -> int:
        """The number of the stream that is the order; 0 where the events here are."""
        row = await self._db.row("SELECT value FROM meta WHERE key = ?", (_ORDER,))
        return 0 if row is None else int(row[0])

    async def set_order(self, number: int, seen: int = 0) -> int:
        """Let this stream be the order where it `seen` was; what it is now."""

        def work(db: sqlite3.Connection) -> int:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (_ORDER,)).fetchone()
            now = 0 if row is None else int(row[0])
            if now != seen:
                return now
            db.execute(_PUT, (_ORDER, number))
            return number

        return await self._db.write(work)


def _lease(db: sqlite3.Connection) -> tuple[int, int] | None:
    owner = db.execute("SELECT value FROM meta WHERE key = ?", (_OWNER,)).fetchone()
    if owner is None:
        return None
    return int(owner[0]), int(
        db.execute("SELECT value FROM meta WHERE key = ?", (_BEAT,)).fetchone()[0]
    )


def _count_on(db: sqlite3.Connection, owner: int) -> bool:
    counted = db.execute(
        "UPDATE meta SET value = value + 1 WHERE key = ? AND EXISTS"
        " (SELECT 1 FROM meta WHERE key = ? AND value = ?)",
        (_BEAT, _OWNER, owner),
    )
    return counted.rowcount > 0


def _project(
    db: sqlite3.Connection, batch: Sequence[Entry], up_to: int, owner: int
) -> list[Appended | None]:
    # In the same transaction: whoever has lost the lease writes nothing, however late.
    if not _count_on(db, owner):
        raise Fenced
    outcome: list[Appended | None] = []
    shown_seq = last_seq(db)
    for run in runs(batch):
        kept = [entry for entry in run if entry.events[0].seq > shown_seq and not _late(db, entry)]
        written = dict(zip(map(id, kept), write_batch(db, kept), strict=True))
        outcome += [written.get(id(entry)) for entry in run]
        db.executemany("INSERT OR IGNORE INTO ended VALUES (?, ?)", ends(run[-1]))
    db.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'last_seq'", (up_to,))
    return outcome


def _late(db: sqlite3.Connection, entry: Entry) -> bool:
    """Whether an account that it needs had ended before."""
    return any(
        db.execute("SELECT 1 FROM ended WHERE user_id = ?", (user_id,)).fetchone() is not None
        for user_id in needed(entry)
    )
