"""Where somebody's conversations stand, in SQLite: the newest message of each is a seek in an index for each direction."""

from __future__ import annotations

import sqlite3

from chatserver.core.conversations import (
    BROADCASTS,
    Direct,
    Standing,
    Standings,
    as_last,
    newest_first,
)
from chatserver.core.events import Event
from chatserver.store.sqlite.eventlog import last_seq
from chatserver.store.sqlite.shapes import EVENT, event_of
from chatserver.store.sqlite.unread import POSITION, unread_broadcasts

# What the two have written to each other, the friend's from the beginning of the friendship on (`core.visibility`). The
# kind is spelled out, as is the audience, because that selects the partial index; `kinds.FOR_GOOD` says the same.
_NEWEST = (
    "coalesce((SELECT max(seq) FROM events WHERE peer = {to} AND actor = {actor}"
    " AND audience = 1 AND type = 'message' AND seq > {after}), 0)"
)
_OWN = _NEWEST.format(to="other_id", actor="user_id", after="0")
_THEIRS = _NEWEST.format(to="user_id", actor="other_id", after="friendships.since")
_DIRECT = (
    f"WITH talk AS MATERIALIZED (SELECT other_id, unread, {POSITION} AS up_to,"
    f" max({_OWN}, {_THEIRS}) AS newest"
    " FROM friendships WHERE user_id = ? AND relation = 'friend')"
    f" SELECT other_id, unread, up_to, {EVENT} FROM talk LEFT JOIN events ON seq = newest"
)

_FRIENDS = "SELECT count(*) FROM friendships WHERE user_id = ? AND relation = 'friend'"


def standings(db: sqlite3.Connection, user_id: str, newest_broadcast: Event | None) -> Standings:
    """All of somebody's conversations; the newest broadcast was found by the caller, in the same snapshot."""
    many = 1 + int(db.execute(_FRIENDS, (user_id,)).fetchone()[0])
    found = [_broadcasts(db, user_id, newest_broadcast, many)]
    # Row by row: long messages are cut before the next one is read.
    for friend, unread, up_to, *event in db.execute(_DIRECT, (user_id,)):
        last = None if event[0] is None else as_last(event_of(tuple(event)), many)
        found.append(Standing(Direct(friend), last, unread, up_to))
    return Standings(newest_first(found), last_seq(db))


def _broadcasts(db: sqlite3.Connection, user_id: str, newest: Event | None, many: int) -> Standing:
    row = db.execute("SELECT up_to FROM reads WHERE user_id = ? AND peer = ''", (user_id,))
    (up_to,) = row.fetchone() or (0,)
    last = None if newest is None else as_last(newest, many)
    return Standing(BROADCASTS, last, unread_broadcasts(db, user_id, up_to), up_to)
