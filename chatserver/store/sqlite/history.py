"""The history in SQLite: messages of a conversation, the id of a message, read positions, unread counts."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from chatserver.core.conversations import (
    Broadcasts,
    Conversation,
    Direct,
    Page,
    Range,
    ReadState,
    Standings,
)
from chatserver.core.events import MAX_SEQ, Audience, Event
from chatserver.store.archive import conversation_key, conversation_of
from chatserver.store.sqlite.database import SqlitePart
from chatserver.store.sqlite.eventlog import find_message, last_seq
from chatserver.store.sqlite.friendships import friends_since
from chatserver.store.sqlite.ranges import (
    Span,
    by_actor,
    by_pair,
    merge,
)
from chatserver.store.sqlite.shapes import EVENT, IN_HISTORY, event_of
from chatserver.store.sqlite.standings import standings
from chatserver.store.sqlite.unread import unread

LOOK_EVENTS = 256
"""So many are walked first where a page of broadcasts is wanted: it tells how dense those of friends lie."""
RANGE_COST_EVENTS = 3
"""Looking into one friend's range costs as much as walking over so many events (2.2 µs, 0.7 µs)."""

_IN_HISTORY = f" AND {IN_HISTORY}"
# After this seq what `actor` wrote for all friends is shown to the viewer; NULL where never.
_SHOWN_AFTER = (
    "iif(actor IS :viewer, 0, (SELECT since FROM friendships"
    " WHERE user_id = :viewer AND other_id = actor AND relation = 'friend'))"
)


class SqliteHistory(SqlitePart):
    """The history of a `SqliteStore`."""

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        return await self._db.read(lambda db: find_message(db, sender, client_id))

    async def history(self, viewer: str, part: Range) -> Page:
        below = MAX_SEQ + 1 if part.before is None else part.before
        newest = part.after is None
        # One more than asked for tells whether there are more.
        span = Span(part.after or 0, below, part.limit + 1, newest, only=_IN_HISTORY)
        return await self._db.read(lambda db: _page(db, viewer, part.conversation, span))

    async def read_position(self, user_id: str, conversation: Conversation) -> int:
        row = await self._db.row(
            "SELECT up_to FROM reads WHERE user_id = ? AND peer = ?",
            (user_id, conversation_key(conversation)),
        )
        return 0 if row is None else int(row[0])

    async def read_state(self, user_id: str) -> ReadState:
        return await self._db.read(lambda db: _read_state(db, user_id))

    async def standings(self, user_id: str) -> Standings:
        return await self._db.read(lambda db: _standings(db, user_id))


def _page(db: sqlite3.Connection, viewer: str, conversation: Conversation, span: Span) -> Page:
    """One page of a conversation; `span` wants one event more than the page may hold."""
    match conversation:
        case Broadcasts():
            events = _broadcasts(db, viewer, span)
        case Direct(peer):
            events = _direct(db, viewer, peer, span)
    more = len(events) == span.limit
    del events[span.limit - 1 :]
    if span.newest:
        events.reverse()
    return Page(events, more, last_seq(db))


def _direct(db: sqlite3.Connection, viewer: str, peer: str, span: Span) -> list[Event]:
    ranges = [by_pair(peer, viewer).read(db, span)]
    row = db.execute(
        "SELECT since FROM friendships WHERE user_id = ? AND other_id = ? AND relation = 'friend'",
        (viewer, peer),
    ).fetchone()
    if row is not None:
        since = max(span.after, int(row[0]))
        ranges.append(by_pair(viewer, peer).read(db, replace(span, after=since)))
    return merge(ranges, span)


def _broadcasts(db: sqlite3.Connection, viewer: str, span: Span) -> list[Event]:
    """The viewer's and the friends' broadcasts in `span`.

    Walks over everybody's events as long as that promises to be cheaper than looking into each friend's
    range: where many friends write much, a page is at hand in 1 ms, however many they are.
    """
    found: list[Event] = []
    walked, size, ranges_cost = 0, LOOK_EVENTS, 0
    while True:
        rest, end_seq = _walk_broadcasts(
            db, viewer, replace(span, limit=span.limit - len(found)), size
        )
        found += rest
        if end_seq is None or len(found) >= span.limit:
            return found
        span = span.past(end_seq)
        ranges_cost = ranges_cost or RANGE_COST_EVENTS * _count_of_friends(db, viewer)
        walked += size
        wanted = (span.limit - len(found)) * walked // max(1, len(found))
        if wanted > ranges_cost:
            return found + _broadcasts_of_each(
                db, viewer, replace(span, limit=span.limit - len(found))
            )
        size = min(wanted + LOOK_EVENTS, walked)


def _walk_broadcasts(
    db: sqlite3.Connection, viewer: str, span: Span, size: int
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
        f"SELECT {EVENT} FROM events WHERE seq > :after AND seq < :below{_IN_HISTORY}"
        f" AND audience = 2 AND seq > {_SHOWN_AFTER} ORDER BY seq {span.order} LIMIT :limit",
        values,
    )
    return [event_of(row) for row in rows], None if end is None else int(end[0])


def _broadcasts_of_each(db: sqlite3.Connection, viewer: str, span: Span) -> list[Event]:
    leading = db.execute(
        "WITH head AS MATERIALIZED (SELECT other_id AS id, max(since, :after) AS since,"
        " (SELECT seq FROM events WHERE actor = other_id AND audience = 2"
        f"{_IN_HISTORY} AND seq > max(friendships.since, :after) AND seq < :below"
        f"  ORDER BY seq {span.order} LIMIT 1) AS first"
        " FROM friendships WHERE user_id = :viewer AND relation = 'friend')"
        f" SELECT id, since FROM head WHERE first IS NOT NULL ORDER BY first {span.order} LIMIT :limit",
        {"viewer": viewer, "after": span.after, "below": span.below, "limit": span.limit},
    ).fetchall()
    heads = [(viewer, span.after), *leading]
    ranges = [
        by_actor(actor, Audience.FRIENDS).read(db, replace(span, after=since))
        for actor, since in heads
    ]
    return merge(ranges, span)


def _count_of_friends(db: sqlite3.Connection, user_id: str) -> int:
    row = db.execute("SELECT count(*) FROM friendships WHERE user_id = ?", (user_id,)).fetchone()
    return int(row[0])


def _standings(db: sqlite3.Connection, user_id: str) -> Standings:
    newest = _broadcasts(db, user_id, Span(0, MAX_SEQ + 1, 1, newest=True, only=_IN_HISTORY))
    return standings(db, user_id, newest[0] if newest else None)


def _read_state(db: sqlite3.Connection, user_id: str) -> ReadState:
    friends = friends_since(db, user_id)
    own = {
        conversation_of(key): up_to
        for key, up_to in db.execute("SELECT peer, up_to FROM reads WHERE user_id = ?", (user_id,))
    }
    read_by = db.execute("SELECT user_id, up_to FROM reads WHERE peer = ?", (user_id,))
    peers = {friend: up_to for friend, up_to in read_by if friend in friends}
    return ReadState(own, peers, unread(db, user_id, own), last_seq(db))
