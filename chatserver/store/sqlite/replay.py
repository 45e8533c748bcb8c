"""What a view shows of the order, in SQLite: the events, and how many they are."""

from __future__ import annotations

import sqlite3

from chatserver.core.events import Event
from chatserver.core.visibility import SEEN, View, shows
from chatserver.store.sqlite.ranges import (
    BROADCASTS_OF_EACH,
    DIRECT_OF_EACH,
    Span,
    by_actor,
    count_each,
    merge,
    read_each,
)
from chatserver.store.sqlite.shapes import EVENT, event_of

WALK_EVENTS = 1000
"""So few events in a row are read and filtered, at about 1 µs an event, whoever asks; more are answered by
index, at some 4 µs a friend."""


def visible(db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""
    walked, whole = _walk(db, view, after, up_to, limit)
    if whole:
        return walked
    span = Span(after, up_to + 1, limit)
    ranges = [by_actor(view.user_id, audience).read(db, span) for audience in SEEN]
    ranges += read_each(db, view.user_id, view.friends, span, BROADCASTS_OF_EACH)
    ranges += read_each(db, view.user_id, view.friends, span, DIRECT_OF_EACH)
    return merge(ranges, span)


def count_visible(db: sqlite3.Connection, view: View, after: int, up_to: int, cap: int) -> int:
    """How many events `visible` would find, counted to `cap`; see `EventLog.count_visible`."""
    rows = _places(db, after, up_to)
    if rows is not None:
        return min(cap, sum(shows(view, *row) for row in rows))
    span = Span(after, up_to + 1, cap)
    found = sum(by_actor(view.user_id, audience).count(db, span) for audience in SEEN)
    for each in (BROADCASTS_OF_EACH, DIRECT_OF_EACH):
        if found < cap:
            found += count_each(db, view.user_id, view.friends, span, each)
    return min(found, cap)


def _places(
    db: sqlite3.Connection, after: int, up_to: int
) -> list[tuple[int, int, str, str | None]] | None:
    """Seq, audience, actor and peer of all events in (after, up_to]; None, and none is read, where they are many.

    Whoever is to be refused for having missed too much is to cost little.
    """
    many = db.execute(
        "SELECT 1 FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?",
        (after, up_to, WALK_EVENTS),
    ).fetchone()
    if many is not None:
        return None
    return db.execute(
        "SELECT seq, audience, actor, peer FROM events WHERE seq > ? AND seq <= ?", (after, up_to)
    ).fetchall()


def _walk(
    db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int
) -> tuple[list[Event], bool]:
    """What the first `WALK_EVENTS` in (after, up_to] show, and whether that is all that is wanted."""
    rows = db.execute(
        f"SELECT {EVENT} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        (after, up_to, WALK_EVENTS + 1),
    )
    found: list[Event] = []
    for seen, row in enumerate(rows, 1):
        if len(found) >= limit:
            break
        if seen > WALK_EVENTS:
            return found, False
        if shows(view, row[0], row[3], row[4], row[5]):
            found.append(event_of(row))
    return found, True
