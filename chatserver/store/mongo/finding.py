"""Finding the events that somebody may see in MongoDB: replay, history, unread; each query one range of an index.

Two ways lead to the next events of many friends. *Walking* reads all events in order and leaves out what is
not for this user: best where most are. *Lanes* asks for each friend's next ones: best where friends are
few or quiet. Which is better is not known beforehand, so a short walk comes first: how much it finds tells
what the rest of it would cost, and it goes on only while that is less than the lanes would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from chatserver.core.conversations import Page, ReadState
from chatserver.core.events import Audience, Event
from chatserver.core.visibility import View, shows
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.keys import (
    ALL,
    BROADCASTS,
    Lane,
    broadcasts_of,
    by_actor,
    sent_to,
    talk,
)

WALK_EVENTS = 200
"""So much more than the lanes a walk may cost. At 0 there is none: for tests of the lanes."""
LANE_COST_EVENTS = 20
"""One more query costs about as much as so many more events in another."""
ALONE = 64
"""Up to so many friends have a lane each in a page of broadcasts; more of them share lanes."""
ACTORS = 200
"""People in one shared lane. MongoDB goes through the index once for each and merges, for up to 200 of an
`$in` (MongoDB manual, "The ESR Guideline"); for more it would sort everything they ever wrote."""
ACTORS_COST_EVENTS = 100
"""What such a lane costs, in events walked."""
READ_EVENTS = 500
"""Events in one answer."""
QUERIES_AT_ONCE = 8
MAX_UNREAD = 1000

_FIELDS = dict.fromkeys(("seq", "at", "type", "audience", "actor", "to", "payload"), 1)
_PLACES = dict.fromkeys(("seq", "type", "audience", "actor", "to"), 1)

_Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Span:
    """What is wanted: seqs between `after` and `below` (both excluded), up to `limit`."""

    after: int
    below: int
    limit: int
    newest: bool = False
    """Take the newest rather than the oldest."""
    fields: Mapping[str, int] | None = None

    def past(self, seq: int) -> _Span:
        """What is left of it beyond `seq`."""
        return replace(self, below=seq) if self.newest else replace(self, after=seq)


async def friends_since(db: MongoDb, user_id: str) -> dict[str, int]:
    """Friend id -> seq at which the friendship began."""
    found = {}
    for field, other in (("a", "b"), ("b", "a")):
        where = {field: user_id}
        for doc in await db["pairs"].find(where, {other: 1, "state": 1, "since": 1}).to_list(None):
            if doc["state"] == "friend":
                found[doc[other]] = int(doc["since"])
    return found


# replay


async def visible(db: MongoDb, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""

    def passes(doc: _Doc) -> bool:
        return shows(view, doc["seq"], doc["audience"], doc["actor"], doc["to"])

    if after >= up_to or limit < 1:
        return []
    lanes = [(by_actor(view.user_id, audience), 0) for audience in Audience]
    lanes.append((sent_to(view.user_id), 0))
    lanes += [(by_actor(f, Audience.FRIENDS), since) for f, since in view.friends.items()]
    found = await _next(db, ALL, lanes, passes, _Span(after, up_to + 1, limit))
    return [_event(doc) for doc in found]


# the history


async def history(
    db: MongoDb, viewer: str, peer: str | None, span: tuple[int, int, int], newest: bool
) -> Page:
    """One page of a conversation: of the seqs between `span`'s first two the newest or the oldest.

    The second is at most one above the position at which the page is to be true.
    """
    after, below, limit = span
    friends = await friends_since(db, viewer)
    # One more than asked for tells whether there are more.
    wanted = _Span(after, below, limit + 1, newest)
    if peer is None:
        found = await _broadcasts(db, viewer, friends, wanted)
    else:
        lanes = [(talk(viewer, peer), 0)]
        if peer in friends and peer != viewer:
            lanes.append((talk(peer, viewer), friends[peer]))
        found = await _lanes(db, lanes, _is_message, wanted)
    more = len(found) > limit
    events = [_event(doc) for doc in found[:limit]]
    if newest:
        events.reverse()
    return Page(events, more, below - 1)


async def _broadcasts(
    db: MongoDb, viewer: str | None, friends: Mapping[str, int], span: _Span
) -> list[_Doc]:
    view = View(viewer or "", friends)

    def passes(doc: _Doc) -> bool:
        return _is_message(doc) and shows(
            view, doc["seq"], doc["audience"], doc["actor"], doc["to"]
        )

    people = list(friends) if viewer is None else [viewer, *friends]
    if len(people) <= ALONE:
        alone = [(by_actor(each, Audience.FRIENDS), friends.get(each, 0)) for each in people]
        return await _next(db, BROADCASTS, alone, passes, span)
    lanes = [(broadcasts_of(people[at : at + ACTORS]), 0) for at in range(0, len(people), ACTORS)]
    return await _next(db, BROADCASTS, lanes, passes, span, ACTORS_COST_EVENTS)


async def read_state(db: MongoDb, user_id: str, head_seq: int) -> ReadState:
    """Read positions and unread counts, true at `head_seq`; see `Store.read_state`."""
    friends = await friends_since(db, user_id)
    own: dict[str | None, int] = {
        doc["peer"] or None: doc["up_to"]
        for doc in await db["reads"].find({"user": user_id}, {"peer": 1, "up_to": 1}).to_list(None)
    }
    peers = {
        doc["user"]: doc["up_to"]
        for doc in await db["reads"].find({"peer": user_id}, {"user": 1, "up_to": 1}).to_list(None)
        if doc["user"] in friends
    }
    bounds = {friend: max(since, own.get(friend, 0)) for friend, since in friends.items()}
    unread: dict[str | None, int] = {}
    for friend, count in (await _unread_direct(db, user_id, bounds, head_seq)).items():
        unread[friend] = count
    span = _Span(own.get(None, 0), head_seq + 1, MAX_UNREAD, fields=_PLACES)
    if broadcasts := len(await _broadcasts(db, None, friends, span)):
        unread[None] = broadcasts
    return ReadState(own, peers, unread, head_seq)


async def _unread_direct(
    db: MongoDb, user_id: str, bounds: Mapping[str, int], head_seq: int
) -> dict[str, int]:
    """Messages to `user_id` by friend, after that friend's bound.

    LIMIT: reads what was sent to this user back to the oldest bound; somebody who never says what they
    have read, and is sent tens of thousands of direct messages, waits for that.
    """
    counts: dict[str, int] = {}
    if not bounds:
        return counts
    span = _Span(min(bounds.values()), head_seq + 1, READ_EVENTS, newest=True, fields=_PLACES)
    lane = sent_to(user_id)
    while True:
        docs = await _read(db, lane, span, READ_EVENTS)
        for doc in docs:
            friend = doc["actor"]
            if doc["type"] == "message" and doc["seq"] > bounds.get(friend, head_seq):
                counts[friend] = min(counts.get(friend, 0) + 1, MAX_UNREAD)
        if len(docs) < READ_EVENTS:
            return counts
        span = span.past(docs[-1]["seq"])


# walking and lanes


async def _next(
    db: MongoDb,
    walk: Lane,
    lanes: Sequence[tuple[Lane, int]],
    passes: Callable[[_Doc], bool],
    span: _Span,
    lane_cost: int | None = None,
) -> list[_Doc]:
    found: list[_Doc] = []
    walked = 0
    lanes_cost = len(lanes) * (LANE_COST_EVENTS if lane_cost is None else lane_cost)
    # A little more than what is wanted at first, and more each time it was not enough.
    size = min(span.limit + WALK_EVENTS // 4, READ_EVENTS)
    while WALK_EVENTS:
        docs = await _read(db, walk, span, size)
        found += filter(passes, docs)
        if len(docs) < size or len(found) >= span.limit:
            return found[: span.limit]
        span = span.past(docs[-1]["seq"])
        walked += size
        left = (span.limit - len(found)) * walked // max(1, len(found))
        if left > WALK_EVENTS + lanes_cost:
            break
        size = min(size * 2, READ_EVENTS)
    rest = replace(span, limit=span.limit - len(found))
    return found + await _lanes(db, lanes, passes, rest)


async def _lanes(
    db: MongoDb,
    lanes: Sequence[tuple[Lane, int]],
    passes: Callable[[_Doc], bool],
    span: _Span,
) -> list[_Doc]:
    """The first of several lanes together; each with the seq after which it counts."""
    gate = asyncio.Semaphore(QUERIES_AT_ONCE)

    async def one(lane: Lane, since: int) -> list[_Doc]:
        async with gate:
            return await _take(db, lane, passes, replace(span, after=max(span.after, since)))

    parts = await asyncio.gather(*(one(*each) for each in lanes))
    # Keyed by seq: what a friend addressed to this user could stand in two lanes.
    merged: Iterable[_Doc] = {doc["seq"]: doc for part in parts for doc in part}.values()
    merged = sorted(merged, key=lambda doc: int(doc["seq"]), reverse=span.newest)
    return list(islice(merged, span.limit))


async def _take(db: MongoDb, lane: Lane, passes: Callable[[_Doc], bool], span: _Span) -> list[_Doc]:
    found: list[_Doc] = []
    while len(found) < span.limit and span.after < span.below:
        size = min(span.limit - len(found), READ_EVENTS)
        docs = await _read(db, lane, span, size)
        found += filter(passes, docs)
        if len(docs) < size:
            break
        span = span.past(docs[-1]["seq"])
    return found


async def _read(db: MongoDb, lane: Lane, span: _Span, size: int) -> list[_Doc]:
    found: list[_Doc] = (
        await db["events"]
        .find(lane.between(span.after, span.below), span.fields or _FIELDS)
        .sort(lane.field, -1 if span.newest else 1)
        .limit(size)
        .to_list(size)
    )
    return found


def _is_message(doc: _Doc) -> bool:
    return bool(doc["type"] == "message")


def _event(doc: _Doc) -> Event:
    return Event(
        int(doc["seq"]),
        int(doc["at"]),
        doc["type"],
        Audience(doc["audience"]),
        doc["actor"],
        doc["to"],
        bytes(doc["payload"]),
    )
