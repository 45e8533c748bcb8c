"""Logins and tokens in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from sys import intern

from chatserver.core.people import Login
from chatserver.store.gathered import Gathered
from chatserver.store.sqlite.database import Database, SqlitePart
from chatserver.store.sqlite.shapes import LOGIN, login_row

# Of its account's generation.
_CURRENT = " AND generation = (SELECT generation FROM users WHERE users.id = user_id)"


class SqliteLogins(SqlitePart):
    """The logins and tokens of a `SqliteStore`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._by_id = Gathered(self._logins_by_id)
        self._by_secret = Gathered(self._logins_by_secret)

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
        return await self._by_id.get(login_id)

    async def login_by_secret(self, secret_hash: bytes) -> Login | None:
        return await self._by_secret.get(secret_hash)

    async def _logins_by_id(self, ids: Sequence[str]) -> dict[str, Login]:
        return {login.id: login for login in await self._logins_where("id", ids)}

    async def _logins_by_secret(self, hashes: Sequence[bytes]) -> dict[bytes, Login]:
        found = await self._logins_where("secret_hash", hashes)
        return {login.secret_hash: login for login in found if login.secret_hash is not None}

    async def _logins_where(self, column: str, values: Sequence[str | bytes]) -> list[Login]:
        marks = ", ".join("?" * len(values))
        rows = await self._db.rows(
            f"SELECT {LOGIN} FROM logins WHERE {column} IN ({marks}){_CURRENT}", values
        )
        # One copy of what is the same for many: the id is a friend's in other mailboxes, too.
        return [Login(row[0], intern(row[1]), intern(row[2]), *row[3:]) for row in rows]

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
