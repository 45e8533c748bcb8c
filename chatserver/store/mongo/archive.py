"""Everything out of a store on MongoDB, and into one: the `Archive` for `chatserver.store.archive`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pymongo import errors

from chatserver.core.alerts import Subscription
from chatserver.core.events import Audience, Event
from chatserver.core.kinds import FOR_GOOD
from chatserver.core.names import name_words
from chatserver.core.people import Account, Login, User
from chatserver.store.archive import FIELDS, KINDS, LATER, Record
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo.alerts import subscription_document, subscription_of
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.eventlog import DUPLICATE_KEY, MongoLog
from chatserver.store.mongo.ranges import READ_EVENTS, compound
from chatserver.store.mongo.shapes import (
    STANDS,
    event_document,
    login_document,
    login_of,
    pair,
    user_document,
)
from chatserver.store.mongo.unread import fold_moved

CHUNK = 1000
_COLLECTIONS = {kind: "pairs" if kind == "friendships" else kind for kind in KINDS}
_LIVE: dict[str, dict[str, Any]] = {"friendships": {"state": {"$ne": "none"}}, "blocks": STANDS}
"""Ended friendships and lifted blocks are kept only as a guard against late writes."""


class MongoArchive:
    """The `Archive` of a `MongoStore`; usable while that is started."""

    def __init__(self, db: MongoDb, log: MongoLog) -> None:
        self._db = db
        self._log = log
        self._sent: Counter[str] = Counter()
        """Direct messages among the events that were read last, by whom they were sent to."""

    async def count(self, kind: str) -> int:
        async with self._db.answering():
            where = _LIVE.get(kind, {})
            return int(await self._db[_COLLECTIONS[kind]].count_documents(where))

    async def records(self, kind: str, after_seq: int) -> AsyncIterator[list[Record]]:
        if kind == "events":
            async for events in self._events(after_seq):
                yield events
            return
        chunk: list[Record] = []
        async with self._db.answering():
            async for doc in self._db[_COLLECTIONS[kind]].find(_LIVE.get(kind, {})):
                chunk.append(_record(kind, doc))
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    async def _events(self, after_seq: int) -> AsyncIterator[list[Record]]:
        self._sent.clear()
        while True:
            async with self._db.answering():
                docs = (
                    await self._db["events"]
                    .find({"seq": {"$gt": after_seq}}, dict.fromkeys(FIELDS["events"], 1))
                    .sort("seq", 1)
                    .limit(READ_EVENTS)
                    .to_list(READ_EVENTS)
                )
            direct = (doc for doc in docs if doc["audience"] == Audience.PAIR)
            self._sent.update(doc["to"] for doc in direct if doc["type"] in FOR_GOOD)
            if docs:
                yield [_record("events", doc) for doc in docs]
            if len(docs) < READ_EVENTS:
                return
            after_seq = docs[-1]["seq"]

    async def is_unfinished(self) -> bool:
        return bool(await self._notes())

    async def begin(self) -> dict[str, int]:
        notes = await self._notes()
        if not notes:
            async with self._db.answering():
                for kind in KINDS:
                    if await self._db[_COLLECTIONS[kind]].find_one({}, {"_id": 1}) is not None:
                        raise StoreRefused(
                            "The target holds data already: name a new one to migrate to."
                        )
            await self.note("begun", 1)
        return notes

    async def add(self, kind: str, records: Sequence[Record]) -> None:
        docs = [_document(kind, record) for record in records]
        if kind == "users":
            # The words first, as for a new account: a user is never there without being found.
            await self._insert("words", [word for doc in docs for word in _words(doc)])
        await self._insert(_COLLECTIONS[kind], docs)
        if kind == "events" and records:
            await self.note(kind, docs[-1]["seq"])

    async def _insert(self, collection: str, docs: list[dict[str, Any]]) -> None:
        """Insert what is not there yet."""
        if not docs:
            return
        async with self._db.answering():
            try:
                await self._db[collection].insert_many(docs, ordered=False)
            except errors.BulkWriteError as error:
                failed = (error.details or {}).get("writeErrors", [])
                if not failed or any(each["code"] != DUPLICATE_KEY for each in failed):
                    raise

    async def note(self, kind: str, value: int) -> None:
        async with self._db.answering():
            await self._db["meta"].update_one(
                {"_id": "migrated"}, {"$set": {kind: value}}, upsert=True
            )

    async def places(self) -> tuple[int, int]:
        return await self._log.last_seq(), await self._log.dropped_seq()

    async def finish(self, last_seq: int, dropped_seq: int) -> None:
        async with self._db.answering():
            await self._log.adopt(last_seq, dropped_seq)
            # All events were read to be compared: so it is known who was sent much, after an interruption too.
            await fold_moved(self._db, self._sent)
            await self._db["meta"].delete_many({"_id": "migrated"})

    async def _notes(self) -> dict[str, int]:
        async with self._db.answering():
            doc = await self._db["meta"].find_one({"_id": "migrated"}, {"_id": 0})
        return dict(doc or {})


def _record(kind: str, doc: dict[str, Any]) -> Record:
    match kind:
        case "friendships":
            relation = doc["state"]
            if relation == "asked":
                relation = "outgoing" if doc["asker"] == doc["a"] else "incoming"
            values = [doc["a"], doc["b"], relation, doc["since"]]
        case "logins":
            login = login_of(doc)
            values = [getattr(login, name) for name in FIELDS[kind]]
        case "subscriptions":
            values = [getattr(subscription_of(doc), name) for name in FIELDS[kind]]
        case "wishes":
            values = [doc["_id"], doc["wishes"]]
        case "events":
            values = [doc[name] for name in FIELDS[kind]]
            values[FIELDS[kind].index("payload")] = bytes(doc["payload"])
        case _:
            doc = {**LATER.get(kind, {}), **doc}
            values = [doc["_id" if name == "id" else name] for name in FIELDS[kind]]
    return dict(zip(FIELDS[kind], values, strict=True))


def _words(user: dict[str, Any]) -> list[dict[str, Any]]:
    found = name_words(user["first_name"], user["last_name"])
    return [
        {"_id": compound(user["_id"], each), "word": each, "user": user["_id"]} for each in found
    ]


def _document(kind: str, record: Record) -> dict[str, Any]:
    value: dict[str, Any] = dict(record)
    match kind:
        case "users":
            public = (value[name] for name in ("id", "first_name", "last_name", "color"))
            account = Account(
                User(*public),
                *(
                    value[name]
                    for name in ("email", "password", "created_at", "generation", "zone")
                ),
            )
            return user_document(account, value["last_seen"])
        case "friendships":
            one, other, relation, since = (value[name] for name in FIELDS[kind])
            asker = other if relation == "incoming" else one
            state = "friend" if relation == "friend" else "asked"
            place = {"a": one, "b": other, "seq": since, "since": since, "asker": asker}
            return {"_id": pair(one, other), "state": state, **place}
        case "blocks":
            return {"_id": compound(value["by"], value["user"]), **value}
        case "logins":
            return login_document(Login(*(value[name] for name in FIELDS[kind])))
        case "subscriptions":
            return subscription_document(Subscription(*(value[name] for name in FIELDS[kind])))
        case "wishes":
            return {"_id": value["user"], "wishes": value["wishes"]}
        case "reads":
            return {"_id": compound(value["user"], value["peer"]), **value}
        case _:
            event = Event(
                value["seq"],
                value["at"],
                value["type"],
                Audience(value["audience"]),
                value["actor"],
                value["to"],
                value["payload"],
            )
            return event_document(event, value["client_id"])
