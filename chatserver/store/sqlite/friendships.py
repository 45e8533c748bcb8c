"""Friendships and blocks in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from sys import intern

from chatserver.core.people import MAX_INCOMING, Friends, User
from chatserver.store.gathered import Gathered
from chatserver.store.sqlite.database import Database, SqlitePart
from chatserver.store.sqlite.eventlog import last_seq
from chatserver.store.sqlite.shapes import USER

COMPARED_FRIENDS = 1000
"""LIMIT: of somebody who has more friends so many are looked at where friends in common are counted."""
_IN_COMMON = (
    "SELECT count(*) FROM (SELECT other_id AS id FROM friendships WHERE user_id = ? AND relation = 'friend'"
    f" LIMIT {COMPARED_FRIENDS}) AS one WHERE EXISTS (SELECT 1 FROM friendships"
    " WHERE user_id = ? AND other_id = one.id AND relation = 'friend')"
)

_PAGE = (
    f"SELECT {USER}, last_seen FROM friendships CROSS JOIN users ON users.id = other_id"
    " WHERE user_id = ? AND relation = 'friend'"
    " ORDER BY other_id NOT IN (SELECT value FROM json_each(?)), name_key, users.id LIMIT ? OFFSET ?"
)
_NAMES = (
    "SELECT users.id, rtrim(first_name || ' ' || last_name) FROM friendships"
    " CROSS JOIN users ON users.id = other_id WHERE user_id = ? AND relation = 'friend'"
)


class SqliteFriendships(SqlitePart):
    """The friendships and blocks of a `SqliteStore`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._friends_since = Gathered(self._friends_of)

    async def friends(self, user_id: str) -> Friends:
        return await self._db.read(lambda db: _friends(db, user_id))

    async def friends_page(
        self, user_id: str, first: Collection[str], skip: int, limit: int
    ) -> tuple[list[tuple[User, int]], int]:
        def work(db: sqlite3.Connection) -> tuple[list[tuple[User, int]], int]:
            rows = db.execute(_PAGE, (user_id, json.dumps(list(first)), limit, skip))
            found = [(User(*row[:4]), row[4]) for row in rows]
            return found, _relation_counts(db, user_id).get("friend", 0)

        return await self._db.read(work)

    async def requests(self, user_id: str) -> Friends:
        return await self._db.read(lambda db: _requests(db, user_id))

    async def friend_names(self, user_id: str) -> list[tuple[str, str]]:
        return await self._db.rows(_NAMES, (user_id,))

    async def relation_counts(self, user_id: str) -> Mapping[str, int]:
        def work(db: sqlite3.Connection) -> dict[str, int]:
            row = db.execute("SELECT count(*) FROM blocks WHERE by_id = ?", (user_id,)).fetchone()
            blocked = {"blocked": int(row[0])} if row[0] else {}
            return _relation_counts(db, user_id) | blocked

        return await self._db.read(work)

    async def in_common(self, viewer: str, others: Sequence[str]) -> Mapping[str, int]:
        return await self._db.read(
            lambda db: {
                other: int(db.execute(_IN_COMMON, (other, viewer)).fetchone()[0])
                for other in others
            }
        )

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        found = await self._friends_since.get(user_id)
        assert found is not None, "everybody has friends, or none"
        friends, seq = found
        return friends, seq, seq  # one snapshot: nothing later is in it

    async def _friends_of(self, ids: Sequence[str]) -> dict[str, tuple[dict[str, int], int]]:
        def work(db: sqlite3.Connection) -> dict[str, tuple[dict[str, int], int]]:
            seq = last_seq(db)
            found: dict[str, tuple[dict[str, int], int]] = {each: ({}, seq) for each in ids}
            rows = db.execute(
                "SELECT user_id, other_id, since FROM friendships"
                f" WHERE user_id IN ({', '.join('?' * len(ids))}) AND relation = 'friend'",
                ids,
            )
            for user_id, other, since in rows:
                found[user_id][0][intern(other)] = since  # one copy of each id
            return found

        return await self._db.read(work)

    async def relation(self, viewer: str, other: str) -> str:
        row = await self._db.row(
            "SELECT relation FROM friendships WHERE user_id = ? AND other_id = ?",
            (viewer, other),
        )
        return "none" if row is None else str(row[0])

    async def blocks(self, user_id: str) -> list[User]:
        rows = await self._db.rows(
            f"SELECT {USER} FROM blocks CROSS JOIN users ON users.id = user_id WHERE by_id = ?"
            " ORDER BY name_key, users.id",
            (user_id,),
        )
        return [User(*row) for row in rows]

    async def blocked(self, by: str, user_id: str) -> bool:
        statement = "SELECT 1 FROM blocks WHERE by_id = ? AND user_id = ?"
        return await self._db.row(statement, (by, user_id)) is not None


def _friends(db: sqlite3.Connection, user_id: str) -> Friends:
    found = _requests(db, user_id)
    rows = db.execute(_PAGE, (user_id, "[]", -1, 0))
    return replace(found, friends=[(User(*row[:4]), row[4]) for row in rows])


def _requests(db: sqlite3.Connection, user_id: str) -> Friends:
    rows = db.execute(
        f"SELECT {USER} FROM friendships CROSS JOIN users ON users.id = other_id"
        " WHERE user_id = ? AND relation = 'outgoing' ORDER BY name_key, users.id",
        (user_id,),
    )
    outgoing = [User(*row) for row in rows]
    incoming = db.execute(
        f"SELECT {USER} FROM friendships CROSS JOIN users ON users.id = other_id"
        f" WHERE user_id = ? AND relation = 'incoming' ORDER BY since LIMIT {MAX_INCOMING}",
        (user_id,),
    )
    asking = [User(*row) for row in incoming]
    count = len(asking)
    if count == MAX_INCOMING:
        count = _relation_counts(db, user_id)["incoming"]
    return Friends([], asking, outgoing, last_seq(db), count)


def _relation_counts(db: sqlite3.Connection, user_id: str) -> dict[str, int]:
    return dict(
        db.execute(
            "SELECT relation, count(*) FROM friendships WHERE user_id = ? GROUP BY relation",
            (user_id,),
        )
    )


def friends_since(db: sqlite3.Connection, user_id: str) -> dict[str, int]:
    """Friend id -> seq at which the friendship began."""
    return dict(
        db.execute(
            "SELECT other_id, since FROM friendships WHERE user_id = ? AND relation = 'friend'",
            (user_id,),
        )
    )
