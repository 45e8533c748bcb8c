"""The connection to MongoDB: its limits, the collections and indexes, and the lease of the one server.

Motor is in its maintenance period; PyMongo's own asyncio API succeeds it. Only what both share is used
(`find().sort().limit().to_list()`, `find_one`, `insert_one`, `insert_many`, `update_one`, `delete_many`,
`create_index`, `command`). The change would touch this file's import and `_connect`, and `close`, which
becomes a coroutine there.

The lease is one document with a beat that its owner counts up. Whoever wants it watches: a beat that stands
still for `LEASE_S` has no owner any more. So no clock of one host is compared with another's.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import errors
from pymongo.uri_parser import parse_uri

from chatserver.core.errors import Unavailable
from chatserver.store.contract import StoreRefused

_log = logging.getLogger("chatserver.store")

SCHEMA = 1
DEFAULT_NAME = "chatserver"
"""The database where the URI names none."""
BEAT_S = 2.0
LEASE_S = 10.0
"""Five missed beats. How long a restart after a crash waits; how long a stall may last."""
WATCH_S = 0.25
WAIT_S = 60.0
"""How long a start waits for a database that does not answer yet: both may have been started together."""
OPTIONS: dict[str, Any] = {
    "appname": "chatserver",
    "w": "majority",
    "wTimeoutMS": 5000,
    "serverSelectionTimeoutMS": 2000,
    "connectTimeoutMS": 5000,
    "socketTimeoutMS": 8000,
    "waitQueueTimeoutMS": 4000,
    "maxPoolSize": 32,
}
"""Everything ends in bounded time. The URI may say otherwise. `connectTimeoutMS` is also the driver's for its
own heartbeats: at 2000 a database that took 2 s for an answer was given up, connections and all."""

# Fields, which of a compound index stand with a space between them, and options.
_INDEXES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "users": (("email_key", {"unique": True}),),
    "words": (("word", {}), ("user", {})),
    "pairs": (("a", {}), ("b", {})),
    "blocks": (("by", {}), ("user", {})),
    "logins": (("secret", {"unique": True}), ("user", {}), ("expires_at", {})),
    "reads": (("user", {}), ("peer", {})),
    "events": (
        ("key", {"unique": True}),
        ("seq", {}),
        ("by", {}),
        ("cast", {}),
        ("actor cast", {}),
        ("sent", {}),
        ("talk", {}),
        ("about", {}),
        ("passing", {}),
    ),
}
_TTL_INDEX = ("expires", {"expireAfterSeconds": 0})
"""On events; only a net under the hourly job, which drops what has passed on every server."""
_REFUSED = {
    13: "grant it the readWrite role there",
    18: "check the name and the password in the URI",
    8000: "check the name and the password in the URI",
}
"""Codes of MongoDB about rights: Unauthorized, AuthenticationFailed, AtlasError."""


class MongoDb:
    """The database behind `uri`, for one server at a time.

    `wait_s` (`WAIT_S`) is how long `start` waits for a database that does not answer yet.
    """

    def __init__(self, uri: str, clock_ms: Callable[[], int], wait_s: float | None = None) -> None:
        self.healthy = False
        self.created_seq = 0
        """Every seq in this database is above it."""
        self._uri = uri
        self._clock_ms = clock_ms
        self._wait_s = WAIT_S if wait_s is None else wait_s
        self._owner = uuid.uuid4().hex
        self._beat = 0
        self._beaten_s = 0.0
        self._client: Any = None
        self._db: Any = None
        self._heart: asyncio.Task[None] | None = None
        self._lost = False

    def __getitem__(self, collection: str) -> Any:
        if self._db is None:
            raise Unavailable("The server is not connected to its database.")
        return self._db[collection]

    async def start(self) -> None:
        """Connect, make or check the schema, and take the lease.

        Waits for a database that does not answer, saying so. Raises `StoreRefused` where it never does
        or cannot be used.
        """
        try:
            self._connect()
            await self._until_it_answers()
            await self._check_schema()
            await self._take_lease()
            await self._make_indexes()
        except errors.PyMongoError as error:
            await self._let_go()
            raise StoreRefused(_sentence(error)) from error
        except StoreRefused:
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
            try:
                await self["meta"].delete_many({"_id": "lease", "owner": self._owner})
            except errors.PyMongoError as error:
                _log.warning("the lease could not be given back and will run out: %s", error)
        await self._let_go()

    async def hold_lease(self) -> None:
        """Returns while this server may write; raises `Unavailable` where it cannot be sure of it.

        A process that was frozen wakes up here, before it writes.
        """
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
            self.tell(False, error)
            raise Unavailable("The server cannot reach its database at the moment.") from error

    def tell(self, healthy: bool, error: Exception | None = None) -> None:
        """Keep `healthy`, and log where it changes."""
        if self.healthy and not healthy:
            _log.error("the database does not answer: %s", _first_line(error))
        elif healthy and not self.healthy:
            _log.warning("the database answers again")
        self.healthy = healthy

    # starting

    def _connect(self) -> None:
        try:
            # The driver takes any word for a host name, and leaves a client behind where it does not.
            if self._uri.startswith("mongodb://"):
                parse_uri(self._uri)
            elif not self._uri.startswith("mongodb+srv://"):
                raise ValueError("it begins with neither mongodb:// nor mongodb+srv://")
            self._client = AsyncIOMotorClient(self._uri, **_unless_in_uri(self._uri))
            self._db = self._client.get_default_database(DEFAULT_NAME)
        except (errors.PyMongoError, ValueError) as error:
            raise StoreRefused(
                f"The MongoDB URI cannot be used ({_first_line(error)}):"
                " it looks like mongodb://host:27017/chatserver."
            ) from error

    async def _until_it_answers(self) -> None:
        until_s = time.monotonic() + self._wait_s
        told = False
        while True:
            try:
                await self._db.command("ping")
                return
            except (errors.ConnectionFailure, errors.ExecutionTimeout):
                if not told:
                    _log.warning("waiting for the database: it does not answer yet")
                    told = True
                if time.monotonic() >= until_s:
                    raise
                await asyncio.sleep(WATCH_S)

    async def _check_schema(self) -> None:
        schema = await self["meta"].find_one({"_id": "schema"})
        if schema is None:
            if await self._db.list_collection_names():
                raise StoreRefused(
                    f"The database {self._db.name} was made by another program:"
                    " name another one in the URI."
                )
            created_seq = self._clock_ms() * 1000 - 1
            schema = {"_id": "schema", "version": SCHEMA, "created_seq": created_seq}
            await self["meta"].insert_one(schema)
        if schema["version"] > SCHEMA:
            raise StoreRefused(
                f"The database {self._db.name} was made by a newer chatserver than this one:"
                " install that newer version."
            )
        self.created_seq = int(schema["created_seq"])

    async def _make_indexes(self) -> None:
        for collection, indexes in _INDEXES.items():
            for fields, options in indexes:
                keys = [(field, 1) for field in fields.split()]
                await self[collection].create_index(keys, **options)
        # nx-27017 looks for expired documents before each query: 90 ms a query at 60,000 events. MongoDB,
        # which names its storage engines, does it once a minute, aside.
        if (await self._db.command("buildInfo")).get("storageEngines"):
            field, options = _TTL_INDEX
            await self["events"].create_index([(field, 1)], **options)

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
                    await meta.insert_one(mine)
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

    async def _keep_beating(self) -> None:
        while not self._lost:
            await asyncio.sleep(BEAT_S)
            try:
                await self._count_up()
            except errors.PyMongoError as error:
                self.tell(False, error)

    async def _count_up(self) -> None:
        at_s = time.monotonic()
        beaten = await self["meta"].update_one(
            {"_id": "lease", "owner": self._owner}, {"$inc": {"beat": 1}}
        )
        if beaten.matched_count:
            self._beaten_s = at_s
            self.tell(True)
        elif not self._lost:
            self._lost = True
            self.healthy = False
            _log.critical("another server has taken the database over: this one writes no more")

    async def _let_go(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._db = None


def _unless_in_uri(uri: str) -> dict[str, Any]:
    """Our options, but for those that the operator gave (MongoDB: option names ignore case)."""
    given = {part.partition("=")[0].lower() for part in uri.partition("?")[2].split("&")}
    return {name: value for name, value in OPTIONS.items() if name.lower() not in given}


def _sentence(error: errors.PyMongoError) -> str:
    code = getattr(error, "code", None)
    if code in _REFUSED:
        return f"MongoDB refuses this user ({_first_line(error)}): {_REFUSED[code]}."
    return f"MongoDB cannot be used ({_first_line(error)}): start it, or correct the address in the URI."


def _first_line(error: Exception | None) -> str:
    """What an error says, without the driver's dump of the topology behind it."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.split(", Timeout:")[0].split(", full error:")[0].split(" (configured timeouts")[0]
