"""Who comes in, in SQLite: logins, whose they are and their friends, in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Container, Mapping, Sequence
from sys import intern
from typing import Any

import orjson

from chatserver.core.people import Login, Newcomer, User
from chatserver.store.sqlite.database import SqlitePart
from chatserver.store.sqlite.eventlog import last_seq
from chatserver.store.sqlite.shapes import LOGIN, USER, Row

_LOGIN_COLUMNS, _SECRET = len(LOGIN.split(", ")), LOGIN.split(", ").index("secret_hash")
# Of its account's generation.
_LOGINS = (
    f"SELECT {', '.join(f'logins.{column}' for column in LOGIN.split(', '))}, {USER}"
    " FROM logins CROSS JOIN users ON users.id = logins.user_id AND users.generation = logins.generation"
    " WHERE logins.{by} IN ({marks})"
)
# As JSON: a row for each friend is three times as slow to fetch.
_FRIENDS = (
    "SELECT user_id, json_group_object(other_id, since) FROM friendships"
    " WHERE user_id IN ({marks}) AND relation = 'friend' GROUP BY user_id"
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
    rows = [(row[0], row) for row in _rows(db, "id", login_ids)]
    rows += [(row[_SECRET], row) for row in _rows(db, "secret_hash", secret_hashes)]
    friends = _friends(db, {row[1] for _, row in rows if row[1] not in here})
    seq = last_seq(db)  # one snapshot: all changes up to its place are in it, and none later
    return {
        # One copy of what is the same for many: the id is a friend's in other mailboxes, too.
        key: Newcomer(
            Login(row[0], intern(row[1]), intern(row[2]), *row[3:_LOGIN_COLUMNS]),
            User(intern(row[1]), *row[_LOGIN_COLUMNS + 1 :]),
            friends.get(row[1]),
            (seq, seq),
        )
        for key, row in rows
    }


def _rows(db: sqlite3.Connection, by: str, values: Sequence[Any]) -> list[Row]:
    if not values:
        return []
    return db.execute(_LOGINS.format(by=by, marks=_marks(values)), values).fetchall()


def _friends(db: sqlite3.Connection, wanted: set[str]) -> dict[str, dict[str, int]]:
    if not wanted:
        return {}
    found: dict[str, dict[str, int]] = {user_id: {} for user_id in wanted}
    for user_id, friends in db.execute(_FRIENDS.format(marks=_marks(wanted)), tuple(wanted)):
        found[user_id] = {intern(friend): since for friend, since in orjson.loads(friends).items()}
    return found


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
