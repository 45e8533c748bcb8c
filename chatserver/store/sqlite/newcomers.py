"""Who comes in, in SQLite: logins, whose they are and their friends, in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Mapping, Sequence
from sys import intern
from typing import Any

import orjson

from chatserver.core.people import Login, Newcomer, User
from chatserver.store.sqlite.database import SqlitePart
from chatserver.store.sqlite.shapes import LOGIN

# All of it as one row of JSON. With each row the thread gives the interpreter away and has to wait for it again, which
# costs more than the row; and building JSON takes less than fetching columns. Of logins of their account's generation.
_COLUMNS = (
    *(f"logins.{column}" for column in LOGIN.split(", ") if column != "secret_hash"),
    "hex(secret_hash)",
    *("first_name", "last_name", "color"),
    "(SELECT json_group_object(other_id, since) FROM friendships"
    " WHERE friendships.user_id = users.id AND relation = 'friend')",
)
_NEWCOMERS = (
    f"SELECT json_group_array(json_array({', '.join(_COLUMNS)})),"
    " (SELECT value FROM meta WHERE key = 'last_seq')"
    " FROM logins CROSS JOIN users ON users.id = logins.user_id AND users.generation = logins.generation"
    " WHERE logins.{by} IN ({marks})"
)


class SqliteNewcomers(SqlitePart):
    """Who comes in to a `SqliteStore`."""

    async def newcomers(
        self, login_ids: Sequence[str], secret_hashes: Sequence[bytes], here: Container[str]
    ) -> Mapping[str | bytes, Newcomer]:
        return await self._db.read(lambda db: _newcomers(db, login_ids, secret_hashes, here))


def _newcomers(
    db: sqlite3.Connection,
    login_ids: Sequence[str],
    secret_hashes: Sequence[bytes],
    here: Container[str],
) -> dict[str | bytes, Newcomer]:
    found: dict[str | bytes, Newcomer] = {}
    for one in _find(db, "id", login_ids, here):
        found[one.login.id] = one
    for one in _find(db, "secret_hash", secret_hashes, here):
        if one.login.secret_hash is not None:
            found[one.login.secret_hash] = one
    return found


def _find(
    db: sqlite3.Connection, by: str, values: Sequence[Any], here: Container[str]
) -> list[Newcomer]:
    if not values:
        return []
    statement = _NEWCOMERS.format(by=by, marks=", ".join("?" * len(values)))
    # One snapshot: all changes up to its place are in it, and none later.
    rows, seq = db.execute(statement, values).fetchone()
    asked = dict(zip(values, values, strict=True))
    return [_newcomer(row, seq, here, asked) for row in orjson.loads(rows)]


def _newcomer(row: list[Any], seq: int, here: Container[str], asked: Mapping[Any, Any]) -> Newcomer:
    login_id, user_id, kind, label, created_at, expires_at, used_at, generation, *profile = row
    secret_hash, first_name, last_name, color, friends = profile
    secret = bytes.fromhex(secret_hash) if secret_hash else None
    # One copy of what is the same for many: the id is a friend's in other mailboxes, too.
    user_id = intern(user_id)
    login = Login(
        login_id,
        user_id,
        intern(kind),
        intern(label),
        asked.get(secret, secret),
        created_at,
        expires_at,
        created_at if used_at == created_at else used_at,
        generation,
    )
    known = None
    if user_id not in here:
        known = dict(zip(map(intern, friends), friends.values(), strict=True))
    return Newcomer(login, User(user_id, first_name, last_name, intern(color)), known, (seq, seq))
