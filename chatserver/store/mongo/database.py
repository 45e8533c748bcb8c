"""The database in MongoDB: the questions asked through its connections, and the lease of the one server.

Motor is in its maintenance period; PyMongo's own asyncio API succeeds it. Only what both share is used
(`find().sort().limit().to_list()`, `find_one`, `insert_one`, `insert_many`, `update_one`, `delete_many`,
`create_index`, `command`). The change would touch `opening.connect`, and `close`, which becomes a coroutine
there.

The lease is one document with a beat that its owner counts up. Whoever wants it watches: a beat that stands
still for `LEASE_S` has no owner any more. So no clock of one host is compared with another's.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pymongo import errors

from chatserver.core.errors import Unavailable
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo.opening import DEFAULT_NAME, connect, first_line, refusal
from chatserver.store.mongo.schema import check_schema, make_indexes

_log = logging.getLogger("chatserver.store")

BEAT_S = 2.0
LEASE_S = 10.0
"""Five missed beats. How long a restart after a crash waits; how long a stall may last."""
WATCH_S = 0.25
WAIT_S = 60.0
"""How long a start waits for a database that does not answer yet: both may have been started together."""
SAY_EVERY_S = 10.0
"""So often it is said what is waited for."""
_MANY = 500
"""Ids in one query."""


class MongoDb:
    """The database behind `uri`, for one server at a time, or for several that are all `shared`.

    `wait_s` (`WAIT_S`) is how long `start` waits for a database that does not answer yet.
    """

    def __init__(
        self,
        uri: str,
        clock_ms: Callable[[], int],
        wait_s: float | None = None,
        shared: bool = False,
    ) -> None:
        self.healthy = False
        self.follows_stream = False
        """Whether the order is a stream, which somebody else writes here."""
        self._shared = shared
        self.created_seq = 0
        """Every seq in this database is above it."""
        self.head_seq = 0
        """Everything up to here is written and applied: what is read is true at this position."""
        self._uri = uri
        self._clock_ms = clock_ms
        self._wait_s = WAIT_S if wait_s is None else wait_s
        self._owner = uuid.uuid4().hex
        self._beat = 0
        self._beaten_s = 0.0
        self._said_s = 0.0
        self._client: Any = None
        self._db: Any = None
        self._heart: asyncio.Task[None] | None = None
        self._taking: asyncio.Future[Any] | None = None
        """The command that takes the lease, once it was sent."""
        self._lost = False

    def __getitem__(self, collection: str) -> Any:
        if self._db is None:
            raise Unavailable("The server is not connected to its database.")
        return self._db[collection]

    async def start(self) -> None:
        """Connect, make or check the schema, and take the lease.

        Waits for a database that does not answer, and logs that it does. Raises `StoreRefused` where it never does
        or cannot be used.
        """
        try:
            self._client = connect(self._uri)
            self._db = self._client.get_default_database(DEFAULT_NAME)
            await self._until_it_answers()
            self.created_seq = await check_schema(self._db, self._clock_ms)
            if not self._shared:
                await self._take_lease()
            await make_indexes(self._db)
        except errors.PyMongoError as error:
            await self._give_lease_back()
            await self._let_go()
            raise refusal(error) from error
        except (StoreRefused, asyncio.CancelledError):
            await self._give_lease_back()
            await self._let_go()
            raise
        self.healthy = True
        self._heart = asyncio.create_task(self._keep_beating(), name="mongo-lease")

    async def close(self) -> None:
        """Give the lease back and disconnect. Safe to call twice."""
        self.healthy = False
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
            self._heart = None
        await self._give_lease_back()
        await self._let_go()

    async def hold_lease(self) -> None:
        """Returns while this server may write; raises `Unavailable` where it cannot be sure of it.

        A process that was frozen wakes up here, before it writes.
        """
        if self._shared:
            return  # The projector's lease counts, and is looked at with each batch.
        if time.monotonic() - self._beaten_s > LEASE_S / 2:
            async with self.answering():
                await self._count_up()
        if self._lost:
            raise Unavailable("Another server has taken over.")

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """What MongoDB raises inside becomes `Unavailable`, with the cause in the log."""
        try:
            yield
        except errors.PyMongoError as error:
            self.note_health(False, error)
            raise Unavailable("The server cannot reach its database at the moment.") from error

    async def one(
        self, collection: str, where: dict[str, Any], fields: Mapping[str, int] | None = None
    ) -> dict[str, Any] | None:
        """The first document for which `where` holds, or None."""
        async with self.answering():
            doc: dict[str, Any] | None = await self[collection].find_one(where, fields)
            return doc

    async def all(
        self, collection: str, where: dict[str, Any], fields: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """All documents for which `where` holds."""
        async with self.answering():
            docs: list[dict[str, Any]] = await self[collection].find(where, fields).to_list(None)
            return docs

    async def by_ids(
        self, collection: str, ids: Iterable[str], fields: Mapping[str, int]
    ) -> dict[str, dict[str, Any]]:
        """The documents with these ids, by id."""
        wanted = list(dict.fromkeys(ids))
        found = {}
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            for doc in await self.all(collection, {"_id": {"$in": some}}, fields):
                found[doc["_id"]] = doc
        return found

    async def change(self, collection: str, where: dict[str, Any], update: dict[str, Any]) -> None:
        """Update the document for which `where` holds, where there is one."""
        async with self.answering():
            await self[collection].update_one(where, update)

    async def remove(self, collection: str, where: dict[str, Any]) -> None:
        """Take away the documents for which `where` holds."""
        async with self.answering():
            await self[collection].delete_many(where)

    def note_health(self, healthy: bool, error: Exception | None = None) -> None:
        """Keep `healthy`, and log where it changes."""
        now_s = time.monotonic()
        if self.healthy and not healthy:
            self._said_s = now_s
            _log.error("the database does not answer: %s", first_line(error))
        elif not healthy and error is not None and now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            _log.warning("the database does not answer yet: %s", first_line(error))
        elif healthy and not self.healthy:
            _log.warning("the database answers again")
        self.healthy = healthy

    # starting

    async def _until_it_answers(self) -> None:
        until_s = time.monotonic() + self._wait_s
        say_s = time.monotonic()
        while True:
            try:
                await self._db.command("ping")
                return
            except (errors.ConnectionFailure, errors.ExecutionTimeout) as error:
                now_s = time.monotonic()
                if now_s >= say_s:
                    # Which host, and why.
                    _log.warning("waiting for the database: %s", first_line(error))
                    say_s = now_s + SAY_EVERY_S
                if now_s >= until_s:
                    raise
                await asyncio.sleep(WATCH_S)

    # the lease

    async def _take_lease(self) -> None:
        meta = self["meta"]
        mine = {"_id": "lease", "owner": self._owner, "beat": 1}
        seen: tuple[Any, Any] | None = None
        since_s = time.monotonic()
        while True:
            held = await meta.find_one({"_id": "lease"})
            if held is None:
                try:
                    self._taking = asyncio.ensure_future(meta.insert_one(mine))
                    await asyncio.shield(self._taking)
                    break
                except errors.DuplicateKeyError:
                    continue
            now = (held["owner"], held["beat"])
            if seen is None:
                seen = now
            elif now != seen:
                raise StoreRefused(
                    f"The database {self._db.name} is in use by another chatserver: stop that one,"
                    " or name another database in the URI."
                )
            elif time.monotonic() - since_s >= LEASE_S:
                _log.warning("taking over from a server that stopped without a word")
                await meta.delete_many({"_id": "lease", "owner": seen[0], "beat": seen[1]})
                continue
            await asyncio.sleep(WATCH_S)
        self._beat = 1
        self._beaten_s = time.monotonic()

    async def _give_lease_back(self) -> None:
        """Give back what was taken, or may be taken yet by a command that nobody waits for any more."""
        if self._taking is None:
            return
        await asyncio.wait({self._taking})
        taken, self._taking = self._taking, None
        if isinstance(taken.exception(), errors.DuplicateKeyError):
            return
        try:
            await self["meta"].delete_many({"_id": "lease", "owner": self._owner})
        except errors.PyMongoError as error:
            _log.warning("the lease could not be given back and will run out: %s", error)

    async def _keep_beating(self) -> None:
        while not self._lost:
            await asyncio.sleep(BEAT_S)
            try:
                await self._count_up()
            except errors.PyMongoError as error:
                self.note_health(False, error)

    async def _count_up(self) -> None:
        if self._shared:
            await self._db.command("ping")
            return self.note_health(True)
        at_s = time.monotonic()
        beaten = await self["meta"].update_one(
            {"_id": "lease", "owner": self._owner}, {"$inc": {"beat": 1}}
        )
        if beaten.matched_count:
            self._beaten_s = at_s
            self.note_health(True)
        elif not self._lost:
            self._lost = True
            self.healthy = False
            _log.critical("another server has taken the database over: this one writes no more")

    async def _let_go(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._db = None


class MongoPart:
    """What each part of the store has: the database."""

    def __init__(self, db: MongoDb) -> None:
        self._db = db
