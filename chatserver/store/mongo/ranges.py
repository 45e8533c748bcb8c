"""Ranges of an index in MongoDB: how events are placed in them, and how many of them are read together.

What is read in order is one string field: a prefix that says whose, followed by the seq in 16 digits.
Strings compare byte by byte, so the events of one prefix are one range of a plain index.

Two ways lead to the next events of many friends. *Walking* reads all events in order and leaves out what is
not for this user: best where most are. *Ranges* asks for each friend's next ones: best where friends are
few or quiet. Which is better is not known beforehand, so a short walk comes first: how much it finds tells
what the rest of it would cost, and it goes on only while that is less than the ranges would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chatserver.core.events import Audience, Event
from chatserver.core.kinds import FOR_GOOD

if TYPE_CHECKING:
    from chatserver.store.mongo.database import MongoDb

WALK_EVENTS = 200
"""So much more than the ranges a walk may cost. At 0 there is none: for tests of the ranges."""
RANGE_COST_EVENTS = 20
"""One more query costs about as much as so many more events in another."""
READ_EVENTS = 500
"""Events in one answer."""
QUERIES_AT_ONCE = 8
DIGITS = 16
"""2**53 has so many."""

EVENT = dict.fromkeys(("seq", "at", "type", "audience", "actor", "to", "payload"), 1)
"""The fields that `shapes.event_of` takes."""
PLACES = dict.fromkeys(("seq", "type", "audience", "actor", "to"), 1)
"""What tells whether somebody may see an event: enough to count it."""

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """What is wanted of ranges: seqs between `after` and `below` (both excluded), up to `limit`."""

    after: int
    below: int
    limit: int
    newest: bool = False
    """Take the newest rather than the oldest."""
    fields: Mapping[str, int] | None = None
    """What of the documents; None for `EVENT`."""

    def past(self, seq: int) -> Span:
        """What is left of it beyond `seq`."""
        return replace(self, below=seq) if self.newest else replace(self, after=seq)


def compound(*parts: str) -> str:
    """One string that no other parts make: lengths keep "a" + "b:c" apart from "a:b" + "c"."""
    return "".join(f"{len(part)}:{part}," for part in parts)


@dataclass(frozen=True, slots=True)
class IndexRange:
    """Events in order under one indexed field: those with `prefix`, or (None) all that have the field.

    With `actors` only what these caused: the server filters, by an index of actor and field together.
    """

    field: str
    prefix: str | None = None
    actors: tuple[str, ...] = ()

    def at(self, seq: int) -> Any:
        """The field's value at `seq`."""
        return seq if self.prefix is None else f"{self.prefix}{seq:0{DIGITS}d}"

    def between(self, after: int, below: int) -> dict[str, Any]:
        """The condition for seqs between the two, both excluded."""
        span = {self.field: {"$gt": self.at(after), "$lt": self.at(below)}}
        return {"actor": {"$in": list(self.actors)}, **span} if self.actors else span


ALL = IndexRange("seq")
ALL_BROADCASTS = IndexRange("cast")


def broadcasts_of(actors: Sequence[str]) -> IndexRange:
    """The broadcasts of several people in one range."""
    return IndexRange("cast", None, tuple(actors))


def by_actor(actor: str, audience: Audience) -> IndexRange:
    """What `actor` caused, for one audience."""
    return IndexRange("by", f"{audience.value}{compound(actor)}")


def sent_to(user: str) -> IndexRange:
    """What anybody addressed to `user`."""
    return IndexRange("sent", compound(user))


def talk(actor: str, to: str) -> IndexRange:
    """The messages of `actor` to `to`."""
    return IndexRange("talk", compound(actor, to))


def range_fields(event: Event) -> dict[str, Any]:
    """The places of an event in the ranges."""
    fields = {"seq": event.seq, "by": by_actor(event.actor, event.audience).at(event.seq)}
    if event.audience is Audience.PAIR and event.to is not None:
        fields["sent"] = sent_to(event.to).at(event.seq)
    if event.type in FOR_GOOD:
        if event.to is None:
            fields["cast"] = event.seq
        else:
            fields["talk"] = talk(event.actor, event.to).at(event.seq)
    return fields


async def first_events(
    db: MongoDb,
    walk: IndexRange,
    ranges: Sequence[tuple[IndexRange, int]],
    passes: Callable[[Doc], bool],
    span: Span,
    range_cost: int | None = None,
) -> list[Doc]:
    found: list[Doc] = []
    walked = 0
    ranges_cost = len(ranges) * (RANGE_COST_EVENTS if range_cost is None else range_cost)
    # A little more than what is wanted at first, and more each time it was not enough.
    size = min(span.limit + WALK_EVENTS // 4, READ_EVENTS)
    while WALK_EVENTS:
        docs = await read(db, walk, span, size)
        found += filter(passes, docs)
        if len(docs) < size or len(found) >= span.limit:
            return found[: span.limit]
        span = span.past(docs[-1]["seq"])
        walked += size
        left = (span.limit - len(found)) * walked // max(1, len(found))
        if left > WALK_EVENTS + ranges_cost:
            break
        size = min(size * 2, READ_EVENTS)
    rest = replace(span, limit=span.limit - len(found))
    return found + await merged(db, ranges, passes, rest)


async def merged(
    db: MongoDb,
    ranges: Sequence[tuple[IndexRange, int]],
    passes: Callable[[Doc], bool],
    span: Span,
) -> list[Doc]:
    """The first of several ranges together; each with the seq after which it counts."""
    turns = asyncio.Semaphore(QUERIES_AT_ONCE)

    async def one(range_: IndexRange, since: int) -> list[Doc]:
        async with turns:
            return await _take(db, range_, passes, replace(span, after=max(span.after, since)))

    parts = await asyncio.gather(*(one(*each) for each in ranges))
    # Keyed by seq: what a friend addressed to this user could stand in two ranges.
    found = {int(doc["seq"]): doc for part in parts for doc in part}
    return [found[seq] for seq in sorted(found, reverse=span.newest)[: span.limit]]


async def _take(
    db: MongoDb, range_: IndexRange, passes: Callable[[Doc], bool], span: Span
) -> list[Doc]:
    found: list[Doc] = []
    while len(found) < span.limit and span.after < span.below:
        size = min(span.limit - len(found), READ_EVENTS)
        docs = await read(db, range_, span, size)
        found += filter(passes, docs)
        if len(docs) < size:
            break
        span = span.past(docs[-1]["seq"])
    return found


async def read(db: MongoDb, range_: IndexRange, span: Span, size: int) -> list[Doc]:
    found: list[Doc] = (
        await db["events"]
        .find(range_.between(span.after, span.below), span.fields or EVENT)
        .sort(range_.field, -1 if span.newest else 1)
        .limit(size)
        .to_list(size)
    )
    return found
