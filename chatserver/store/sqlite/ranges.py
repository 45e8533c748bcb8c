"""Ranges of an index in SQLite: the events of one actor for one audience, in order, and many of them merged.

What a user sees is a few own ranges and two for each friend. With thousands of friends only those ranges
are opened whose next event can be among the events asked for.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from chatserver.core.events import Audience, Event
from chatserver.store.sqlite.shapes import EVENT, Row, event_of

RANGE_EVENTS = 8
"""Events of one range read at once: most ranges have only a few on a page."""

# Conditions for each row of json_each over {friend: since}. The numbers are those of `Audience`, spelled out
# because 1 selects a partial index.
BROADCASTS_OF_EACH = "actor = friend.key AND audience = 2"
DIRECT_OF_EACH = "peer = :user AND actor = friend.key AND audience = 1"


@dataclass(frozen=True, slots=True)
class Span:
    """What is wanted of ranges: seqs between `after` and `below` (both excluded), up to `limit`."""

    after: int
    below: int
    limit: int
    newest: bool = False
    """Take the newest rather than the oldest."""
    only: str = ""
    """One more condition: text of a statement, never made of what a client sent."""

    @property
    def order(self) -> str:
        return "DESC" if self.newest else "ASC"

    def past(self, seq: int) -> Span:
        """What is left of it beyond `seq`."""
        return replace(self, below=seq) if self.newest else replace(self, after=seq)


@dataclass(frozen=True, slots=True)
class IndexRange:
    """Events that stand side by side in an index: those for which `condition` holds with `values`."""

    condition: str
    values: Row

    def read(self, db: sqlite3.Connection, span: Span) -> Iterator[Row]:
        """The rows in `span` one by one, read a few at a time; its limit is the caller's.

        A cursor left open for each of hundreds of ranges would compile its statement anew for each.
        """
        after, below = span.after, span.below
        while True:
            rows = db.execute(
                f"SELECT {EVENT} FROM events WHERE {self.condition}{span.only} AND seq > ? AND seq < ?"
                f" ORDER BY seq {span.order} LIMIT {RANGE_EVENTS}",
                (*self.values, after, below),
            ).fetchall()
            yield from rows
            if len(rows) < RANGE_EVENTS:
                return
            after, below = (after, rows[-1][0]) if span.newest else (rows[-1][0], below)

    def count(self, db: sqlite3.Connection, span: Span) -> int:
        """How many events in `span` there are, counted to its limit."""
        row = db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {self.condition}{span.only}"
            " AND seq > ? AND seq < ? LIMIT ?)",
            (*self.values, span.after, span.below, span.limit),
        ).fetchone()
        return int(row[0])


def by_actor(actor: str, audience: Audience) -> IndexRange:
    """What `actor` caused, for one audience."""
    return IndexRange("actor = ? AND audience = ?", (actor, audience.value))


def by_pair(to: str, actor: str) -> IndexRange:
    """What `actor` addressed to `to`."""
    return IndexRange("peer = ? AND actor = ? AND audience = 1", (to, actor))


def read_each(
    db: sqlite3.Connection, user_id: str, friends: Mapping[str, int], span: Span, each: str
) -> list[Iterator[Row]]:
    """The friends' ranges that can hold one of the `span.limit` events: no more than so many.

    `each` is `BROADCASTS_OF_EACH` or `DIRECT_OF_EACH`.
    """
    leading = db.execute(
        "WITH head AS MATERIALIZED (SELECT friend.key AS id, max(friend.value, :after) AS since,"
        f" (SELECT seq FROM events WHERE {each}{span.only}"
        "   AND seq > max(friend.value, :after) AND seq < :below"
        f"  ORDER BY seq {span.order} LIMIT 1) AS first FROM json_each(:friends) AS friend)"
        f" SELECT id, since FROM head WHERE first IS NOT NULL ORDER BY first {span.order} LIMIT :limit",
        _values(user_id, friends, span),
    ).fetchall()
    direct = each is DIRECT_OF_EACH
    return [
        (by_pair(user_id, friend) if direct else by_actor(friend, Audience.FRIENDS)).read(
            db, replace(span, after=since)
        )
        for friend, since in leading
    ]


GATHERED = 256
"""So many events are fetched by one statement, and put in order here; more are read range by range."""

# Everything that somebody sees in a span, in no order: their own events, then the friends'. CROSS JOIN: the friends first,
# then for each a range of the index.
_ALL = (
    "SELECT {what} FROM events WHERE actor = :user AND audience IN (0, 1, 2) AND seq > :after AND seq < :below"
    + "".join(
        " UNION ALL SELECT {what} FROM friend CROSS JOIN events"
        f" WHERE {each} AND seq > max(friend.value, :after) AND seq < :below"
        for each in (BROADCASTS_OF_EACH, DIRECT_OF_EACH)
    )
    + " LIMIT :limit"
)
_FRIENDS = "WITH friend (key, value) AS (SELECT key, value FROM json_each(:friends)) "
_GATHER = _FRIENDS + _ALL.format(what=EVENT)
_COUNT = f"{_FRIENDS}SELECT count(*) FROM ({_ALL.format(what=1)})"


def gather(
    db: sqlite3.Connection, user_id: str, friends: Mapping[str, int], span: Span
) -> list[Event] | None:
    """The first events in `span` that somebody sees, where there are few in all; None where there are many."""
    values = _values(user_id, friends, replace(span, limit=GATHERED))
    rows = db.execute(_GATHER, values).fetchall()
    if len(rows) == GATHERED:
        return None
    rows.sort(key=_seq_of)
    return [event_of(row) for row in rows[: span.limit]]


def count_all(db: sqlite3.Connection, user_id: str, friends: Mapping[str, int], span: Span) -> int:
    """How many events in `span` somebody sees, counted to its limit."""
    return int(db.execute(_COUNT, _values(user_id, friends, span)).fetchone()[0])


def merge(ranges: Iterable[Iterator[Row]], span: Span) -> list[Event]:
    """The first events of several ranges together, as many as `span` wants."""
    merged = heapq.merge(*ranges, key=_seq_of, reverse=span.newest)
    return [event_of(row) for row in islice(merged, span.limit)]


def _values(user_id: str, friends: Mapping[str, int], span: Span) -> dict[str, Any]:
    return {
        "user": user_id,
        "friends": json.dumps(dict(friends)),
        "after": span.after,
        "below": span.below,
        "limit": span.limit,
    }


def _seq_of(row: Row) -> int:
    return int(row[0])
