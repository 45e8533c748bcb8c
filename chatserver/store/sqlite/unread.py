"""Unread messages in SQLite: those of one friend are kept in the friendship's row, those of all are counted to a cap.

How they are kept, and what that costs, is in `docs/design/unread.md`. The number in a row is changed in the
transaction of the event that changes it, in the order of the events. A position that moves, and nothing else,
makes it be counted anew: from the index, and no further than the cap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from chatserver.core.conversations import BROADCASTS, Conversation, Direct
from chatserver.core.events import MAX_SEQ, Audience, Event
from chatserver.core.kinds import FOR_GOOD
from chatserver.store.sqlite.shapes import IN_HISTORY

MAX_UNREAD = 1000
"""Nobody reads an exact number above it, and counting costs."""

POSITION = (
    "coalesce((SELECT up_to FROM reads WHERE reads.user_id = friendships.user_id"
    " AND reads.peer = friendships.other_id), 0)"
)
"""How far the user of a friendship has read the other."""
# What lies after both the beginning of the friendship and the reader's position, and before :below.
_COUNTED = (
    "(SELECT count(*) FROM (SELECT 1 FROM events WHERE peer = friendships.user_id"
    f" AND actor = friendships.other_id AND audience = 1 AND {IN_HISTORY}"
    f" AND seq > max(friendships.since, {POSITION}) AND seq < :below LIMIT :cap))"
)


def add_unread(db: sqlite3.Connection, event: Event) -> None:
    """Count a message that was just written; anything else, and what is for all friends, is not kept count of."""
    if event.audience is Audience.PAIR and event.type in FOR_GOOD:
        db.execute(
            "UPDATE friendships SET unread = unread + 1 WHERE user_id = ? AND other_id = ?"
            f" AND relation = 'friend' AND unread < ? AND {POSITION} < ?",
            (event.to, event.actor, MAX_UNREAD, event.seq),
        )


def recount(db: sqlite3.Connection, user_id: str, conversation: Conversation, seq: int) -> None:
    """Count what is unread of a conversation, as it stood when the event at `seq` moved the position."""
    if isinstance(conversation, Direct):
        db.execute(
            f"UPDATE friendships SET unread = {_COUNTED} WHERE user_id = :user AND other_id = :peer"
            " AND relation = 'friend' AND unread > 0",
            {"user": user_id, "peer": conversation.user_id, "below": seq, "cap": MAX_UNREAD},
        )


def recount_all(db: sqlite3.Connection) -> None:
    """Count everybody's, where the messages came all at once."""
    db.execute(
        f"UPDATE friendships SET unread = {_COUNTED} WHERE relation = 'friend'",
        {"below": MAX_SEQ + 1, "cap": MAX_UNREAD},
    )


def unread(
    db: sqlite3.Connection, user_id: str, own: Mapping[Conversation, int]
) -> dict[Conversation, int]:
    """How much is unread by conversation, where anything is; `own` are the reader's positions."""
    rows = db.execute(
        "SELECT other_id, unread FROM friendships WHERE user_id = ? AND relation = 'friend'"
        " AND unread > 0",
        (user_id,),
    )
    found: dict[Conversation, int] = {Direct(friend): count for friend, count in rows}
    if broadcasts := unread_broadcasts(db, user_id, own.get(BROADCASTS, 0)):
        found[BROADCASTS] = broadcasts
    return found


def unread_broadcasts(db: sqlite3.Connection, user_id: str, up_to: int) -> int:
    """How many broadcasts of friends stand after `up_to`, counted to the cap."""
    row = db.execute(
        # CROSS JOIN: the friends first, then for each a range of the index.
        "SELECT count(*) FROM (SELECT 1 FROM friendships CROSS JOIN events"
        " WHERE user_id = ? AND relation = 'friend' AND actor = other_id AND audience = 2"
        f" AND {IN_HISTORY} AND seq > max(since, ?) LIMIT ?)",
        (user_id, up_to, MAX_UNREAD),
    ).fetchone()
    return int(row[0])
