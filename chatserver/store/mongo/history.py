"""The history in MongoDB: messages of a conversation, the id of a message, read positions, unread counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from chatserver.core.conversations import (
    BROADCASTS,
    Broadcasts,
    Conversation,
    Direct,
    Page,
    Range,
    ReadState,
    Standings,
    as_last,
)
from chatserver.core.events import Audience
from chatserver.core.kinds import FOR_GOOD
from chatserver.core.visibility import View, shows
from chatserver.store.archive import conversation_key
from chatserver.store.mongo.database import MongoDb, MongoPart
from chatserver.store.mongo.friendships import friends_since
from chatserver.store.mongo.ranges import (
    ALL_BROADCASTS,
    Doc,
    Span,
    broadcasts_of,
    by_actor,
    compound,
    first_events,
    merged,
    talk,
)
from chatserver.store.mongo.shapes import client_key, event_of
from chatserver.store.mongo.standings import (
    direct,
    kept_newest,
    messages_at,
    newest_messages,
    standings_of,
)
from chatserver.store.mongo.unread import (
    MAX_UNREAD,
    Wanted,
    kept_casts,
    kept_fold,
    own_positions,
    positions_of,
    unread_casts,
    unread_direct,
)

ALONE = 64
"""Up to so many friends have a range each in a page of broadcasts; more of them share ranges."""
ACTORS = 200
"""People in one shared range. MongoDB goes through the index once for each and merges, for up to 200 of an
`$in` (MongoDB manual, "The ESR Guideline"); for more it would sort everything they ever wrote."""
ACTORS_COST_EVENTS = 100
"""What such a range costs, in events walked."""


class MongoHistory(MongoPart):
    """The history of a `MongoStore`."""

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        where = {"key": client_key(sender, client_id, 0)}
        doc = await self._db.one("events", where, {"seq": 1, "at": 1})
        if doc is None or doc["seq"] > self._db.head_seq:
            return None
        return int(doc["seq"]), int(doc["at"])

    async def history(self, viewer: str, part: Range) -> Page:
        seq = self._db.head_seq
        below = seq + 1 if part.before is None else min(part.before, seq + 1)
        # One more than asked for tells whether there are more.
        span = Span(part.after or 0, below, part.limit + 1, newest=part.after is None)
        async with self._db.answering():
            found = await _page(self._db, viewer, part.conversation, span)
        events = [event_of(doc) for doc in found[: part.limit]]
        if span.newest:
            events.reverse()
        return Page(events, len(found) > part.limit, seq)

    async def read_position(self, user_id: str, conversation: Conversation) -> int:
        key = compound(user_id, conversation_key(conversation))
        doc = await self._db.one("reads", {"_id": key}, {"up_to": 1})
        return 0 if doc is None else int(doc["up_to"])

    async def read_state(self, user_id: str) -> ReadState:
        async with self._db.answering():
            return await _read_state(self._db, user_id)

    async def standings(self, user_id: str) -> Standings:
        async with self._db.answering():
            return await _standings(self._db, user_id)


async def _page(db: MongoDb, viewer: str, conversation: Conversation, span: Span) -> list[Doc]:
    """The messages of a conversation in `span`."""
    view = View(viewer, await friends_since(db, viewer))
    match conversation:
        case Broadcasts():
            return await _broadcasts(db, view, span, [viewer, *view.friends])
        case Direct(peer):
            ranges = [(talk(viewer, peer), 0)]
            if peer in view.friends and peer != viewer:
                ranges.append((talk(peer, viewer), view.friends[peer]))
            return await merged(db, ranges, _shown_to(view), span)


async def _broadcasts(db: MongoDb, view: View, span: Span, people: Sequence[str]) -> list[Doc]:
    """What `people`, of whom each is the viewer or a friend, wrote to all of their friends."""
    passes = _shown_to(view)
    if len(people) <= ALONE:
        alone = [(by_actor(each, Audience.FRIENDS), view.friends.get(each, 0)) for each in people]
        return await first_events(db, ALL_BROADCASTS, alone, passes, span)
    shared = [(broadcasts_of(people[at : at + ACTORS]), 0) for at in range(0, len(people), ACTORS)]
    return await first_events(db, ALL_BROADCASTS, shared, passes, span, ACTORS_COST_EVENTS)


def _shown_to(view: View) -> Callable[[Doc], bool]:
    """Whether a document is a part of the history that `view` shows."""

    def passes(doc: Doc) -> bool:
        return doc["type"] in FOR_GOOD and shows(
            view, doc["seq"], doc["audience"], doc["actor"], doc["to"]
        )

    return passes


async def _read_state(db: MongoDb, user_id: str) -> ReadState:
    """Read positions and unread counts."""
    kept = await _kept(db, user_id)
    head_seq = db.head_seq
    friends = await friends_since(db, user_id)
    own = await own_positions(db, user_id)
    read_by = await db["reads"].find({"peer": user_id}, {"user": 1, "up_to": 1}).to_list(None)
    peers = {doc["user"]: int(doc["up_to"]) for doc in read_by if doc["user"] in friends}
    unread = await _unread(db, user_id, friends, own, kept, head_seq)
    return ReadState(own, peers, unread, head_seq)


async def _kept(db: MongoDb, user_id: str) -> tuple[Doc | None, Doc | None]:
    """What is kept of a reader's unread messages: those of friends one by one, and the broadcasts."""
    fold, casts = await asyncio.gather(kept_fold(db, user_id), kept_casts(db, user_id))
    return fold, casts


async def _unread(
    db: MongoDb,
    user_id: str,
    friends: Mapping[str, int],
    own: Mapping[Conversation, int],
    kept: tuple[Doc | None, Doc | None],
    head_seq: int,
) -> dict[Conversation, int]:
    """How much is unread by conversation, where anything is."""
    fold, casts = kept
    direct = await unread_direct(db, user_id, fold, positions_of(own, friends), head_seq)
    unread: dict[Conversation, int] = {Direct(friend): count for friend, count in direct.items()}
    # Nobody's own: what one wrote oneself is not unread.
    view, people = View("", friends), list(friends)
    after = own.get(BROADCASTS, 0)
    wanted = Wanted(after, friends, head_seq, MAX_UNREAD)
    look = partial(_broadcasts, db, view, people=people)
    if broadcasts := await unread_casts(db, user_id, casts, wanted, look):
        unread[BROADCASTS] = broadcasts
    return unread


async def _standings(db: MongoDb, user_id: str) -> Standings:
    """Where each conversation stands."""
    fold, kept = await asyncio.gather(_kept(db, user_id), kept_newest(db, user_id))
    head_seq = db.head_seq
    friends, own = await asyncio.gather(friends_since(db, user_id), own_positions(db, user_id))
    view, span = View(user_id, friends), Span(0, head_seq + 1, 1, newest=True)
    unread, newest, broadcasts = await asyncio.gather(
        _unread(db, user_id, friends, own, fold, head_seq),
        newest_messages(db, user_id, friends, kept, head_seq),
        _broadcasts(db, view, span, [user_id, *friends]),
    )
    many = 1 + len(friends)
    lasts = direct(newest, await messages_at(db, newest.values(), many))
    lasts[BROADCASTS] = as_last(event_of(broadcasts[0]), many) if broadcasts else None
    return standings_of(lasts, unread, own, head_seq)
