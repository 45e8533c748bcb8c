"""Unread broadcasts in MongoDB: how many there were after one position, for the same friends, is kept in a document a reader.

They are folded as what is sent to one is (`unread`): nothing is written with a message. The document says how many were unread
at one seq, after which position and of which friends; reading counts only what was written since. Where the position
has moved or the friends are others, it is counted anew, to the cap. So it may be made at any time, by anybody, twice or late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from chatserver.store.mongo.changes import upsert
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.ranges import PLACES, Doc, Span

KEEP_EVENTS = 100
"""So many broadcasts are worth a document: some milliseconds of each reading."""

Look = Callable[[Span], Awaitable[list[Doc]]]
"""The broadcasts of a reader's friends in a span."""


async def kept_casts(db: MongoDb, user_id: str) -> Doc | None:
    """What is kept of this reader. To be read before the position at which the count is to be true."""
    kept: Doc | None = await db["casts"].find_one({"_id": user_id})
    return kept


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
    if found >= KEEP_EVENTS:
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
