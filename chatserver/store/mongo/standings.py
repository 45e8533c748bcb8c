"""Where somebody's conversations stand, in MongoDB: the newest message of each is kept in a document a reader.

It is kept as unread counts are (`docs/design/unread.md`): nothing is written with a message. The document says for each
friend which message was the newest at one seq, and since when they were friends; reading adds what was sent since. So it
may be made at any time, by anybody, twice or late. It holds places, no texts: what somebody wrote goes with their account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from chatserver.core.conversations import (
    Conversation,
    Direct,
    Standing,
    Standings,
    as_last,
    newest_first,
)
from chatserver.core.events import Audience, Event
from chatserver.core.kinds import FOR_GOOD
from chatserver.store.mongo.changes import upsert
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.friendships import friends_since
from chatserver.store.mongo.ranges import (
    EVENT,
    PLACES,
    QUERIES_AT_ONCE,
    Doc,
    Span,
    by_actor,
    read,
    sent_to,
    talk,
)
from chatserver.store.mongo.shapes import event_of

TAIL_EVENTS = 500
"""So many events of each direction since the document was made are read; beyond that each friend is asked for anew."""
KEEP_EVENTS = 100
"""So many are worth a new document: some milliseconds of each reading."""
EVENTS_AT_ONCE = 500
"""Last messages of one query, and of one turn of the loop."""


async def kept_newest(db: MongoDb, user_id: str) -> Doc | None:
    """What is kept of this reader. To be read before the position at which the list is to be true."""
    kept: Doc | None = await db["newest"].find_one({"_id": user_id})
    return kept


async def keep_newest(db: MongoDb, user_id: str) -> None:
    """Make the document of this reader anew, where there is one: who never asked for a list has none."""
    kept = await kept_newest(db, user_id)
    if kept is not None:
        await make_newest(db, user_id, kept)


async def make_newest(db: MongoDb, user_id: str, kept: Doc | None = None) -> None:
    """Make the document of this reader, from what is kept where anything is."""
    head_seq = db.head_seq
    await newest_messages(db, user_id, await friends_since(db, user_id), kept, head_seq)


async def newest_messages(
    db: MongoDb, user_id: str, friends: Mapping[str, int], kept: Doc | None, head_seq: int
) -> dict[str, int]:
    """The seq of the newest message by friend, 0 where there is none; and keep it where that was much work."""
    found: dict[str, int] = {}
    for friend, since, seq in () if kept is None else kept["rows"]:
        # A friendship that began anew shows less of the other than before.
        if friends.get(friend) == since:
            found[friend] = int(seq)
    tail = 0
    if found:
        tail = await _add_tail(db, user_id, friends, found, int(kept["at"]) if kept else 0)
    unknown = [friend for friend in friends if friend not in found]
    turns = asyncio.Semaphore(QUERIES_AT_ONCE)

    async def seek(friend: str) -> None:
        async with turns:
            own = await read(db, talk(user_id, friend), _newest(0, head_seq), 1)
            theirs = await read(db, talk(friend, user_id), _newest(friends[friend], head_seq), 1)
        found[friend] = max((int(doc["seq"]) for doc in (*own, *theirs)), default=0)

    await asyncio.gather(*(seek(friend) for friend in unknown))
    if unknown or tail >= KEEP_EVENTS:
        rows = [[friend, friends[friend], seq] for friend, seq in found.items()]
        # Of two that were made at the same time the later one stays; either is true.
        older = {"_id": user_id, "at": {"$lt": head_seq}}
        await upsert(db["newest"], older, {"$set": {"at": head_seq, "rows": rows}})
    return found


def _newest(after: int, head_seq: int) -> Span:
    return Span(after, head_seq + 1, 1, newest=True, fields=PLACES)


async def _add_tail(
    db: MongoDb, user_id: str, friends: Mapping[str, int], found: dict[str, int], at_seq: int
) -> int:
    """Move `found` over what was sent after `at_seq`; how much that was. Empties it where it was too much to read."""
    span = Span(at_seq, db.head_seq + 1, TAIL_EVENTS, fields=PLACES)
    own, sent = await asyncio.gather(
        read(db, by_actor(user_id, Audience.PAIR), span, TAIL_EVENTS),
        read(db, sent_to(user_id), span, TAIL_EVENTS),
    )
    if max(len(own), len(sent)) == TAIL_EVENTS:
        found.clear()
        return TAIL_EVENTS
    for friend, doc in [*((each["to"], each) for each in own), *((d["actor"], d) for d in sent)]:
        seq = int(doc["seq"])
        shown = doc["actor"] == user_id or seq > friends.get(friend, seq)
        if friend in found and shown and doc["type"] in FOR_GOOD:
            found[friend] = max(found[friend], seq)
    return len(own) + len(sent)


async def messages_at(db: MongoDb, seqs: Iterable[int], many: int) -> dict[int, Event]:
    """Messages by seq, as they stand in a list of so many: long ones are cut before the next ones are read."""
    wanted = [seq for seq in seqs if seq]
    found: dict[int, Event] = {}
    for start in range(0, len(wanted), EVENTS_AT_ONCE):
        some = wanted[start : start + EVENTS_AT_ONCE]
        for doc in await db.all("events", {"_id": {"$in": some}}, EVENT):
            found[int(doc["seq"])] = as_last(event_of(doc), many)
    return found


def standings_of(
    lasts: Mapping[Conversation, Event | None],
    unread: Mapping[Conversation, int],
    own: Mapping[Conversation, int],
    head_seq: int,
) -> Standings:
    """What was found, as the list that it is."""
    found = [
        Standing(
            conversation,
            last,
            unread.get(conversation, 0),
            own.get(conversation, 0),
        )
        for conversation, last in lasts.items()
    ]
    return Standings(newest_first(found), head_seq)


def direct(
    newest: Mapping[str, int], messages: Mapping[int, Event]
) -> dict[Conversation, Event | None]:
    """The last message of each conversation with a friend."""
    return {Direct(friend): messages.get(seq) for friend, seq in newest.items()}
