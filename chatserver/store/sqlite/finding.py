"""Finding the events that somebody may see in SQLite, always by an index: replay, history, unread.

It works on *lanes*: the events of one actor for one audience, in order, which is one range of an index.
What a user sees is a few own lanes and two for each friend, merged. With thousands of friends only
those lanes are opened whose next event can be among the events asked for.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from chatserver.core.conversations import Page, ReadState
from chatserver.core.events import MAX_SEQ, Audience, Event
from chatserver.core.visibility import View, shows

WALK_EVENTS = 1000
"""A range of so few events is read and filtered, at about 1 µs an event, whoever asks; a longer one
is answered by index, at some 4 µs a friend."""
LOOK_EVENTS = 256
"""So many are walked first where a page of broadcasts is wanted: it tells how dense those of friends lie."""
LANE_COST_EVENTS = 3
"""Looking into one friend's lane costs as much as walking over so many events (2.2 µs, 0.7 µs)."""
LANE_EVENTS = 8
"""Events of one lane read at once: most lanes have only a few on a page."""
MAX_UNREAD = 1000
"""Nobody reads an exact number above it, and counting costs."""

_COLUMNS = "seq, at, type, audience, actor, peer, payload"
# A lane's condition. 1 is Audience.PAIR, spelled out because it selects a partial index.
_BY_ACTOR = "actor = ? AND audience = ?"
_BY_PAIR = "peer = ? AND actor = ? AND audience = 1"
# The same for each row of json_each over {friend: since}.
_FRIENDS_LANE = "actor = friend.key AND audience = 2"
_PAIR_LANE = "peer = :user AND actor = friend.key AND audience = 1"
_MESSAGES = " AND events.type = 'message'"
# After this seq what `actor` wrote for all friends is shown to the viewer; NULL where never.
_SHOWN_AFTER = (
    "iif(actor IS :viewer, 0, (SELECT since FROM friendships"
    " WHERE user_id = :viewer AND other_id = actor AND relation = 'friend'))"
)


@dataclass(frozen=True, slots=True)
class _Span:
    """What is wanted of lanes: seqs between `after` and `below` (both excluded), up to `limit`."""

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

    def past(self, seq: int) -> _Span:
        """What is left of it beyond `seq`."""
        return replace(self, below=seq) if self.newest else replace(self, after=seq)


_Lane = Iterator[tuple[Any, ...]]


def last_seq(db: sqlite3.Connection) -> int:
    """The position at which the connection's snapshot is true."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'last_seq'").fetchone()[0])


def dropped_seq(db: sqlite3.Connection) -> int:
    """At or below this seq events may have been dropped by age."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'dropped_seq'").fetchone()[0])


def friends_since(db: sqlite3.Connection, user_id: str) -> dict[str, int]:
    """Friend id -> seq at which the friendship began."""
    return dict(
        db.execute(
            "SELECT other_id, since FROM friendships WHERE user_id = ? AND relation = 'friend'",
            (user_id,),
        )
    )


# replay


def visible(db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""
    walked, whole = _walk(db, view, after, up_to, limit)
    if whole:
        return walked
    span = _Span(after, up_to + 1, limit)
    lanes = [_lane(db, _BY_ACTOR, (view.user_id, audience.value), span) for audience in Audience]
    lanes += _friend_lanes(db, view.user_id, view.friends, span, _FRIENDS_LANE)
    lanes += _friend_lanes(db, view.user_id, view.friends, span, _PAIR_LANE)
    return _merge(lanes, span)


def count_visible(db: sqlite3.Connection, view: View, after: int, up_to: int, cap: int) -> int:
    """How many events `visible` would find, counted to `cap`; see `EventLog.count_visible`."""
    walked, whole = _walk(db, view, after, up_to, cap)
    if whole:
        return len(walked)
    span = _Span(after, up_to + 1, cap)
    found = 0
    for audience in Audience:
        found += _count(db, _BY_ACTOR, (view.user_id, audience.value), span)
    for condition in (_FRIENDS_LANE, _PAIR_LANE):
        if found < cap:
            found += _count_friends(db, view.user_id, view.friends, span, condition)
    return min(found, cap)


def _walk(
    db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int
) -> tuple[list[Event], bool]:
    """What the first `WALK_EVENTS` of the range show, and whether that is all that is wanted."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        (after, up_to, WALK_EVENTS + 1),
    )
    found: list[Event] = []
    for seen, row in enumerate(rows, 1):
        if len(found) >= limit:
            break
        if seen > WALK_EVENTS:
            return found, False
        if shows(view, row[0], row[3], row[4], row[5]):
            found.append(_event(row))
    return found, True


# the history


def history(
    db: sqlite3.Connection,
    viewer: str,
    peer: str | None,
    before: int | None,
    after: int | None,
    limit: int,
) -> Page:
    """One page of a conversation; see `Store.history`."""
    below = MAX_SEQ + 1 if before is None else before
    # One more than asked for tells whether there are more.
    span = _Span(after or 0, below, limit + 1, newest=after is None, only=_MESSAGES)
    if peer is None:
        events = _broadcasts(db, viewer, span)
    else:
        lanes = [_lane(db, _BY_PAIR, (peer, viewer), span)]
        began = _friendship_began(db, viewer, peer)
        if began is not None:
            since = max(span.after, began)
            lanes.append(_lane(db, _BY_PAIR, (viewer, peer), replace(span, after=since)))
        events = _merge(lanes, span)
    more = len(events) > limit
    del events[limit:]
    if span.newest:
        events.reverse()
    return Page(events, more, last_seq(db))


def _friendship_began(db: sqlite3.Connection, viewer: str, peer: str) -> int | None:
    row = db.execute(
        "SELECT since FROM friendships WHERE user_id = ? AND other_id = ? AND relation = 'friend'",
        (viewer, peer),
    ).fetchone()
    return None if row is None else int(row[0])


def _broadcasts(db: sqlite3.Connection, viewer: str, span: _Span) -> list[Event]:
    """The viewer's and the friends' broadcasts in `span`.

    Walks over everybody's events as long as that promises to be cheaper than looking into each friend's
    lane: where many friends write much, a page is at hand in 1 ms, however many they are.
    """
    found: list[Event] = []
    walked, size, lanes_cost = 0, LOOK_EVENTS, 0
    while True:
        rest, end_seq = _walk_broadcasts(
            db, viewer, replace(span, limit=span.limit - len(found)), size
        )
        found += rest
        if end_seq is None or len(found) >= span.limit:
            return found
        span = span.past(end_seq)
        lanes_cost = lanes_cost or LANE_COST_EVENTS * _count_of_friends(db, viewer)
        walked += size
        wanted = (span.limit - len(found)) * walked // max(1, len(found))
        if wanted > lanes_cost:
            return found + _broadcasts_of_each(
                db, viewer, replace(span, limit=span.limit - len(found))
            )
        size = min(wanted + LOOK_EVENTS, walked)


def _walk_broadcasts(
    db: sqlite3.Connection, viewer: str, span: _Span, size: int
) -> tuple[list[Event], int | None]:
    """What `size` events in a row show, and the last one's seq; None where they are the last of `span`."""
    values = {"viewer": viewer, "after": span.after, "below": span.below, "limit": span.limit}
    end = db.execute(
        "SELECT seq FROM events WHERE seq > :after AND seq < :below"
        f" ORDER BY seq {span.order} LIMIT 1 OFFSET {size - 1}",
        values,
    ).fetchone()
    if end is not None:
        values["below" if not span.newest else "after"] = end[0] - 1 if span.newest else end[0] + 1
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM events WHERE seq > :after AND seq < :below{_MESSAGES}"
        f" AND audience = 2 AND seq > {_SHOWN_AFTER} ORDER BY seq {span.order} LIMIT :limit",
        values,
    )
    return [_event(row) for row in rows], None if end is None else int(end[0])


def _broadcasts_of_each(db: sqlite3.Connection, viewer: str, span: _Span) -> list[Event]:
    leading = db.execute(
        "WITH head AS MATERIALIZED (SELECT other_id AS id, max(since, :after) AS since,"
        " (SELECT seq FROM events WHERE actor = other_id AND audience = 2"
        f"{_MESSAGES} AND seq > max(friendships.since, :after) AND seq < :below"
        f"  ORDER BY seq {span.order} LIMIT 1) AS first"
        " FROM friendships WHERE user_id = :viewer AND relation = 'friend')"
        f" SELECT id, since FROM head WHERE first IS NOT NULL ORDER BY first {span.order} LIMIT :limit",
        {"viewer": viewer, "after": span.after, "below": span.below, "limit": span.limit},
    ).fetchall()
    heads = [(viewer, span.after), *leading]
    lanes = [
        _lane(db, _BY_ACTOR, (actor, Audience.FRIENDS.value), replace(span, after=since))
        for actor, since in heads
    ]
    return _merge(lanes, span)


def _count_of_friends(db: sqlite3.Connection, user_id: str) -> int:
    row = db.execute("SELECT count(*) FROM friendships WHERE user_id = ?", (user_id,)).fetchone()
    return int(row[0])


def read_state(db: sqlite3.Connection, user_id: str) -> ReadState:
    """Read positions and unread counts; see `Store.read_state`."""
    friends = friends_since(db, user_id)
    own: dict[str | None, int] = {
        peer or None: up_to  # '' stands for the broadcasts
        for peer, up_to in db.execute("SELECT peer, up_to FROM reads WHERE user_id = ?", (user_id,))
    }
    peers = {
        friend: up_to
        for friend, up_to in db.execute(
            "SELECT user_id, up_to FROM reads WHERE peer = ?", (user_id,)
        )
        if friend in friends
    }
    unread: dict[str | None, int] = dict(
        db.execute(
            "SELECT * FROM (SELECT friend.key, (SELECT count(*) FROM (SELECT 1 FROM events"
            f" WHERE {_PAIR_LANE}{_MESSAGES} AND seq > friend.value LIMIT :limit)) AS waiting"
            " FROM json_each(:friends) AS friend) WHERE waiting > 0",
            {
                "user": user_id,
                "limit": MAX_UNREAD,
                "friends": json.dumps({f: max(s, own.get(f, 0)) for f, s in friends.items()}),
            },
        )
    )
    span = _Span(own.get(None, 0), MAX_SEQ + 1, MAX_UNREAD, only=_MESSAGES)
    broadcasts = _count_friends(db, user_id, friends, span, _FRIENDS_LANE)
    if broadcasts:
        unread[None] = broadcasts
    return ReadState(own, peers, unread, last_seq(db))


# lanes


def _lane(db: sqlite3.Connection, condition: str, values: tuple[Any, ...], span: _Span) -> _Lane:
    """The lane's events one by one, read a few at a time.

    A cursor left open for each of hundreds of lanes would compile its statement anew for each.
    """
    after, below = span.after, span.below
    while True:
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM events WHERE {condition}{span.only} AND seq > ? AND seq < ?"
            f" ORDER BY seq {span.order} LIMIT {LANE_EVENTS}",
            (*values, after, below),
        ).fetchall()
        yield from rows
        if len(rows) < LANE_EVENTS:
            return
        after, below = (after, rows[-1][0]) if span.newest else (rows[-1][0], below)


def _friend_lanes(
    db: sqlite3.Connection,
    user_id: str,
    friends: Mapping[str, int],
    span: _Span,
    condition: str,
) -> list[_Lane]:
    """The friends' lanes that can hold one of the `span.limit` events: no more than so many."""
    leading = db.execute(
        "WITH head AS MATERIALIZED (SELECT friend.key AS id, max(friend.value, :after) AS since,"
        f" (SELECT seq FROM events WHERE {condition}{span.only}"
        "   AND seq > max(friend.value, :after) AND seq < :below"
        f"  ORDER BY seq {span.order} LIMIT 1) AS first FROM json_each(:friends) AS friend)"
        f" SELECT id, since FROM head WHERE first IS NOT NULL ORDER BY first {span.order} LIMIT :limit",
        _friend_values(user_id, friends, span),
    ).fetchall()
    pair = condition is _PAIR_LANE
    return [
        _lane(
            db,
            _BY_PAIR if pair else _BY_ACTOR,
            (user_id, friend) if pair else (friend, Audience.FRIENDS.value),
            replace(span, after=since),
        )
        for friend, since in leading
    ]


def _count(db: sqlite3.Connection, condition: str, values: tuple[Any, ...], span: _Span) -> int:
    row = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {condition}{span.only}"
        " AND seq > ? AND seq < ? LIMIT ?)",
        (*values, span.after, span.below, span.limit),
    ).fetchone()
    return int(row[0])


def _count_friends(
    db: sqlite3.Connection,
    user_id: str,
    friends: Mapping[str, int],
    span: _Span,
    condition: str,
) -> int:
    row = db.execute(
        # CROSS JOIN: the friends first, then for each a range of the index.
        "SELECT count(*) FROM (SELECT 1 FROM json_each(:friends) AS friend CROSS JOIN events"
        f" WHERE {condition}{span.only} AND seq > max(friend.value, :after) AND seq < :below"
        " LIMIT :limit)",
        _friend_values(user_id, friends, span),
    ).fetchone()
    return int(row[0])


def _friend_values(user_id: str, friends: Mapping[str, int], span: _Span) -> dict[str, Any]:
    return {
        "user": user_id,
        "friends": json.dumps(dict(friends)),
        "after": span.after,
        "below": span.below,
        "limit": span.limit,
    }


def _merge(lanes: list[_Lane], span: _Span) -> list[Event]:
    merged = heapq.merge(*lanes, key=_seq_of, reverse=span.newest)
    return [_event(row) for row in islice(merged, span.limit)]


def _seq_of(row: tuple[Any, ...]) -> int:
    return int(row[0])


def _event(row: tuple[Any, ...]) -> Event:
    seq, at_ms, type_, audience, actor, peer, payload = row
    return Event(seq, at_ms, type_, Audience(audience), actor, peer, payload)
