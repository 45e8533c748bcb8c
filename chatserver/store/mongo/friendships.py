"""Friendships and blocks in MongoDB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chatserver.core.people import MAX_INCOMING, Friends, User
from chatserver.store.mongo.database import MongoDb, MongoPart
from chatserver.store.mongo.ranges import compound
from chatserver.store.mongo.shapes import USER, name_order, pair, user_of

_RELATION = {"state": 1, "asker": 1, "since": 1}

COMPARED_FRIENDS = 5000
"""LIMIT: of all friendships of those who are compared so many are looked at where friends in common are counted."""


class MongoFriendships(MongoPart):
    """The friendships and blocks of a `MongoStore`."""

    async def friends(self, user_id: str) -> Friends:
        seq = self._db.head_seq
        relations = await _relations_of(self._db, user_id)
        asking = sorted(
            (since, other)
            for other, (relation, since) in relations.items()
            if relation == "incoming"
        )
        shown = [other for _, other in asking[:MAX_INCOMING]]
        rest = [other for other, (relation, _) in relations.items() if relation != "incoming"]
        people = await self._db.by_ids("users", [*rest, *shown], {**USER, "last_seen": 1})
        friends: list[tuple[User, int]] = []
        outgoing: list[User] = []
        for doc in sorted((people[each] for each in rest if each in people), key=name_order):
            if relations[doc["_id"]][0] == "friend":
                friends.append((user_of(doc), int(doc["last_seen"])))
            else:
                outgoing.append(user_of(doc))
        incoming = [user_of(people[each]) for each in shown if each in people]
        return Friends(friends, incoming, outgoing, seq, len(asking))

    async def relation_counts(self, user_id: str) -> Mapping[str, int]:
        relations = await _relations_of(self._db, user_id)
        return Counter(relation for relation, _ in relations.values())

    async def in_common(self, viewer: str, others: Sequence[str]) -> Mapping[str, int]:
        async with self._db.answering():
            own = await friends_since(self._db, viewer)
            found: Counter[str] = Counter()
            for field, other in (("a", "b"), ("b", "a")):
                docs = (
                    await self._db["pairs"]
                    .find({field: {"$in": list(others)}}, {"a": 1, "b": 1, "state": 1})
                    .limit(COMPARED_FRIENDS)
                    .to_list(COMPARED_FRIENDS)
                )
                found.update(d[field] for d in docs if d["state"] == "friend" and d[other] in own)
        return found

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        # The position first: a change that comes in between is then heard of once more, and is the same.
        seq = newest = self._db.head_seq
        friends = {}
        async with self._db.answering():
            for doc, other in await _pairs_of(self._db, user_id):
                newest = max(newest, int(doc["seq"]))
                if doc["state"] == "friend":
                    friends[other] = int(doc["since"])
        return friends, seq, newest

    async def relation(self, viewer: str, other: str) -> str:
        doc = await self._db.one("pairs", {"_id": pair(viewer, other)})
        return relation_in(doc, viewer)

    async def blocks(self, user_id: str) -> list[User]:
        rows = await self._db.all("blocks", {"by": user_id})
        people = await self._db.by_ids("users", (row["user"] for row in rows), USER)
        return [user_of(doc) for doc in sorted(people.values(), key=name_order)]

    async def blocked(self, by: str, user_id: str) -> bool:
        return await self._db.one("blocks", {"_id": compound(by, user_id)}) is not None


async def friends_since(db: MongoDb, user_id: str) -> dict[str, int]:
    """Friend id -> seq at which the friendship began."""
    pairs = await _pairs_of(db, user_id)
    return {other: int(doc["since"]) for doc, other in pairs if doc["state"] == "friend"}


async def _pairs_of(db: MongoDb, user_id: str) -> list[tuple[Mapping[str, Any], str]]:
    """The documents of all pairs of a user, ended ones too, each with the other's id."""
    found = []
    for field, other in (("a", "b"), ("b", "a")):
        fields = {other: 1, "state": 1, "since": 1, "seq": 1}
        for doc in await db["pairs"].find({field: user_id}, fields).to_list(None):
            found.append((doc, str(doc[other])))
    return found


async def _relations_of(db: MongoDb, user_id: str) -> dict[str, tuple[str, int]]:
    """Relation and seq of its beginning, by the other's id.

    LIMIT: reads every open request, of which strangers make as many as they like; only their places, no names.
    """
    found = {}
    for field, other in (("a", "b"), ("b", "a")):
        for doc in await db.all("pairs", {field: user_id}, {other: 1, **_RELATION}):
            if (relation := relation_in(doc, user_id)) != "none":
                found[doc[other]] = (relation, int(doc["since"]))
    return found


def relation_in(doc: Mapping[str, Any] | None, viewer: str) -> str:
    """The viewer's relation to the other in the document of a pair; `none` where there is none."""
    if doc is None or doc["state"] != "asked":
        return "none" if doc is None else str(doc["state"])
    return "outgoing" if doc["asker"] == viewer else "incoming"
