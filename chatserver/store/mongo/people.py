"""Accounts in MongoDB, and finding people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import errors

from chatserver.core.errors import Conflict
from chatserver.core.names import MAX_QUERY_WORDS, after_prefix, email_key, name_words, words
from chatserver.core.people import Account, User
from chatserver.store.mongo.changes import write_words
from chatserver.store.mongo.database import MongoPart
from chatserver.store.mongo.friendships import relation_in
from chatserver.store.mongo.ranges import compound
from chatserver.store.mongo.shapes import USER, account_of, name_order, pair, user_document, user_of

MAX_CANDIDATES = 500
"""LIMIT: where more people than this share the beginning of a search's longest word, it chooses among the first so
many of them, a whole word before a longer one; and among the searcher's own friends."""
MAX_FRIENDS = 1000
"""LIMIT: of so many friends."""
_AT_ONCE = 50
"""People whose blocks and relations are looked up together, beside what was asked for."""
_RELATION = {"state": 1, "asker": 1}
_TAKEN = "There is an account with this email already."


class MongoPeople(MongoPart):
    """The accounts of a `MongoStore`."""

    async def add_account(self, account: Account) -> None:
        user = account.user
        doc = user_document(account, last_seen=0)
        async with self._db.answering():
            for taken in ({"email_key": doc["email_key"]}, {"_id": user.id}):
                if await self._db["users"].find_one(taken, {"_id": 1}) is not None:
                    raise Conflict(_TAKEN)
            # The words first: a crash in between leaves words of nobody, not somebody who is never found.
            await write_words(self._db, user.id, user.first_name, user.last_name)
            try:
                await self._db["users"].insert_one(doc)
            except errors.DuplicateKeyError as error:
                if await self._db["users"].find_one({"_id": user.id}, {"_id": 1}) is None:
                    await self._db["words"].delete_many({"user": user.id})
                raise Conflict(_TAKEN) from error

    async def account(self, user_id: str) -> Account | None:
        return await self._account({"_id": user_id})

    async def account_by_email(self, email: str) -> Account | None:
        return await self._account({"email_key": email_key(email)})

    async def _account(self, where: dict[str, Any]) -> Account | None:
        doc = await self._db.one("users", where)
        return None if doc is None else account_of(doc)

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        return {
            id_: user_of(doc) for id_, doc in (await self._db.by_ids("users", ids, USER)).items()
        }

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        for user_id, at in seen.items():
            await self._db.change("users", {"_id": user_id}, {"$max": {"last_seen": at}})

    async def set_zone(self, user_id: str, zone: str) -> None:
        await self._db.change("users", {"_id": user_id}, {"$set": {"zone": zone}})

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        found = await self._candidates(viewer, query)
        found.pop(viewer, None)
        pairs = await self._db.by_ids("pairs", (pair(viewer, each) for each in found), _RELATION)
        relations = {id_: relation_in(pairs.get(pair(viewer, id_)), viewer) for id_ in found}
        people = sorted(
            found.values(), key=lambda doc: (relations[doc["_id"]] != "friend", name_order(doc))
        )
        shown: list[tuple[User, str]] = []
        for at in range(0, len(people), _AT_ONCE):
            some = people[at : at + _AT_ONCE]
            apart = await self._apart(viewer, [doc["_id"] for doc in some])
            shown += [
                (user_of(doc), relations[doc["_id"]]) for doc in some if doc["_id"] not in apart
            ]
            if len(shown) >= limit:
                break
        return shown[:limit]

    async def _apart(self, viewer: str, ids: list[str]) -> set[str]:
        """Those of `ids` who have blocked the viewer or are blocked by the viewer."""
        keys = {compound(*each): id_ for id_ in ids for each in ((viewer, id_), (id_, viewer))}
        found = await self._db.by_ids("blocks", keys, {"lifted": 1})
        return {keys[key] for key, doc in found.items() if not doc.get("lifted")}

    async def _candidates(self, viewer: str, query: str) -> dict[str, dict[str, Any]]:
        # The longest word first: it most likely has the fewest people.
        wanted = sorted(words(query)[:MAX_QUERY_WORDS], key=len, reverse=True)
        if not wanted:
            return {}
        span = {"$gte": wanted[0], "$lt": after_prefix(wanted[0])}
        async with self._db.answering():
            rows = (
                await self._db["words"]
                .find({"word": span}, {"user": 1})
                .sort("word", 1)
                .limit(MAX_CANDIDATES)
                .to_list(MAX_CANDIDATES)
            )
        ids = [row["user"] for row in rows]
        if len(rows) == MAX_CANDIDATES:
            ids += await self._some_friends(viewer)
        found = await self._db.by_ids("users", ids, USER)
        found = {id_: doc for id_, doc in found.items() if _has_words(doc, wanted)}
        for doc in await self._db.all("users", {"email_key": email_key(query)}, USER):
            found[doc["_id"]] = doc
        return found

    async def _some_friends(self, viewer: str) -> list[str]:
        found: list[str] = []
        for field, other in (("a", "b"), ("b", "a")):
            async with self._db.answering():
                docs = (
                    await self._db["pairs"]
                    .find({field: viewer}, {other: 1, "state": 1})
                    .limit(MAX_FRIENDS)
                    .to_list(MAX_FRIENDS)
                )
            found += [doc[other] for doc in docs if doc["state"] == "friend"]
        return found


def _has_words(doc: Mapping[str, Any], wanted: list[str]) -> bool:
    own = name_words(doc["first_name"], doc["last_name"])
    return all(any(word.startswith(each) for word in own) for each in wanted)
