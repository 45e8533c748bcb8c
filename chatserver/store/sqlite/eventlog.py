"""The `EventLog` on SQLite: one batch of the journal is one transaction, with what its events change."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from chatserver.core.events import Audience, Event
from chatserver.core.kinds import MESSAGE, is_kept
from chatserver.core.visibility import View
from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry
from chatserver.store.gathered import Gathered
from chatserver.store.sqlite.changes import apply_change
from chatserver.store.sqlite.database import Database, SqlitePart
from chatserver.store.sqlite.replay import Look, count_visible, few_of_each, latest, visible
from chatserver.store.sqlite.shapes import EVENT_COLUMNS, IS_PASSING, event_row
from chatserver.store.sqlite.unread import add_unread


class SqliteLog(SqlitePart):
    """The `EventLog` of a `SqliteStore`; usable while that is started."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._looks = Gathered(self._few_of_each)

    async def last_seq(self) -> int:
        return await self._db.read(last_seq)

    async def write(self, batch: Sequence[Entry]) -> Sequence[Appended | None]:
        return await self._db.write(lambda db: write_batch(db, batch))

    def note_shown(self, seq: int) -> None:
        """Nothing to note: each read sees the file as it is, with its place."""

    async def probe(self) -> None:
        await self._db.probe()

    async def visible(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        return await self._db.read(lambda db: visible(db, view, after, up_to, limit))

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        return await self._looks.get(Look(view, after, up_to, most))

    async def _few_of_each(self, looks: Sequence[Look]) -> Mapping[Look, list[Event]]:
        return await self._db.read(lambda db: few_of_each(db, looks))

    async def count_visible(self, view: View, after: int, up_to: int, cap: int) -> int:
        return await self._db.read(lambda db: count_visible(db, view, after, up_to, cap))

    async def latest(self, most: int, most_bytes: int) -> list[Event]:
        return await self._db.read(lambda db: latest(db, most, most_bytes))

    async def dropped_seq(self) -> int:
        return await self._db.read(dropped_seq)

    async def drop_passing(self, before_ms: int, limit: int) -> int:
        return await self._db.write(lambda db: _drop_passing(db, before_ms, limit))


def last_seq(db: sqlite3.Connection) -> int:
    """The position at which the connection's snapshot is true."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'last_seq'").fetchone()[0])


def dropped_seq(db: sqlite3.Connection) -> int:
    """At or below this seq events may have been dropped by age."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'dropped_seq'").fetchone()[0])


def find_message(db: sqlite3.Connection, sender: str, client_id: str) -> tuple[int, int] | None:
    """(seq, at) of what `sender` wrote under this id."""
    found: tuple[int, int] | None = db.execute(
        "SELECT seq, at FROM events WHERE actor = ? AND client_id = ?",
        (sender, client_id),
    ).fetchone()
    return found


def write_batch(db: sqlite3.Connection, batch: Sequence[Entry]) -> list[Appended | None]:
    """Write a batch with what its events change; see `EventLog.write`."""
    shaped, change_more = _shaped(batch)
    many, before = 0, db.total_changes
    for shape, values in shaped.items():
        many += len(values) // shape.width
        shape.insert(db, values)
    outcome: list[Appended | None] = [None] * len(batch)
    written = batch
    if db.total_changes - before < many:
        outcome = [_older(db, entry) for entry in batch]
        written = [entry for entry, older in zip(batch, outcome, strict=True) if older is None]
    if change_more:
        for entry in written:
            for event in entry.events:
                if event.to is not None:
                    add_unread(db, event)
                if event.change is not None:
                    apply_change(db, event.change, event.seq, entry.events[0].seq)
    if written:
        # Only what was written counts: a snapshot must not claim a place that nobody will ever reach. What
        # has a place and no row counts too: its place must not be given to another event.
        newest = written[-1].events[-1].seq
        db.execute("UPDATE meta SET value = ? WHERE key = 'last_seq'", (newest,))
    return outcome


ROWS_AT_ONCE = (64, 16, 4, 1)
"""So many rows are inserted by one statement. Each statement gives the interpreter away and waits to have it back, which
costs more than a row does while the loop is busy; each number of rows is compiled once."""


class _Shape:
    """Rows of events that say nothing in the columns left out: a NULL that is bound costs `sqlite3` as much as five values,
    for it looks for an adapter. What is `always` the same is not bound at all."""

    def __init__(self, *left_out: str, always: Mapping[str, str] = MappingProxyType({})) -> None:
        kept = [at for at, name in enumerate(EVENT_COLUMNS) if name not in (*left_out, *always)]
        self.said = itemgetter(*kept)
        self.width = len(kept)
        names = ", ".join((*self.said(EVENT_COLUMNS), *always))
        row = f"({', '.join((*'?' * len(kept), *always.values()))})"
        self._statements = {
            # Whatever else is wrong undoes the transaction. SQLite would be ready to undo the statement alone, and write
            # what its pages held into a file of its own for that: at 50 rows as much as into the log.
            many: f"INSERT OR ROLLBACK INTO events ({names}) VALUES {', '.join([row] * many)}"
            " ON CONFLICT (actor, client_id) WHERE client_id IS NOT NULL DO NOTHING"
            for many in ROWS_AT_ONCE
        }

    def insert(self, db: sqlite3.Connection, values: Sequence[Any]) -> None:
        """Write events, the values of one after those of another, but those whose `client_id` their actor has used before."""
        at, end, width = 0, len(values), self.width
        for many, statement in self._statements.items():
            size = many * width
            while end - at >= size:
                db.execute(statement, values[at : at + size])
                at += size


_TO_ALL, _TO_ONE, _ANY = _Shape("peer", "about"), _Shape("about"), _Shape()
_BROADCAST = _Shape(
    *("peer", "about"),
    always={"type": f"'{MESSAGE.name}'", "audience": str(Audience.FRIENDS.value)},
)
_MESSAGE, _FRIENDS = MESSAGE.name, Audience.FRIENDS


def _shaped(batch: Sequence[Entry]) -> tuple[dict[_Shape, list[Any]], bool]:
    """The rows of a batch by shape, one after another, and whether any of its events changes more than that it is there."""
    broadcasts: list[Any] = []
    shaped = {_BROADCAST: broadcasts}
    change_more = False
    for entry in batch:
        for event in entry.events:
            if event.audience is _FRIENDS and event.type == _MESSAGE and event.change is None:
                # Nearly all there are.
                payload = bytearray(event.payload)  # as in `event_row`
                broadcasts += event.seq, event.actor, event.at_ms, payload, entry.client_id
                continue
            change_more = True
            if is_kept(event):
                row = event_row(event, entry.client_id)
                _, _, _, _, peer, _, _, _, about = row
                shape = _ANY if about is not None else _TO_ALL if peer is None else _TO_ONE
                shaped.setdefault(shape, []).extend(shape.said(row))
    return shaped, change_more


def _older(db: sqlite3.Connection, entry: Entry) -> Appended | None:
    """The standing of an event that is there already under this entry's `client_id`."""
    if entry.client_id is None:
        return None
    event = entry.events[0]
    found = find_message(db, event.actor, entry.client_id)
    if found is None or found[0] == event.seq:
        return None
    return Appended(found[0], found[1], duplicate=True)


def _drop_passing(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    old = db.execute(
        f"SELECT seq FROM events WHERE {IS_PASSING} AND at < ? ORDER BY at LIMIT ?",
        (before_ms, limit),
    ).fetchall()
    if old:
        db.execute(
            "UPDATE meta SET value = max(value, ?) WHERE key = 'dropped_seq'",
            (max(seq for (seq,) in old),),
        )
        db.executemany("DELETE FROM events WHERE seq = ?", old)
    return len(old)
