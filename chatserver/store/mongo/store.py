"""The store on MongoDB, through Motor: people, friendships, logins and the history, for one server at a time.

What the store promises is in `chatserver.store.contract`. Its parts are a file each. Every change is one
document or a row of repeatable steps. Conditions are built from strings and integers only: nothing that
came as JSON is ever passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from chatserver.core.errors import Unavailable
from chatserver.store.archive import UNFINISHED
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo.alerts import MongoAlerts
from chatserver.store.mongo.archive import MongoArchive
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.history import MongoHistory
from chatserver.store.mongo.logins import MongoSecrets
from chatserver.store.mongo.newcomers import MongoNewcomers
from chatserver.store.mongo.projection import MongoProjection
from chatserver.store.order import Wanted, settle_order


class MongoStore(MongoNewcomers, MongoHistory, MongoAlerts):
    """A `Store` in the database of `uri`; `log` is its `EventLog`, for the local journal.

    `clock_ms` is the time now. `start` waits up to `wait_s` (`database.WAIT_S`) for a database that does
    not answer yet. `unfinished` opens also what a migration began to fill; `archive` is the `Archive` for
    that. `order` says how it is opened (`store.order`): for `stream` by several servers.
    """

    def __init__(
        self,
        uri: str,
        clock_ms: Callable[[], int],
        wait_s: float | None = None,
        unfinished: bool = False,
        order: Wanted = "local",
    ) -> None:
        super().__init__(MongoDb(uri, clock_ms, wait_s, shared=order == "stream"))
        self.order = 0
        """The number of the stream that is the order; 0 where the events here are. Known after the start."""
        self._order = order
        self._clock_ms = clock_ms
        self._unfinished = unfinished
        self._started = False
        self.log = MongoProjection(self._db, clock_ms)
        self.archive = MongoArchive(self._db, self.log)
        self.secrets = MongoSecrets(self._db)

    @property
    def healthy(self) -> bool:
        return self._db.healthy

    async def start(self) -> None:
        await self._db.start()
        if not self._unfinished and await self.archive.is_unfinished():
            await self._db.close()
            raise StoreRefused(UNFINISHED)
        try:
            self.order = await settle_order(self.log, self._order)
            self._db.follows_stream = self.order != 0
            async with self._db.answering():
                await self.log.start()
        except (StoreRefused, Unavailable):
            await self._db.close()
            raise
        await self.drop_expired_logins(self._clock_ms())
        self._started = True

    async def close(self) -> None:
        if self._started:
            self._started = False
            # Where the database is away, the place is found again by the newest event.
            with suppress(Unavailable):
                await self.log.keep_place()
        await self._db.close()
