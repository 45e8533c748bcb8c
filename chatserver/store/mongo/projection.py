"""What MongoDB shows of a stream that is its order: batches that may be written again from the last place on, by who holds the
lease.

There is no note as in `eventlog`: a batch of which only a part was written is written again from the stream, in the same
order, and every step may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pymongo import errors

from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry, Fenced, InDoubt
from chatserver.store.ended import ends, needed, runs
from chatserver.store.mongo.changes import apply_change, end, upsert
from chatserver.store.mongo.eventlog import MongoLog
from chatserver.store.mongo.shapes import client_key

ASK_SINGLY = 8
"""Up to so many ids are asked for one by one. nx-27017 goes through all events for an `$in`."""
END_AGAIN_MS = 86_400_000
"""For how long the end of an account is repeated: nothing is frozen for longer and goes on."""
_LEASE = "projector"


class MongoProjection(MongoLog):
    """The `Projection` of a `MongoStore`; usable while that is started."""

    async def last_seq(self) -> int:
        if self._db.head_seq == 0:
            async with self._db.answering():
                newest = self._db["events"].find({}, {"seq": 1}).sort("seq", -1).limit(1)
                found = await newest.to_list(1)
                return max(found[0]["seq"] if found else 0, await self._kept("last_seq"))
        return self._db.head_seq

    async def projected(self) -> int:
        async with self._db.answering():
            return await self._kept("last_seq")

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Appended]:
        wanted = {client_key(*key, 0): key for key in keys}
        fields = {"key": 1, "seq": 1, "at": 1}
        if len(wanted) <= ASK_SINGLY:
            asked = [self._db.one("events", {"key": key}, fields) for key in wanted]
            docs: list[dict[str, Any] | None] = list(await asyncio.gather(*asked))
        else:
            docs = list(await self._db.all("events", {"key": {"$in": list(wanted)}}, fields))
        return {
            wanted[doc["key"]]: Appended(int(doc["seq"]), int(doc["at"]), True)
            for doc in docs
            if doc is not None
        }

    async def project(
        self, batch: Sequence[Entry], up_to: int, owner: int
    ) -> Sequence[Appended | None]:
        if not await self.beat(owner):
            raise Fenced
        outcome: list[Appended | None] = []
        try:
            for run in runs(batch):
                outcome += await self._project_run(run)
            await self._keep("last_seq", up_to)
        except errors.PyMongoError as error:
            self._db.note_health(False, error)
            raise InDoubt("The server cannot save messages at the moment.", 2.0) from error
        self._db.note_health(True)
        self.note_shown(up_to)
        self._unread.note(event for entry in batch for event in entry.events)
        return outcome

    async def _project_run(self, run: list[Entry]) -> list[Appended | None]:
        everybody = set().union(*(needed(entry) for entry in run))
        gone = await self._gone(everybody)
        kept = [
            entry
            for entry in run
            if all(entry.events[0].seq < gone.get(each, 2**63) for each in needed(entry))
        ]
        written = dict(zip(map(id, kept), await self._insert(kept), strict=True))
        for entry in kept:
            first_seq = entry.events[0].seq
            # Before it is done, so that nobody brings back meanwhile what it takes away.
            for user_id, seq in ends(entry):
                tombstone = {"seq": seq, "first_seq": first_seq, "at": entry.events[-1].at_ms}
                await upsert(self._db["ended"], {"_id": user_id}, {"$setOnInsert": tombstone})
            for event in entry.events:
                if event.change is not None:
                    await apply_change(self._db, event.change, event.seq, first_seq)
        return [written.get(id(entry)) for entry in run]

    async def _gone(self, user_ids: set[str]) -> dict[str, int]:
        found = await self._db["ended"].find({"_id": {"$in": sorted(user_ids)}}).to_list(None)
        return {doc["_id"]: int(doc["seq"]) for doc in found}

    async def lease(self) -> tuple[int, int] | None:
        doc = await self._db.one("meta", {"_id": _LEASE})
        return None if doc is None else (int(doc["owner"]), int(doc["beat"]))

    async def take_lease(self, owner: int, seen: tuple[int, int] | None) -> bool:
        mine = {"_id": _LEASE, "owner": owner, "beat": 1}
        async with self._db.answering():
            if seen is None:
                try:
                    await self._db["meta"].insert_one(mine)
                except errors.DuplicateKeyError:
                    return False
                return True
            was = {"_id": _LEASE, "owner": seen[0], "beat": seen[1]}
            taken = await self._db["meta"].update_one(was, {"$set": {"owner": owner, "beat": 1}})
            return bool(taken.matched_count)

    async def beat(self, owner: int) -> bool:
        async with self._db.answering():
            mine = {"_id": _LEASE, "owner": owner}
            counted = await self._db["meta"].update_one(mine, {"$inc": {"beat": 1}})
            return bool(counted.matched_count)

    async def give_lease_back(self, owner: int) -> None:
        await self._db.remove("meta", {"_id": _LEASE, "owner": owner})

    async def end_again(self) -> None:
        young = {"at": {"$gt": self._clock_ms() - END_AGAIN_MS}}
        for doc in await self._db.all("ended", young):
            async with self._db.answering():
                await end(self._db, doc["_id"], int(doc["first_seq"]))

    async def order(self) -> int:
        """The number of the stream that is the order; 0 where the events here are."""
        doc = await self._db.one("meta", {"_id": "order"})
        return 0 if doc is None else int(doc["number"])

    async def set_order(self, number: int, seen: int = 0) -> int:
        """Let this stream be the order where it `seen` was; what it is now."""
        dropped_seq, last_seq = await self.dropped_seq(), await self.last_seq()
        async with self._db.answering():
            # What MongoDB would drop by itself is nowhere noted.
            await self._keep("dropped_seq", dropped_seq)
            await self._keep("last_seq", last_seq)
            expiring = {"expires": {"$exists": True}}
            if number and await self._db["events"].find_one(expiring) is not None:
                await self._db["events"].update_many(expiring, {"$unset": {"expires": ""}})
            if seen == 0:
                await upsert(
                    self._db["meta"],
                    {"_id": "order", "number": 0},
                    {"$set": {"number": number}},
                )
            else:
                was = {"_id": "order", "number": seen}
                await self._db["meta"].update_one(was, {"$set": {"number": number}})
        return await self.order()
