"""Unread messages in MongoDB: those of friends one by one are folded into a document a reader, broadcasts into another.

How they are kept, and what that costs, is in `docs/design/unread.md`. Nothing is written with a message. What was
sent to somebody since their last fold is counted when they ask, and folded when it has become much: the fold says
for each friend how much was unread at one seq, and after which position. So it may be made at any time, by anybody,
twice or late, and a crash loses nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from pymongo import errors

from chatserver.core.bounded import Bounded
from chatserver.core.conversations import Conversation, Direct
from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Event
from chatserver.core.kinds import FOR_GOOD
from chatserver.store.archive import conversation_of
from chatserver.store.mongo.changes import upsert
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.friendships import friends_since
from chatserver.store.mongo.ranges import (
    PLACES,
    QUERIES_AT_ONCE,
    READ_EVENTS,
    Doc,
    Span,
    read,
    sent_to,
    talk,
)
from chatserver.store.mongo.standings import keep_newest, make_newest

_log = logging.getLogger("chatserver.store")

MAX_UNREAD = 1000
"""Nobody reads an exact number above it, and counting costs."""
FOLD_EVENTS = 500
"""So many direct messages to one reader are folded: one answer of the database, some milliseconds."""
MOVED_FRIENDS = 8
"""So many positions that lie inside a fold are worth a new one: each is a query of its own."""
READERS_COUNTED = 10_000
"""People of whom it is known how much they wrote and were sent. Who is forgotten folds when asking."""

KEEP_BROADCASTS = 100
"""So many broadcasts are worth a document: some milliseconds of each reading."""

Look = Callable[[Span], Awaitable[list[Doc]]]
"""The broadcasts of a reader's friends in a span."""


async def kept_casts(db: MongoDb, user_id: str) -> Doc | None:
    """What is kept of this reader. To be read before the position at which the count is to be true."""
    kept: Doc | None = await db["casts"].find_one({"_id": user_id})
    return kept


Positions = Mapping[str, int]
"""Friend -> the seq after which what they sent is unread: the reader's position, or the friendship's beginning."""


class Folds:
    """Folds what is unread, and what came last, of readers to whom much is sent or who write much, beside the writing."""

    def __init__(self, db: MongoDb) -> None:
        self._db = db
        self._sent: Bounded[str, int] = Bounded(READERS_COUNTED)
        self._due: set[str] = set()
        self._folding: asyncio.Task[None] | None = None

    def note(self, events: Iterable[Event]) -> None:
        """Hear of events that were written."""
        for event in events:
            if event.to is not None and event.audience is Audience.PAIR:
                self._count(event.to)
                self._count(event.actor)
        if self._due and (self._folding is None or self._folding.done()):
            self._folding = asyncio.create_task(self._fold_all(), name="mongo-unread")

    def _count(self, user_id: str) -> None:
        sent = (self._sent.get(user_id) or 0) + 1
        self._sent.put(user_id, sent)
        if sent >= FOLD_EVENTS:
            self._sent.forget(user_id)
            self._due.add(user_id)

    async def _fold_all(self) -> None:
        while self._due:
            user_id = self._due.pop()
            try:
                await _fold(self._db, user_id)
                await keep_newest(self._db, user_id)
            except (errors.PyMongoError, Unavailable) as error:
                # Nothing is lost: it is folded when it is asked for.
                _log.info("unread messages could not be folded: %s", error)

    async def close(self) -> None:
        """End what is under way."""
        self._due.clear()
        if self._folding is not None:
            self._folding.cancel()
            await asyncio.gather(self._folding, return_exceptions=True)


def positions_of(own: Mapping[Conversation, int], friends: Mapping[str, int]) -> Positions:
    """After which seq a friend's messages are unread, by friend."""
    return {friend: max(since, own.get(Direct(friend), 0)) for friend, since in friends.items()}


async def kept_fold(db: MongoDb, user_id: str) -> Doc | None:
    """The fold of this reader. To be read before the position at which the counts are to be true."""
    fold: Doc | None = await db["unread"].find_one({"_id": user_id})
    return fold


async def own_positions(db: MongoDb, user_id: str) -> dict[Conversation, int]:
    """How far somebody has read each conversation."""
    docs = await db["reads"].find({"user": user_id}, {"peer": 1, "up_to": 1}).to_list(None)
    return {conversation_of(doc["peer"]): int(doc["up_to"]) for doc in docs}


async def _fold(db: MongoDb, user_id: str) -> None:
    fold = await kept_fold(db, user_id)
    head_seq = db.head_seq
    positions = positions_of(await own_positions(db, user_id), await friends_since(db, user_id))
    await unread_direct(db, user_id, fold, positions, head_seq)


async def fold_moved(db: MongoDb, sent: Mapping[str, int]) -> None:
    """Fold for everybody to whom much was sent before this database had it; `sent`: how many messages, by reader.

    Else the first request of each would: 22 s for 300,000 unread messages on nx-27017.
    """
    for user_id, count in sent.items():
        if count >= FOLD_EVENTS:
            await _fold(db, user_id)
            await make_newest(db, user_id)


async def unread_direct(
    db: MongoDb, user_id: str, fold: Doc | None, positions: Positions, head_seq: int
) -> dict[str, int]:
    """Messages to `user_id` by friend, after that friend's position; and fold them where that was much work."""
    if not positions:
        return {}
    at_seq = min(positions.values()) if fold is None else int(fold["at"])
    counts, moved = await _of_fold(db, user_id, fold, positions, at_seq)
    sent = 0
    span = Span(at_seq, head_seq + 1, READ_EVENTS, fields=PLACES)
    while True:
        docs = await read(db, sent_to(user_id), span, READ_EVENTS)
        sent += len(docs)
        for doc in docs:
            friend = doc["actor"]
            if doc["type"] in FOR_GOOD and doc["seq"] > positions.get(friend, head_seq):
                counts[friend] = min(counts.get(friend, 0) + 1, MAX_UNREAD)
        if len(docs) < READ_EVENTS:
            break
        span = span.past(docs[-1]["seq"])
    if sent >= FOLD_EVENTS or moved >= MOVED_FRIENDS:
        await _keep(db, user_id, head_seq, counts, positions)
    return counts


async def _of_fold(
    db: MongoDb, user_id: str, fold: Doc | None, positions: Positions, at_seq: int
) -> tuple[dict[str, int], int]:
    """What of the fold is still unread, and for how many friends that had to be counted anew."""
    counts: dict[str, int] = {}
    moved: list[str] = []
    for friend, position, count in () if fold is None else fold["counts"]:
        now = positions.get(friend, at_seq)
        if now == position:
            counts[friend] = int(count)
        elif now < at_seq:
            moved.append(friend)
    turns = asyncio.Semaphore(QUERIES_AT_ONCE)

    async def recount(friend: str) -> None:
        span = Span(positions[friend], at_seq + 1, MAX_UNREAD, fields=PLACES)
        async with turns:
            found = await read(db, talk(friend, user_id), span, MAX_UNREAD)
        if found:
            counts[friend] = len(found)

    await asyncio.gather(*(recount(friend) for friend in moved))
    return counts, len(moved)


async def _keep(
    db: MongoDb, user_id: str, at_seq: int, counts: Mapping[str, int], positions: Positions
) -> None:
    rows = [[friend, positions[friend], count] for friend, count in counts.items()]
    # Of two that were made at the same time the later one stays; either is true.
    older = {"_id": user_id, "at": {"$lt": at_seq}}
    await upsert(db["unread"], older, {"$set": {"at": at_seq, "counts": rows}})


# Broadcasts. Where the position has moved or the friends are others, they are counted anew, to the cap.


class Wanted(NamedTuple):
    """What is to be counted: what `friends` (with the seq since when) wrote after `after`, up to `most`, as of `head_seq`."""

    after: int
    friends: Mapping[str, int]
    head_seq: int
    most: int


async def unread_casts(
    db: MongoDb, user_id: str, kept: Doc | None, wanted: Wanted, look: Look
) -> int:
    """How many there are; and keep it where that was much work."""
    after, friends, head_seq, most = wanted
    whose = _digest(friends)
    counted, at_seq = 0, after
    if kept is not None and kept["after"] == after and kept["whose"] == whose:
        counted, at_seq = min(int(kept["count"]), most), max(after, int(kept["at"]))
    found = 0
    if counted < most:
        left = most - counted
        found = len(await look(Span(at_seq, head_seq + 1, left, fields=PLACES)))
    if found >= KEEP_BROADCASTS:
        count = counted + found
        # Of two that were made at the same time the later one stays; either is true.
        older = {"_id": user_id, "at": {"$lt": head_seq}}
        made = {"at": head_seq, "after": after, "whose": whose, "count": count}
        await upsert(db["casts"], older, {"$set": made})
    return counted + found


def _digest(friends: Mapping[str, int]) -> str:
    """Who they are, and since when: what they wrote before is not shown."""
    digest = hashlib.sha256()
    for friend in sorted(friends):
        digest.update(f"{friend} {friends[friend]},".encode())
    return digest.hexdigest()
