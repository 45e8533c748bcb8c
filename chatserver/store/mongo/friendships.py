"""Friendships and blocks in MongoDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatserver.core.people import Friends, User
from chatserver.store.mongo.changes import block
from chatserver.store.mongo.database import MongoDb, MongoPart
from chatserver.store.mongo.ranges import compound
from chatserver.store.mongo.shapes import USER, name_order, pair, user_of


class MongoFriendships(MongoPart):
    """The friendships and blocks of a `MongoStore`."""

    async def friends(self, user_id: str) -> Friends:
        seq = self._db.head_seq
        relations = await relations_of(self._db, user_id)
        people = await self._db.by_ids("users", relations, {**USER, "last_seen": 1})
        lists: dict[str, list[Any]] = {"friend": [], "incoming": [], "outgoing": []}
        for doc in sorted(people.values(), key=name_order):
            relation = relations[doc["_id"]][0]
            user = user_of(doc)
            lists[relation].append((user, int(doc["last_seen"])) if relation == "friend" else user)
        return Friends(lists["friend"], lists["incoming"], lists["outgoing"], seq)

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int]:
        # The position first: a change that comes in between is then heard of once more, and is the same.
        seq = self._db.head_seq
        async with self._db.answering():
            return await friends_since(self._db, user_id), seq

    async def relation(self, viewer: str, other: str) -> str:
        doc = await self._db.one("pairs", {"_id": pair(viewer, other)})
        return "none" if doc is None else _relation(doc, viewer)

    async def blocks(self, user_id: str) -> list[User]:
        rows = await self._db.all("blocks", {"by": user_id})
        people = await self._db.by_ids("users", (row["user"] for row in rows), USER)
        return [user_of(doc) for doc in sorted(people.values(), key=name_order)]

    async def blocked(self, by: str, user_id: str) -> bool:
        return await self._db.one("blocks", {"_id": compound(by, user_id)}) is not None

    async def set_block(self, by: str, user_id: str, blocked: bool) -> None:
        if not blocked:
            await self._db.remove("blocks", {"_id": compound(by, user_id)})
            return
        async with self._db.answering():
            await block(self._db, by, user_id)


async def friends_since(db: MongoDb, user_id: str) -> dict[str, int]:
    """Friend id -> seq at which the friendship began."""
    found = {}
    for field, other in (("a", "b"), ("b", "a")):
        where = {field: user_id}
        for doc in await db["pairs"].find(where, {other: 1, "state": 1, "since": 1}).to_list(None):
            if doc["state"] == "friend":
                found[doc[other]] = int(doc["since"])
    return found


async def relations_of(db: MongoDb, user_id: str) -> dict[str, tuple[str, int]]:
    """Relation and seq of its beginning, by the other's id."""
    found = {}
    for field, other in (("a", "b"), ("b", "a")):
        for doc in await db.all("pairs", {field: user_id}):
            if (relation := _relation(doc, user_id)) != "none":
                found[doc[other]] = (relation, int(doc["since"]))
    return found


def _relation(doc: Mapping[str, Any], viewer: str) -> str:
    if doc["state"] != "asked":
        return str(doc["state"])
    return "outgoing" if doc["asker"] == viewer else "incoming"
