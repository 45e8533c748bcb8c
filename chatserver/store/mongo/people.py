"""Accounts in MongoDB, and finding people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import errors

from chatserver.core.errors import Conflict
from chatserver.core.names import MAX_QUERY_WORDS, after_prefix, email_key, words
from chatserver.core.people import Account, User
from chatserver.store.mongo.changes import write_words
from chatserver.store.mongo.database import MongoPart
from chatserver.store.mongo.friendships import relations_of
from chatserver.store.mongo.shapes import USER, account_of, name_order, user_document, user_of

MAX_CANDIDATES = 2000
"""LIMIT: where more people than this share the beginning of a word, a search for it chooses among the
first so many of them."""
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
            await write_words(self._db, user.id, f"{user.first_name} {user.last_name}")
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

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        found = await self._candidates(query)
        found.pop(viewer, None)
        blocks = await self._db.all("blocks", {"by": viewer}) + await self._db.all(
            "blocks", {"user": viewer}
        )
        for each in blocks:
            found.pop(each["user"], None)
            found.pop(each["by"], None)
        people = sorted(found.values(), key=name_order)[:limit]
        relations = await relations_of(self._db, viewer)
        return [(user_of(doc), relations.get(doc["_id"], ("none", 0))[0]) for doc in people]

    async def _candidates(self, query: str) -> dict[str, dict[str, Any]]:
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
        found = await self._db.by_ids("users", (row["user"] for row in rows), USER)
        found = {id_: doc for id_, doc in found.items() if _has_words(doc, wanted)}
        for doc in await self._db.all("users", {"email_key": email_key(query)}, USER):
            found[doc["_id"]] = doc
        return found


def _has_words(doc: Mapping[str, Any], wanted: list[str]) -> bool:
    own = words(f"{doc['first_name']} {doc['last_name']}")
    return all(any(word.startswith(each) for word in own) for each in wanted)
