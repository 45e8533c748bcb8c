"""Subscriptions to Web Push and the wishes of accounts, in SQLite."""

from __future__ import annotations

import sqlite3

from chatserver.core.alerts import Subscription
from chatserver.store.sqlite.database import SqlitePart

SUBSCRIPTION = "endpoint, user_id, login_id, p256dh, auth, created_at"


class SqliteAlerts(SqlitePart):
    """What a `SqliteStore` keeps of being called."""

    async def add_subscription(self, subscription: Subscription, keep: int) -> bool:
        one = subscription

        def work(db: sqlite3.Connection) -> bool:
            # In one statement: a login ends before it or after it, never in between.
            added = db.execute(
                f"INSERT OR REPLACE INTO subscriptions ({SUBSCRIPTION})"
                " SELECT ?, user_id, id, ?, ?, ? FROM logins WHERE id = ? AND user_id = ?",
                (one.endpoint, one.p256dh, one.auth, one.created_at, one.login_id, one.user_id),
            )
            db.execute(
                "DELETE FROM subscriptions WHERE user_id = ? AND endpoint NOT IN"
                " (SELECT endpoint FROM subscriptions WHERE user_id = ?"
                "  ORDER BY created_at DESC, endpoint LIMIT ?)",
                (one.user_id, one.user_id, keep),
            )
            return added.rowcount > 0

        return await self._db.write(work)

    async def subscriptions(self, user_id: str) -> list[Subscription]:
        rows = await self._db.rows(
            f"SELECT {SUBSCRIPTION} FROM subscriptions WHERE user_id = ?"
            " ORDER BY created_at, endpoint",
            (user_id,),
        )
        return [Subscription(*row) for row in rows]

    async def drop_subscription(self, user_id: str, endpoint: str) -> None:
        await self._db.change(
            "DELETE FROM subscriptions WHERE user_id = ? AND endpoint = ?", [(user_id, endpoint)]
        )

    async def subscribers(self) -> set[str]:
        rows = await self._db.rows("SELECT DISTINCT user_id FROM subscriptions", ())
        return {user_id for (user_id,) in rows}

    async def wishes(self, user_id: str) -> str | None:
        row = await self._db.row("SELECT wishes FROM wishes WHERE user_id = ?", (user_id,))
        return None if row is None else str(row[0])

    async def set_wishes(self, user_id: str, wishes: str) -> None:
        await self._db.change(
            "INSERT OR REPLACE INTO wishes SELECT id, ? FROM users WHERE id = ?",
            [(wishes, user_id)],
        )
