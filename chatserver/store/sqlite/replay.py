"""What a view shows of the order, in SQLite: the events, and how many they are.

Who come back together are often friends: `few_of_each` finds for many of them what they have missed, and reads each event once for
all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

import orjson

from chatserver.core.events import Event
from chatserver.core.visibility import SEEN, View, shows
from chatserver.store.sqlite.ranges import (
    BROADCASTS_OF_EACH,
    DIRECT_OF_EACH,
    Span,
    by_actor,
    count_all,
    gather,
    merge,
    read_each,
)
from chatserver.store.sqlite.shapes import EVENT, event_of

WALK_EVENTS = 1000
"""So few events in a row at the most are read and filtered, at 1 to 2 µs an event, whoever asks."""

WALK_EACH = 8
"""And no more than so many for each friend: answered by index they are some 10 µs a friend, however many lie between."""


def _few(view: View) -> int:
    """How many events in a row are quicker read than found by index."""
    return min(WALK_EVENTS, WALK_EACH * (len(view.friends) + 2))


def visible(db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events in (after, up_to] that `view` shows; see `EventLog.visible`."""
    if not _are_many(db, view, after, up_to):
        return _walk(db, view, after, up_to, limit)
    span = Span(after, up_to + 1, limit)
    gathered = gather(db, view.user_id, view.friends, span)
    if gathered is not None:
        return gathered
    ranges = [by_actor(view.user_id, audience).read(db, span) for audience in SEEN]
    ranges += read_each(db, view.user_id, view.friends, span, BROADCASTS_OF_EACH)
    ranges += read_each(db, view.user_id, view.friends, span, DIRECT_OF_EACH)
    return merge(ranges, span)


def few(
    db: sqlite3.Connection, view: View, after: int, up_to: int, most: int
) -> list[Event] | None:
    """All events that `visible` would find, where they are `most` at the most, and no more than are quickly gathered."""
    if not _are_many(db, view, after, up_to):
        found: list[Event] | None = _walk(db, view, after, up_to, most + 1)
    else:
        found = gather(db, view.user_id, view.friends, Span(after, up_to + 1, most + 1))
    return None if found is None or len(found) > most else found


def latest(db: sqlite3.Connection, most: int, most_bytes: int) -> list[Event]:
    """The newest events, whoever they are for; see `EventLog.latest`."""
    found: list[Event] = []
    for row in db.execute(f"SELECT {EVENT} FROM events ORDER BY seq DESC LIMIT ?", (most,)):
        event = event_of(row)
        most_bytes -= len(event.payload)
        if most_bytes < 0:
            break
        found.append(event)
    found.reverse()
    return found


def count_visible(db: sqlite3.Connection, view: View, after: int, up_to: int, cap: int) -> int:
    """How many events `visible` would find, counted to `cap`; see `EventLog.count_visible`."""
    if not _are_many(db, view, after, up_to):
        rows = db.execute(
            "SELECT seq, audience, actor, peer FROM events WHERE seq > ? AND seq <= ?",
            (after, up_to),
        )
        return min(cap, sum(shows(view, *row) for row in rows))
    return count_all(db, view.user_id, view.friends, Span(after, up_to + 1, cap))


def _are_many(db: sqlite3.Connection, view: View, after: int, up_to: int) -> bool:
    """Whether there are more events in (after, up_to] than are quickly walked through.

    Whoever is to be refused for having missed too much is to cost little.
    """
    many = db.execute(
        "SELECT 1 FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?",
        (after, up_to, _few(view)),
    ).fetchone()
    return many is not None


def _walk(db: sqlite3.Connection, view: View, after: int, up_to: int, limit: int) -> list[Event]:
    """The first `limit` events that `view` shows of all in (after, up_to]."""
    rows = db.execute(
        f"SELECT {EVENT} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq", (after, up_to)
    )
    shown = (row for row in rows if shows(view, row[0], row[3], row[4], row[5]))
    return [event_of(row) for row in islice(shown, limit)]


MOST_EVENTS = 2000
"""So many of a kind are read for all together, some 3 ms; where there are more, one after another is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one of them asks: see `EventLog.few`."""

    view: View
    after: int
    up_to: int
    most: int


_Events = Mapping[str | None, Sequence[Event]]

# The numbers are those of `Audience`, as in `ranges`.
_EACH = "(SELECT key, value FROM json_each(:{})) AS friend CROSS JOIN events WHERE actor = friend.key AND"
_BY_FRIENDS = _EACH.format("friends") + " audience = 2"
_BY_THEMSELVES = _EACH.format("viewers") + " audience IN (0, 1, 2)"
_TO_THEM = (
    "(SELECT viewer.key AS viewer, friend.key AS key, friend.value AS value"
    " FROM json_each(:pairs) AS viewer CROSS JOIN json_each(viewer.value) AS friend) AS friend"
    " CROSS JOIN events WHERE peer = friend.viewer AND actor = friend.key AND audience = 1"
)


class _Wanted:
    """From where on events are wanted, so that nobody's are read twice."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self.friends: dict[str, int] = {}
        self.viewers: dict[str, int] = {}
        self.pairs: dict[str, dict[str, int]] = {}
        self.up_to = max(look.up_to for look in looks)
        for look in looks:
            user_id, after = look.view.user_id, look.after
            _lower(self.viewers, user_id, after)
            pairs = self.pairs.setdefault(user_id, {})
            for friend, since in look.view.friends.items():
                start = since if since > after else after
                _lower(self.friends, friend, start)
                _lower(pairs, friend, start)

    def read(self, db: sqlite3.Connection, where: str) -> list[Event] | None:
        """The events there; None where they are too many."""
        values: dict[str, Any] = {
            "friends": orjson.dumps(self.friends).decode(),
            "viewers": orjson.dumps(self.viewers).decode(),
            "pairs": orjson.dumps(self.pairs).decode(),
            "up_to": self.up_to,
            "most": MOST_EVENTS,
        }
        rows = db.execute(
            f"SELECT {EVENT} FROM {where} AND seq > friend.value AND seq <= :up_to LIMIT :most",
            values,
        ).fetchall()
        return None if len(rows) == MOST_EVENTS else [event_of(row) for row in rows]


def few_of_each(db: sqlite3.Connection, looks: Sequence[Look]) -> dict[Look, list[Event]]:
    """As `replay.few` for each of them; left out is who has missed more than `most`, or too much."""
    found = None if len(looks) == 1 else _together(db, looks)
    if found is None:
        alone = {look: few(db, look.view, look.after, look.up_to, look.most) for look in looks}
        found = {look: events for look, events in alone.items() if events is not None}
    return found


def _together(db: sqlite3.Connection, looks: Sequence[Look]) -> dict[Look, list[Event]] | None:
    """The same by few statements; None where they have missed too much in all."""
    wanted = _Wanted(looks)
    by_friends, own, to_them = (
        wanted.read(db, where) for where in (_BY_FRIENDS, _BY_THEMSELVES, _TO_THEM)
    )
    if by_friends is None or own is None or to_them is None:
        return None
    told = _grouped(by_friends, _actor_of), _grouped(own, _actor_of), _grouped(to_them, _to_of)
    seen = {look: _seen(look, *told) for look in looks}
    return {look: events for look, events in seen.items() if len(events) <= look.most}


def _seen(look: Look, by_friends: _Events, own: _Events, to_them: _Events) -> list[Event]:
    view, after, up_to = look.view, look.after, look.up_to
    told = [*own.get(view.user_id, ()), *to_them.get(view.user_id, ())]
    for friend in view.friends:
        told += by_friends.get(friend, ())
    # They were read from where the first of those who asked wanted them: each sees what is theirs.
    found = [
        event
        for event in told
        if after < event.seq <= up_to
        and shows(view, event.seq, event.audience, event.actor, event.to)
    ]
    found.sort(key=_seq_of)
    return found


def _grouped(events: Sequence[Event], key: Callable[[Event], str | None]) -> _Events:
    found: dict[str | None, list[Event]] = {}
    for event in events:
        found.setdefault(key(event), []).append(event)
    return found


_actor_of, _to_of, _seq_of = attrgetter("actor"), attrgetter("to"), attrgetter("seq")


def _lower(starts: dict[str, int], key: str, start: int) -> None:
    before = starts.get(key)
    if before is None or start < before:
        starts[key] = start
