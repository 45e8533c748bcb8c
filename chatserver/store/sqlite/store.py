"""The embedded store: everything in one SQLite file in the data folder, for the processes of one server.

What the store promises is in `chatserver.store.contract`. Its parts are a file each: every verb there is a
short statement, run on the threads of `database`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chatserver.store.archive import UNFINISHED
from chatserver.store.contract import StoreRefused
from chatserver.store.order import Wanted, settle_order
from chatserver.store.sqlite.alerts import SqliteAlerts
from chatserver.store.sqlite.archive import SqliteArchive
from chatserver.store.sqlite.database import Database
from chatserver.store.sqlite.friendships import SqliteFriendships
from chatserver.store.sqlite.history import SqliteHistory
from chatserver.store.sqlite.logins import SqliteLogins
from chatserver.store.sqlite.newcomers import SqliteNewcomers
from chatserver.store.sqlite.people import SqlitePeople
from chatserver.store.sqlite.projection import SqliteProjection


class SqliteStore(
    SqlitePeople, SqliteFriendships, SqliteLogins, SqliteNewcomers, SqliteHistory, SqliteAlerts
):
    """A `Store` in `folder`; `log` is its `EventLog`, for the local journal.

    `clock_ms` is the time now; `busy_ms` how long a write waits while another program (a backup) holds
    the file. Nothing is touched before `start`. `unfinished` opens also what a migration began to fill;
    `archive` is the `Archive` for that. `order` says how it is opened (`store.order`): for `stream` by several processes.
    """

    def __init__(
        self,
        folder: Path,
        clock_ms: Callable[[], int],
        busy_ms: int = 5000,
        unfinished: bool = False,
        order: Wanted = "local",
    ) -> None:
        super().__init__(Database(folder, busy_ms, shared=order == "stream"))
        self.order = 0
        """The number of the stream that is the order; 0 where the events here are. Known after the start."""
        self._order = order
        self._clock_ms = clock_ms
        self._unfinished = unfinished
        self.log = SqliteProjection(self._db)
        self.archive = SqliteArchive(self._db)

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
        except StoreRefused:
            await self._db.close()
            raise
        await self.drop_expired_logins(self._clock_ms())

    async def close(self) -> None:
        await self._db.close()
