"""The `EventLog` on MongoDB: batches by `insert_many`, all or none by a note written before.

A batch of single messages is one command. What must not be torn (several events of one append, or an
event and its change) is first noted in one document, and the note is taken away when all of it is done; a
start that finds a note finishes it. Every step may be repeated, so a batch whose outcome is unknown is
simply written again. Readers look no further than `MongoDb.head_seq`, so nobody sees half a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pymongo import errors

from chatserver.core.errors import Unavailable
from chatserver.core.events import Event
from chatserver.core.kinds import is_kept
from chatserver.core.visibility import View
from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry, InDoubt
from chatserver.store.mongo.changes import apply_change
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.replay import count_visible, latest, visible
from chatserver.store.mongo.shapes import TTL_MS, entry_of, event_document, note_of
from chatserver.store.mongo.unread import Folds

DUPLICATE_KEY = 11000
SKEW_MS = 86_400_000


class MongoLog:
    """The `EventLog` of a `MongoStore`; usable while that is started."""

    def __init__(self, db: MongoDb, clock_ms: Callable[[], int]) -> None:
        self._db = db
        self._clock_ms = clock_ms
        self._begun = False
        """Whether something of the batch at hand may be in the database."""
        self._unread = Folds(db)

    async def start(self) -> None:
        """Finish what a crash left half done, and find the newest seq."""
        if self._db.follows_stream:
            self._db.head_seq = await self._kept("last_seq")
            return
        note = await self._db["meta"].find_one({"_id": "note"})
        if note is not None:
            await self._write([entry_of(kept) for kept in note["entries"]])
        newest = await self._db["events"].find({}, {"seq": 1}).sort("seq", -1).limit(1).to_list(1)
        self._db.head_seq = max(newest[0]["seq"] if newest else 0, await self._kept("last_seq"))
        await self._keep_last_seq()

    async def last_seq(self) -> int:
        return self._db.head_seq

    async def write(self, batch: Sequence[Entry]) -> Sequence[Appended | None]:
        await self._db.hold_lease()
        try:
            outcome = await self._write(batch)
        except errors.PyMongoError as error:
            self._db.note_health(False, error)
            self._begun = self._begun or not _was_refused(error)
            kind = InDoubt if self._begun else Unavailable
            raise kind("The server cannot save messages at the moment.", 2.0) from error
        self._begun = False
        self._db.note_health(True)
        written = [entry for entry, older in zip(batch, outcome, strict=True) if older is None]
        if written:
            self._db.head_seq = max(self._db.head_seq, written[-1].events[-1].seq)
            self._unread.note(event for entry in written for event in entry.events)
        return outcome

    def note_shown(self, seq: int) -> None:
        self._db.head_seq = max(self._db.head_seq, seq)

    async def probe(self) -> None:
        async with self._db.answering():
            await self._keep_last_seq()
        await self._db.hold_lease()

    async def visible(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        async with self._db.answering():
            return await visible(self._db, view, after, min(up_to, self._db.head_seq), limit)

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        found = await self.visible(view, after, up_to, most + 1)
        return found if len(found) <= most else None

    async def count_visible(self, view: View, after: int, up_to: int, cap: int) -> int:
        async with self._db.answering():
            return await count_visible(self._db, view, after, min(up_to, self._db.head_seq), cap)

    async def latest(self, most: int, most_bytes: int) -> list[Event]:
        async with self._db.answering():
            return await latest(self._db, most, most_bytes)

    async def dropped_seq(self) -> int:
        async with self._db.answering():
            dropped = await self._kept("dropped_seq")
        if self._db.follows_stream:
            return dropped  # Nothing here is dropped but by the hourly job, and seqs may fall behind the clock.
        # What MongoDB dropped by itself is nowhere noted, only that it is older than this.
        by_age = (self._clock_ms() - TTL_MS + SKEW_MS) * 1000
        return max(dropped, by_age if by_age > self._db.created_seq else 0)

    async def drop_passing(self, before_ms: int, limit: int) -> int:
        await self._db.hold_lease()
        async with self._db.answering():
            old = (
                await self._db["events"]
                .find({"passing": {"$lt": before_ms}}, {"seq": 1})
                .sort("passing", 1)
                .limit(limit)
                .to_list(limit)
            )
            if old:
                await self._keep_last_seq()
                await self._keep("dropped_seq", max(each["seq"] for each in old))
                await self._db["events"].delete_many({"_id": {"$in": [e["_id"] for e in old]}})
        return len(old)

    async def keep_place(self) -> None:
        """Note the newest seq, so that it outlives its event; called at the end."""
        await self._unread.close()
        async with self._db.answering():
            await self._keep_last_seq()

    async def adopt(self, last_seq: int, dropped_seq: int) -> None:
        """Go on from these places of another store, whose events are all here."""
        self._db.head_seq = last_seq
        await self._keep_last_seq()
        await self._keep("dropped_seq", dropped_seq)
        # Its events are older than this database, so MongoDB may drop some from the first day on.
        self._db.created_seq = dropped_seq
        await self._db["meta"].update_one({"_id": "schema"}, {"$set": {"created_seq": dropped_seq}})

    # writing

    async def _write(self, batch: Sequence[Entry]) -> list[Appended | None]:
        whole = [entry for entry in batch if len(entry.events) > 1 or entry.events[0].change]
        if whole:
            note = {"entries": [note_of(entry) for entry in whole]}
            await self._db["meta"].update_one({"_id": "note"}, {"$set": note}, upsert=True)
            self._begun = True
        outcome = await self._insert(batch)
        for entry in whole:
            for event in entry.events:
                if event.change is not None:
                    await apply_change(self._db, event.change, event.seq, entry.events[0].seq)
        unseen = [event.seq for entry in batch for event in entry.events if not is_kept(event)]
        if unseen:
            # They leave no document behind that says how far the order has come.
            await self._keep("last_seq", unseen[-1])
        if whole:
            await self._db["meta"].delete_many({"_id": "note"})
        return outcome

    async def _insert(self, batch: Sequence[Entry]) -> list[Appended | None]:
        docs = [
            event_document(event, entry.client_id)
            for entry in batch
            for event in entry.events
            if is_kept(event)
        ]
        if self._db.follows_stream:
            for doc in docs:
                doc.pop("expires", None)
        if not docs:
            return [None] * len(batch)
        try:
            await self._db["events"].insert_many(docs, ordered=False)
        except errors.BulkWriteError as error:
            failed = (error.details or {}).get("writeErrors", [])
            if not failed or any(each["code"] != DUPLICATE_KEY for each in failed):
                raise
            older = await self._older([docs[each["index"]] for each in failed])
            return [older.get(entry.events[0].seq) for entry in batch]
        return [None] * len(batch)

    async def _older(self, repeats: list[dict[str, Any]]) -> dict[int, Appended]:
        """For each event that is there already under its key, by its new seq: where it stands.

        One that stands at its own seq is this very event, written by an attempt before.
        """
        found = {}
        for doc in repeats:
            kept = await self._db["events"].find_one({"key": doc["key"]}, {"seq": 1, "at": 1})
            if kept is None:
                raise errors.AutoReconnect("a duplicate key of nothing: ask again")
            if kept["seq"] != doc["seq"]:
                found[doc["seq"]] = Appended(kept["seq"], kept["at"], duplicate=True)
        return found

    async def _keep_last_seq(self) -> None:
        await self._keep("last_seq", self._db.head_seq)

    async def _kept(self, name: str) -> int:
        kept = await self._db["meta"].find_one({"_id": name})
        return int(kept["seq"]) if kept else 0

    async def _keep(self, name: str, seq: int) -> None:
        await self._db["meta"].update_one({"_id": name}, {"$max": {"seq": seq}}, upsert=True)


def _was_refused(error: errors.PyMongoError) -> bool:
    """Whether a first step that failed so has certainly changed nothing, now or later."""
    if isinstance(error, errors.BulkWriteError):
        details = error.details or {}
        return not details.get("nInserted") and all(
            each["code"] != DUPLICATE_KEY for each in details.get("writeErrors", ())
        )
    if isinstance(error, errors.WTimeoutError | errors.ExecutionTimeout):
        return False
    # The driver raises the first where it found no server to ask.
    return isinstance(error, errors.ServerSelectionTimeoutError | errors.OperationFailure)
