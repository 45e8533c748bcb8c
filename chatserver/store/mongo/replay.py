"""What a view shows of the order, in MongoDB."""

from __future__ import annotations

from chatserver.core.events import Audience, Event
from chatserver.core.visibility import SEEN, View, shows
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.ranges import (
    ALL,
    EVENT,
    PLACES,
    Doc,
    Span,
    by_actor,
    first_events,
    sent_to,
)
from chatserver.store.mongo.shapes import event_of


async def visible(db: MongoDb, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""
    found = await _visible(db, view, Span(after, up_to + 1, limit))
    return [event_of(doc) for doc in found]


async def count_visible(db: MongoDb, view: View, after: int, up_to: int, cap: int) -> int:
    """How many events `visible` would find, counted to `cap`; see `EventLog.count_visible`."""
    return len(await _visible(db, view, Span(after, up_to + 1, cap, fields=PLACES)))


async def latest(db: MongoDb, most: int, most_bytes: int) -> list[Event]:
    """The newest events, whoever they are for; see `EventLog.latest`."""
    found: list[Event] = []
    places = {"seq": {"$lte": db.head_seq}}
    async for doc in db["events"].find(places, EVENT).sort("seq", -1).limit(most):
        event = event_of(doc)
        most_bytes -= len(event.payload)
        if most_bytes < 0:
            break
        found.append(event)
    found.reverse()
    return found


async def _visible(db: MongoDb, view: View, span: Span) -> list[Doc]:
    def passes(doc: Doc) -> bool:
        return shows(view, doc["seq"], doc["audience"], doc["actor"], doc["to"])

    if span.after + 1 >= span.below or span.limit < 1:
        return []
    ranges = [(by_actor(view.user_id, audience), 0) for audience in SEEN]
    ranges.append((sent_to(view.user_id), 0))
    ranges += [(by_actor(f, Audience.FRIENDS), since) for f, since in view.friends.items()]
    return await first_events(db, ALL, ranges, passes, span)
