"""Logins and tokens in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from chatserver.core.people import Login
from chatserver.store.sqlite.database import SqlitePart
from chatserver.store.sqlite.shapes import LOGIN, login_row

# Of its account's generation.
_CURRENT = " AND generation = (SELECT generation FROM users WHERE users.id = user_id)"


class SqliteLogins(SqlitePart):
    """The logins and tokens of a `SqliteStore`."""

    async def add_login(self, login: Login) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            # In one statement: a change of password stands before it or after it, never in between.
            added = db.execute(
                "INSERT INTO logins SELECT ?, ?, ?, ?, ?, ?, ?, ?, generation FROM users"
                " WHERE generation = ? AND id = ?",
                (*login_row(login), login.user_id),
            )
            return added.rowcount > 0

        return await self._db.write(work)

    async def login(self, login_id: str) -> Login | None:
        return await self._login("id = ?", login_id)

    async def login_by_secret(self, secret_hash: bytes) -> Login | None:
        return await self._login("secret_hash = ?", secret_hash)

    async def _login(self, condition: str, value: str | bytes) -> Login | None:
        row = await self._db.row(
            f"SELECT {LOGIN} FROM logins WHERE {condition}{_CURRENT}", (value,)
        )
        return None if row is None else Login(*row)

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        rows = await self._db.rows(
            f"SELECT {LOGIN} FROM logins WHERE user_id = ? AND kind = ?{_CURRENT}"
            " ORDER BY created_at DESC, id",
            (user_id, kind),
        )
        return [Login(*row) for row in rows]

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        await self._db.change(
            "UPDATE logins SET last_used_at = max(last_used_at, ?) WHERE id = ?",
            [(at, login_id) for login_id, at in used.items()],
        )

    async def drop_expired_logins(self, now_ms: int) -> None:
        await self._db.change("DELETE FROM logins WHERE expires_at <= ?", [(now_ms,)])
