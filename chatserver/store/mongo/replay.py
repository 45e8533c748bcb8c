"""What a view shows of the order, in MongoDB."""

from __future__ import annotations

from chatserver.core.events import Audience, Event
from chatserver.core.visibility import SEEN, View, shows
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.ranges import ALL, Doc, Span, by_actor, first_events, sent_to
from chatserver.store.mongo.shapes import event_of


async def visible(db: MongoDb, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""

    def passes(doc: Doc) -> bool:
        return shows(view, doc["seq"], doc["audience"], doc["actor"], doc["to"])

    if after >= up_to or limit < 1:
        return []
    ranges = [(by_actor(view.user_id, audience), 0) for audience in SEEN]
    ranges.append((sent_to(view.user_id), 0))
    ranges += [(by_actor(f, Audience.FRIENDS), since) for f, since in view.friends.items()]
    found = await first_events(db, ALL, ranges, passes, Span(after, up_to + 1, limit))
    return [event_of(doc) for doc in found]
