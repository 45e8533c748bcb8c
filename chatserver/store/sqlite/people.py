"""Accounts in SQLite, and finding people."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from chatserver.core.errors import Conflict
from chatserver.core.names import MAX_QUERY_WORDS, after_prefix, email_key, words
from chatserver.core.people import Account, User
from chatserver.store.gathered import Gathered
from chatserver.store.sqlite.changes import write_name
from chatserver.store.sqlite.database import Database, SqlitePart
from chatserver.store.sqlite.shapes import ACCOUNT, USER, account_row

MAX_CANDIDATES = 500
"""LIMIT: where more people than this share the beginning of each word of a search, it chooses among the first so
many of them, a whole word before a longer one; and among the searcher's own friends."""
MAX_FRIENDS = 1000
"""LIMIT: of so many friends."""
_HAS_WORD = (
    " AND EXISTS (SELECT 1 FROM name_words AS also WHERE also.user_id = one.user_id"
    " AND also.word >= ? AND also.word < ?)"
)
_MANY = 500
"""Ids in one statement; SQLite takes 32,766 values, a short list keeps statements few and cached."""


class SqlitePeople(SqlitePart):
    """The accounts of a `SqliteStore`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._users = Gathered(self._users_of)

    async def add_account(self, account: Account) -> None:
        def work(db: sqlite3.Connection) -> None:
            added = db.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                account_row(account, last_seen=0),
            )
            if not added.rowcount:
                raise Conflict("There is an account with this email already.")
            user = account.user
            write_name(db, user.id, user.first_name, user.last_name)

        await self._db.write(work)

    async def account(self, user_id: str) -> Account | None:
        return await self._account("id = ?", user_id)

    async def account_by_email(self, email: str) -> Account | None:
        return await self._account("email_key = ?", email_key(email))

    async def _account(self, condition: str, value: str) -> Account | None:
        row = await self._db.row(f"SELECT {ACCOUNT} FROM users WHERE {condition}", (value,))
        return None if row is None else Account(User(*row[:4]), *row[4:])

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        wanted = list(dict.fromkeys(ids))
        if len(wanted) == 1:
            user = await self._users.get(wanted[0])
            return {} if user is None else {user.id: user}
        return await self._users_of(wanted)

    async def _users_of(self, wanted: Sequence[str]) -> dict[str, User]:
        def work(db: sqlite3.Connection) -> dict[str, User]:
            found = {}
            for start in range(0, len(wanted), _MANY):
                some = wanted[start : start + _MANY]
                marks = ", ".join("?" * len(some))
                for row in db.execute(f"SELECT {USER} FROM users WHERE id IN ({marks})", some):
                    found[row[0]] = User(*row)
            return found

        return await self._db.read(work)

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        await self._db.change(
            "UPDATE users SET last_seen = max(last_seen, ?) WHERE id = ?",
            [(at, user_id) for user_id, at in seen.items()],
        )

    async def set_zone(self, user_id: str, zone: str) -> None:
        await self._db.change("UPDATE users SET zone = ? WHERE id = ?", [(zone, user_id)])

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        wanted = words(query)[:MAX_QUERY_WORDS]
        if not wanted:
            return []
        return await self._db.read(lambda db: _search(db, viewer, query, wanted, limit))


def _search(
    db: sqlite3.Connection, viewer: str, query: str, wanted: list[str], limit: int
) -> list[tuple[User, str]]:
    # The word of the fewest people first: of them no more than so many are looked at.
    first, *rest = sorted(wanted, key=lambda word: (_count_of_word(db, word), word))
    also = _HAS_WORD * len(rest)
    rows = db.execute(
        f"SELECT {USER}, coalesce(relation, 'none') FROM"
        " (SELECT one.user_id FROM (SELECT user_id FROM name_words WHERE word >= ? AND word < ?"
        f"  ORDER BY word, user_id LIMIT {MAX_CANDIDATES}) AS one WHERE true{also}"
        " UNION SELECT one.user_id FROM (SELECT other_id AS user_id FROM friendships"
        f"  WHERE user_id = ? AND relation = 'friend' LIMIT {MAX_FRIENDS}) AS one"
        f"  WHERE true{_HAS_WORD}{also}"
        " UNION SELECT id FROM users WHERE email_key = ?) AS found"
        " CROSS JOIN users ON users.id = found.user_id"
        " LEFT JOIN friendships ON friendships.user_id = ? AND other_id = users.id"
        " WHERE users.id <> ?"
        " AND NOT EXISTS (SELECT 1 FROM blocks WHERE by_id = users.id AND blocks.user_id = ?)"
        " AND NOT EXISTS (SELECT 1 FROM blocks WHERE by_id = ? AND blocks.user_id = users.id)"
        " ORDER BY relation IS NOT 'friend', name_key, users.id LIMIT ?",
        (
            *_spans([first, *rest]),
            viewer,
            *_spans([first, *rest]),
            email_key(query),
            *[viewer] * 4,
            limit,
        ),
    )
    return [(User(*row[:4]), row[4]) for row in rows]


def _count_of_word(db: sqlite3.Connection, word: str) -> int:
    row = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM name_words WHERE word >= ? AND word < ?"
        f" LIMIT {MAX_CANDIDATES})",
        _spans([word]),
    ).fetchone()
    return int(row[0])


def _spans(wanted: list[str]) -> list[str]:
    return [value for each in wanted for value in (each, after_prefix(each))]
