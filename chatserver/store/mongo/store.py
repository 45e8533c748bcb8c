"""The store on MongoDB, through Motor: users, friendships, logins and the history, for one server at a time.

What the store promises is in `base`. Every change is one document or a row of repeatable steps
(`mongo_changes`); the events are in `mongo_log` and `mongo_find`, the connection in `mongo_db`. Conditions
are built here from strings and integers only: nothing that came as JSON is ever passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pymongo import errors

from chatserver.core.conversations import Page, ReadState
from chatserver.core.errors import Conflict, Unavailable
from chatserver.core.names import MAX_QUERY_WORDS, after_prefix, email_key, words
from chatserver.core.people import Account, Friends, Login, User
from chatserver.store.archive import UNFINISHED
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo import finding as mongo_find
from chatserver.store.mongo.archive import MongoPort
from chatserver.store.mongo.changes import block, write_words
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.documents import (
    login_document,
    login_of,
    secret_key,
    user_document,
)
from chatserver.store.mongo.eventlog import MongoLog
from chatserver.store.mongo.keys import client_key, joined, pair

MAX_CANDIDATES = 2000
"""LIMIT: where more people than this share the beginning of a word, a search for it chooses among the
first so many of them."""
_MANY = 500
_TAKEN = "There is an account with this email already."
_USER = dict.fromkeys(("first_name", "last_name", "color", "name_key"), 1)


class MongoStore:
    """A `Store` in the database of `uri`; `log` is its `EventLog`, for the local journal.

    `clock_ms` is the time now. `start` waits up to `wait_s` (`mongo_db.WAIT_S`) for a database that does not answer yet.
    `unfinished` opens also what a migration began to fill; `port` is the `Port` for that.
    """

    def __init__(
        self,
        uri: str,
        clock_ms: Callable[[], int],
        wait_s: float | None = None,
        unfinished: bool = False,
    ) -> None:
        self._db = MongoDb(uri, clock_ms, wait_s)
        self._clock_ms = clock_ms
        self._unfinished = unfinished
        self._started = False
        self.log = MongoLog(self._db, clock_ms)
        self.port = MongoPort(self._db, self.log)

    @property
    def healthy(self) -> bool:
        return self._db.healthy

    async def start(self) -> None:
        await self._db.start()
        if not self._unfinished and await self.port.is_unfinished():
            await self._db.close()
            raise StoreRefused(UNFINISHED)
        async with self._db.answering():
            await self.log.start()
        await self.drop_expired_logins(self._clock_ms())
        self._started = True

    async def close(self) -> None:
        if self._started:
            self._started = False
            # Where the database is away, the place is found again by the newest event.
            with suppress(Unavailable):
                await self.log.keep_place()
        await self._db.close()

    # accounts

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
        doc = await self._one("users", where)
        if doc is None:
            return None
        return Account(_user(doc), doc["email"], doc["password"], int(doc["created_at"]))

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        return {id_: _user(doc) for id_, doc in (await self._people(ids)).items()}

    async def _people(
        self, ids: Iterable[str], fields: Mapping[str, int] = _USER
    ) -> dict[str, dict[str, Any]]:
        wanted = list(dict.fromkeys(ids))
        found = {}
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            for doc in await self._all("users", {"_id": {"$in": some}}, fields):
                found[doc["_id"]] = doc
        return found

    async def set_password(self, user_id: str, password: str) -> None:
        await self._update("users", {"_id": user_id}, {"$set": {"password": password}})

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        for user_id, at in seen.items():
            await self._update("users", {"_id": user_id}, {"$max": {"last_seen": at}})

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        found = await self._candidates(query)
        found.pop(viewer, None)
        blocks = await self._all("blocks", {"by": viewer}) + await self._all(
            "blocks", {"user": viewer}
        )
        for each in blocks:
            found.pop(each["user"], None)
            found.pop(each["by"], None)
        people = sorted(found.values(), key=_name_order)[:limit]
        relations = await self._relations(viewer)
        return [(_user(doc), relations.get(doc["_id"], ("none", 0))[0]) for doc in people]

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
        found = await self._people(row["user"] for row in rows)
        found = {id_: doc for id_, doc in found.items() if _has_words(doc, wanted)}
        for doc in await self._all("users", {"email_key": email_key(query)}, _USER):
            found[doc["_id"]] = doc
        return found

    # friends

    async def friends(self, user_id: str) -> Friends:
        seq = self.log.head_seq
        relations = await self._relations(user_id)
        people = await self._people(relations, {**_USER, "last_seen": 1})
        lists: dict[str, list[Any]] = {"friend": [], "incoming": [], "outgoing": []}
        for doc in sorted(people.values(), key=_name_order):
            relation = relations[doc["_id"]][0]
            user = _user(doc)
            lists[relation].append((user, int(doc["last_seen"])) if relation == "friend" else user)
        return Friends(lists["friend"], lists["incoming"], lists["outgoing"], seq)

    async def _relations(self, user_id: str) -> dict[str, tuple[str, int]]:
        """Relation and seq of its beginning, by the other's id."""
        found = {}
        for field, other in (("a", "b"), ("b", "a")):
            for doc in await self._all("pairs", {field: user_id}):
                if (relation := _relation(doc, user_id)) != "none":
                    found[doc[other]] = (relation, int(doc["since"]))
        return found

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int]:
        # The position first: a change that comes in between is then heard of once more, and is the same.
        seq = self.log.head_seq
        async with self._db.answering():
            return await mongo_find.friends_since(self._db, user_id), seq

    async def relation(self, viewer: str, other: str) -> str:
        doc = await self._one("pairs", {"_id": pair(viewer, other)})
        return "none" if doc is None else _relation(doc, viewer)

    async def blocks(self, user_id: str) -> list[User]:
        rows = await self._all("blocks", {"by": user_id})
        people = await self._people(row["user"] for row in rows)
        return [_user(doc) for doc in sorted(people.values(), key=_name_order)]

    async def blocked(self, by: str, user_id: str) -> bool:
        return await self._one("blocks", {"_id": joined(by, user_id)}) is not None

    async def set_block(self, by: str, user_id: str, blocked: bool) -> None:
        async with self._db.answering():
            if blocked:
                await block(self._db, by, user_id)
            else:
                await self._db["blocks"].delete_many({"_id": joined(by, user_id)})

    # logins and tokens

    async def add_login(self, login: Login) -> None:
        doc = login_document(login)
        async with self._db.answering():
            await self._db["logins"].insert_one(doc)
        # Not for an account that went meanwhile: nothing would ever remove that login again.
        if await self._one("users", {"_id": login.user_id}, {"_id": 1}) is None:
            await self.end_logins([login.id])

    async def login(self, login_id: str) -> Login | None:
        doc = await self._one("logins", {"_id": login_id})
        return None if doc is None else login_of(doc)

    async def login_by_secret(self, secret_hash: bytes) -> Login | None:
        doc = await self._one("logins", {"secret": secret_key(secret_hash, "")})
        return None if doc is None else login_of(doc)

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        found = [login_of(doc) for doc in await self._all("logins", {"user": user_id})]
        mine = [login for login in found if login.kind == kind]
        return sorted(mine, key=lambda login: (-login.created_at, login.id))

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        for login_id, at in used.items():
            await self._update("logins", {"_id": login_id}, {"$max": {"last_used_at": at}})

    async def end_logins(self, login_ids: Iterable[str]) -> None:
        async with self._db.answering():
            for login_id in login_ids:
                await self._db["logins"].delete_many({"_id": login_id})

    async def drop_expired_logins(self, now_ms: int) -> None:
        async with self._db.answering():
            await self._db["logins"].delete_many({"expires_at": {"$gt": 0, "$lte": now_ms}})

    # the history

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        where = {"key": client_key(sender, client_id, 0)}
        doc = await self._one("events", where, {"seq": 1, "at": 1})
        if doc is None or doc["seq"] > self.log.head_seq:
            return None
        return int(doc["seq"]), int(doc["at"])

    async def history(
        self, viewer: str, peer: str | None, before: int | None, after: int | None, limit: int
    ) -> Page:
        seq = self.log.head_seq
        below = seq + 1 if before is None else min(before, seq + 1)
        async with self._db.answering():
            page = await mongo_find.history(
                self._db, viewer, peer, (after or 0, below, limit), newest=after is None
            )
        return Page(page.events, page.more, seq)

    async def read_state(self, user_id: str) -> ReadState:
        async with self._db.answering():
            return await mongo_find.read_state(self._db, user_id, self.log.head_seq)

    # queries

    async def _one(
        self, collection: str, where: dict[str, Any], fields: Mapping[str, int] | None = None
    ) -> dict[str, Any] | None:
        async with self._db.answering():
            doc: dict[str, Any] | None = await self._db[collection].find_one(where, fields)
            return doc

    async def _all(
        self, collection: str, where: dict[str, Any], fields: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        async with self._db.answering():
            docs: list[dict[str, Any]] = (
                await self._db[collection].find(where, fields).to_list(None)
            )
            return docs

    async def _update(self, collection: str, where: dict[str, Any], change: dict[str, Any]) -> None:
        async with self._db.answering():
            await self._db[collection].update_one(where, change)


def _user(doc: Mapping[str, Any]) -> User:
    return User(doc["_id"], doc["first_name"], doc["last_name"], doc["color"])


def _name_order(doc: Mapping[str, Any]) -> tuple[str, str]:
    return doc["name_key"], doc["_id"]


def _has_words(doc: Mapping[str, Any], wanted: list[str]) -> bool:
    own = words(f"{doc['first_name']} {doc['last_name']}")
    return all(any(word.startswith(each) for word in own) for each in wanted)


def _relation(doc: Mapping[str, Any], viewer: str) -> str:
    if doc["state"] != "asked":
        return str(doc["state"])
    return "outgoing" if doc["asker"] == viewer else "incoming"
