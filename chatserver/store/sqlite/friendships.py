"""Friendships and blocks in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
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


class SqliteFriendships(SqlitePart):
    """The friendships and blocks of a `SqliteStore`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._friends_since = Gathered(self._friends_of)

    async def friends(self, user_id: str) -> Friends:
        return await self._db.read(lambda db: _friends(db, user_id))

    async def relation_counts(self, user_id: str) -> Mapping[str, int]:
        return await self._db.read(lambda db: _relation_counts(db, user_id))

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
    friends: list[tuple[User, int]] = []
    outgoing: list[User] = []
    for row in db.execute(
        f"SELECT {USER}, relation, last_seen FROM friendships"
        " CROSS JOIN users ON users.id = other_id WHERE user_id = ? AND relation <> 'incoming'"
        " ORDER BY name_key, users.id",
        (user_id,),
    ):
        user = User(*row[:4])
        if row[4] == "friend":
            friends.append((user, row[5]))
        else:
            outgoing.append(user)
    incoming = db.execute(
        f"SELECT {USER} FROM friendships CROSS JOIN users ON users.id = other_id"
        f" WHERE user_id = ? AND relation = 'incoming' ORDER BY since LIMIT {MAX_INCOMING}",
        (user_id,),
    )
    asking = [User(*row) for row in incoming]
    count = len(asking)
    if count == MAX_INCOMING:
        count = _relation_counts(db, user_id)["incoming"]
    return Friends(friends, asking, outgoing, last_seq(db), count)


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
