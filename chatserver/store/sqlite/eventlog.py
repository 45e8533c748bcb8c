"""Writing events in SQLite, with what they change, and dropping those that only pass.

One batch of the journal is one transaction. Finding events is `sqlite_find`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from chatserver.core.events import Event
from chatserver.core.kinds import friend_named
from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry
from chatserver.store.sqlite.changes import apply_change


def write_batch(db: sqlite3.Connection, batch: Sequence[Entry]) -> list[Appended | None]:
    """Write what is new of `batch`, and what it changes; see `EventLog.write`."""
    rows = [_row(event, entry.client_id) for entry in batch for event in entry.events]
    before = db.total_changes
    db.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (actor, client_id) WHERE client_id IS NOT NULL DO NOTHING",
        rows,
    )
    outcome: list[Appended | None] = [None] * len(batch)
    if db.total_changes - before < len(rows):
        outcome = [_older(db, entry) for entry in batch]
    written = [entry for entry, older in zip(batch, outcome, strict=True) if older is None]
    for entry in written:
        for event in entry.events:
            if event.change is not None:
                apply_change(db, event.change, event.seq, entry.events[0].seq)
    if written:
        # Only what was written counts: a snapshot must not claim a place that nobody will ever reach.
        newest = written[-1].events[-1].seq
        db.execute("UPDATE meta SET value = ? WHERE key = 'last_seq'", (newest,))
    return outcome


def _row(event: Event, client_id: str | None) -> tuple[Any, ...]:
    return (
        event.seq,
        event.type,
        int(event.audience),
        event.actor,
        event.to,
        event.at_ms,
        event.payload,
        client_id,
        friend_named(event),
    )


def _older(db: sqlite3.Connection, entry: Entry) -> Appended | None:
    if entry.client_id is None:
        return None
    event = entry.events[0]
    found = find_message(db, event.actor, entry.client_id)
    if found is None or found[0] == event.seq:
        return None
    return Appended(found[0], found[1], duplicate=True)


def find_message(db: sqlite3.Connection, sender: str, client_id: str) -> tuple[int, int] | None:
    """(seq, at) of what `sender` wrote under this id."""
    found: tuple[int, int] | None = db.execute(
        "SELECT seq, at FROM events WHERE actor = ? AND client_id = ?",
        (sender, client_id),
    ).fetchone()
    return found


def drop_passing(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    """Drop events that are no messages and older than `before_ms`; see `EventLog.drop_passing`."""
    old = db.execute(
        "SELECT seq FROM events WHERE type <> 'message' AND at < ? ORDER BY at LIMIT ?",
        (before_ms, limit),
    ).fetchall()
    if old:
        db.execute(
            "UPDATE meta SET value = max(value, ?) WHERE key = 'dropped_seq'",
            (max(seq for (seq,) in old),),
        )
        db.executemany("DELETE FROM events WHERE seq = ?", old)
    return len(old)


def touch(db: sqlite3.Connection) -> None:
    """Write something that changes nothing, to learn whether writing works."""
    db.execute("UPDATE meta SET value = value WHERE key = 'last_seq'")
