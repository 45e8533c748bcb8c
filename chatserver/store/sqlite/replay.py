"""What a view shows of the order, in SQLite: the events, and how many they are."""

from __future__ import annotations

import sqlite3
from itertools import islice

from chatserver.core.events import Event
from chatserver.core.visibility import SEEN, View, shows
from chatserver.store.sqlite.ranges import (
    BROADCASTS_OF_EACH,
    DIRECT_OF_EACH,
    Span,
    by_actor,
    count_all,
    gather,
    merge,
    read_each,
)
from chatserver.store.sqlite.shapes import EVENT, event_of

WALK_EVENTS = 1000
"""So few events in a row at the most are read and filtered, at 1 to 2 µs an event, whoever asks."""

WALK_EACH = 8
"""And no more than so many for each friend: answered by index they are some 10 µs a friend, however many lie between."""


def _few(view: View) -> int:
    """How many events in a row are quicker read than found by index."""
    return min(WALK_EVENTS, WALK_EACH * (len(view.friends) + 2))


def visible(db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""
    if not _are_many(db, view, after, up_to):
        return _walk(db, view, after, up_to, limit)
    span = Span(after, up_to + 1, limit)
    gathered = gather(db, view.user_id, view.friends, span)
    if gathered is not None:
        return gathered
    ranges = [by_actor(view.user_id, audience).read(db, span) for audience in SEEN]
    ranges += read_each(db, view.user_id, view.friends, span, BROADCASTS_OF_EACH)
    ranges += read_each(db, view.user_id, view.friends, span, DIRECT_OF_EACH)
    return merge(ranges, span)


def few(
    db: sqlite3.Connection, view: View, after: int, up_to: int, most: int
) -> list[Event] | None:
    """All events that `visible` would find, where they are `most` at the most, and no more than are quickly gathered."""
    if not _are_many(db, view, after, up_to):
        found: list[Event] | None = _walk(db, view, after, up_to, most + 1)
    else:
        found = gather(db, view.user_id, view.friends, Span(after, up_to + 1, most + 1))
    return None if found is None or len(found) > most else found


def count_visible(db: sqlite3.Connection, view: View, after: int, up_to: int, cap: int) -> int:
    """How many events `visible` would find, counted to `cap`; see `EventLog.count_visible`."""
    if not _are_many(db, view, after, up_to):
        rows = db.execute(
            "SELECT seq, audience, actor, peer FROM events WHERE seq > ? AND seq <= ?",
            (after, up_to),
        )
        return min(cap, sum(shows(view, *row) for row in rows))
    return count_all(db, view.user_id, view.friends, Span(after, up_to + 1, cap))


def _are_many(db: sqlite3.Connection, view: View, after: int, up_to: int) -> bool:
    """Whether there are more events in (after, up_to] than are quickly walked through.

    Whoever is to be refused for having missed too much is to cost little.
    """
    many = db.execute(
        "SELECT 1 FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?",
        (after, up_to, _few(view)),
    ).fetchone()
    return many is not None


def _walk(db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events that `view` shows of all in (after, up_to]."""
    rows = db.execute(
        f"SELECT {EVENT} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq", (after, up_to)
    )
    shown = (row for row in rows if shows(view, row[0], row[3], row[4], row[5]))
    return [event_of(row) for row in islice(shown, limit)]
