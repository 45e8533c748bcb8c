"""Friendships and blocks in MongoDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chatserver.core.people import MAX_INCOMING, Friends, User
from chatserver.store.mongo.database import MongoDb, MongoPart
from chatserver.store.mongo.ranges import Doc, compound
from chatserver.store.mongo.shapes import STANDS, USER, name_order, pair, user_of

SIDES = (("a", "b"), ("b", "a"))
"""Where somebody stands in the document of a pair, and where the other does."""

_OPEN: Doc = {"state": "asked"}

PAIRS_AT_ONCE = 1000
"""Somebody who has as many with either side is asked about in two steps: strangers make as many open requests as they like."""

COMPARED_FRIENDS = 5000
"""LIMIT: of all friendships of those who are compared so many are looked at where friends in common are counted."""


class MongoFriendships(MongoPart):
    """The friendships and blocks of a `MongoStore`."""

    async def friends(self, user_id: str) -> Friends:
        found = await self.requests(user_id)
        people = await self._friends_of(user_id)
        return replace(found, friends=[(user_of(doc), int(doc["last_seen"])) for doc in people])

    async def _friends_of(self, user_id: str) -> list[Doc]:
        """The documents of the friends, by name."""
        async with self._db.answering():
            since = await friends_since(self._db, user_id)
        people = await self._db.by_ids("users", since, {**USER, "last_seen": 1})
        return sorted(people.values(), key=name_order)

    async def friends_page(
        self, user_id: str, first: Collection[str], skip: int, limit: int
    ) -> tuple[list[tuple[User, int]], int]:
        wanted = frozenset(first)
        people = sorted(await self._friends_of(user_id), key=lambda doc: doc["_id"] not in wanted)
        some = people[skip : skip + limit]
        return [(user_of(doc), int(doc["last_seen"])) for doc in some], len(people)

    async def friend_names(self, user_id: str) -> list[tuple[str, str]]:
        return [(doc["_id"], user_of(doc).name) for doc in await self._friends_of(user_id)]

    async def requests(self, user_id: str) -> Friends:
        seq = self._db.head_seq
        async with self._db.answering():
            asking = await self._open(user_id, own=False, most=MAX_INCOMING)
            asked = await self._open(user_id, own=True)
            count = len(asking)
            if count == MAX_INCOMING:
                count = await self._count(user_id, _OPEN | {"asker": {"$ne": user_id}})
        people = await self._db.by_ids("users", [*asked, *asking], USER)
        outgoing = sorted((people[each] for each in asked if each in people), key=name_order)
        incoming = [user_of(people[each]) for each in asking if each in people]
        return Friends([], incoming, [user_of(doc) for doc in outgoing], seq, count)

    async def _open(self, user_id: str, own: bool, most: int = 0) -> list[str]:
        """Whom the user has asked, or who asks the user, the oldest first; up to `most`, 0: all."""
        asker: Any = user_id if own else {"$ne": user_id}
        found: list[tuple[int, str]] = []
        for field, other in SIDES:
            where = {field: user_id, **_OPEN, "asker": asker}
            docs = self._db["pairs"].find(where, {other: 1, "since": 1}).sort("since", 1)
            found += [
                (int(doc["since"]), doc[other]) for doc in await docs.limit(most).to_list(None)
            ]
        return [other for _, other in sorted(found)][: most or None]

    async def _count(self, user_id: str, where: Doc) -> int:
        counts = [
            await self._db["pairs"].count_documents({field: user_id, **where}) for field, _ in SIDES
        ]
        return sum(counts)

    async def relation_counts(self, user_id: str) -> Mapping[str, int]:
        async with self._db.answering():
            found = {
                "friend": await self._count(user_id, {"state": "friend"}),
                "outgoing": await self._count(user_id, _OPEN | {"asker": user_id}),
                "incoming": await self._count(user_id, _OPEN | {"asker": {"$ne": user_id}}),
                "blocked": await self._db["blocks"].count_documents({"by": user_id, **STANDS}),
            }
        return {relation: count for relation, count in found.items() if count}

    async def in_common(self, viewer: str, others: Sequence[str]) -> Mapping[str, int]:
        async with self._db.answering():
            own = await friends_since(self._db, viewer)
            found: Counter[str] = Counter()
            most = COMPARED_FRIENDS // max(1, len(others))
            for one in others:
                # One question each: not every server looks up a list of keys in an index.
                for field, other in SIDES:
                    where = {field: one, "state": "friend"}
                    docs = self._db["pairs"].find(where, {other: 1}).limit(most)
                    found[one] += sum(doc[other] in own for doc in await docs.to_list(None))
        return found

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        # The position first: a change that comes in between is then heard of once more, and is the same.
        seq = newest = self._db.head_seq
        friends = {}
        async with self._db.answering():
            pairs = await _pairs_of(self._db, user_id)
            if pairs is None:
                friends = await friends_since(self._db, user_id)
                # After them: it may be newer than what was read, and then is waited for.
                newest = max(newest, await _newest_change(self._db, user_id))
            for doc, other in pairs or ():
                newest = max(newest, int(doc["seq"]))
                if doc["state"] == "friend":
                    friends[other] = int(doc["since"])
        return friends, seq, newest

    async def relation(self, viewer: str, other: str) -> str:
        doc = await self._db.one("pairs", {"_id": pair(viewer, other)})
        return relation_in(doc, viewer)

    async def blocks(self, user_id: str) -> list[User]:
        rows = await self._db.all("blocks", {"by": user_id, **STANDS})
        people = await self._db.by_ids("users", (row["user"] for row in rows), USER)
        return [user_of(doc) for doc in sorted(people.values(), key=name_order)]

    async def blocked(self, by: str, user_id: str) -> bool:
        return await self._db.one("blocks", {"_id": compound(by, user_id), **STANDS}) is not None


async def _pairs_of(db: MongoDb, user_id: str) -> list[tuple[Doc, str]] | None:
    """The documents of all pairs of a user, ended ones too, each with the other's id; None where there are too many."""
    found = []
    for field, other in SIDES:
        fields = {other: 1, "state": 1, "since": 1, "seq": 1}
        docs = await db["pairs"].find({field: user_id}, fields).limit(PAIRS_AT_ONCE).to_list(None)
        if len(docs) >= PAIRS_AT_ONCE:
            return None
        found += [(doc, str(doc[other])) for doc in docs]
    return found


async def _newest_change(db: MongoDb, user_id: str) -> int:
    """The seq of the newest change of any pair of a user."""
    newest = 0
    for field, _ in SIDES:
        docs = db["pairs"].find({field: user_id}, {"seq": 1}).sort("seq", -1).limit(1)
        newest = max(newest, *(int(doc["seq"]) for doc in await docs.to_list(1)), 0)
    return newest


async def friends_since(db: MongoDb, user_id: str) -> dict[str, int]:
    """Friend id -> seq at which the friendship began."""
    found = {}
    for field, other in SIDES:
        # The state too: strangers make as many open requests as they like, and none of those is sent to us.
        where = {field: user_id, "state": "friend"}
        for doc in await db["pairs"].find(where, {other: 1, "since": 1}).to_list(None):
            found[doc[other]] = int(doc["since"])
    return found


def relation_in(doc: Mapping[str, Any] | None, viewer: str) -> str:
    """The viewer's relation to the other in the document of a pair; `none` where there is none."""
    if doc is None or doc["state"] != "asked":
        return "none" if doc is None else str(doc["state"])
    return "outgoing" if doc["asker"] == viewer else "incoming"
