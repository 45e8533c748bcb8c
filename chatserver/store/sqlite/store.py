"""The embedded store: everything in one SQLite file in the data folder, for one server process.

What the store promises is in `base`. Here each verb is a short statement run by `sqlite_db` (threads and
transactions); the events are in `sqlite_events` and `sqlite_find`, their effects in `sqlite_changes`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chatserver.core.conversations import Page, ReadState
from chatserver.core.errors import Conflict
from chatserver.core.events import Event
from chatserver.core.names import MAX_QUERY_WORDS, after_prefix, email_key, name_key, words
from chatserver.core.people import Account, Friends, Login, User
from chatserver.core.visibility import View
from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry
from chatserver.store.archive import UNFINISHED
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite import eventlog as sqlite_events
from chatserver.store.sqlite import finding as sqlite_find
from chatserver.store.sqlite.archive import SqlitePort
from chatserver.store.sqlite.changes import write_name
from chatserver.store.sqlite.database import Database

_USER = "users.id, first_name, last_name, color"
_ACCOUNT = f"SELECT {_USER}, email, password, created_at FROM users WHERE"
_LOGIN = (
    "SELECT id, user_id, kind, label, secret_hash, created_at, expires_at, last_used_at"
    " FROM logins WHERE"
)
_MANY = 500
"""Ids in one statement; SQLite takes 32,766 values, a short list keeps statements few and cached."""


class SqliteStore:
    """A `Store` in `folder`; `log` is its `EventLog`, for the local journal.

    `clock_ms` is the time now; `busy_ms` how long a write waits while another program (a backup) holds
    the file. Nothing is touched before `start`. `unfinished` opens also what a migration began to fill;
    `port` is the `Port` for that.
    """

    def __init__(
        self,
        folder: Path,
        clock_ms: Callable[[], int],
        busy_ms: int = 5000,
        unfinished: bool = False,
    ) -> None:
        self._db = Database(folder, busy_ms)
        self._clock_ms = clock_ms
        self._unfinished = unfinished
        self.log = SqliteLog(self._db)
        self.port = SqlitePort(self._db)

    @property
    def healthy(self) -> bool:
        return self._db.healthy

    async def start(self) -> None:
        await self._db.start()
        if not self._unfinished and await self.port.is_unfinished():
            await self._db.close()
            raise StoreRefused(UNFINISHED)
        await self.drop_expired_logins(self._clock_ms())

    async def close(self) -> None:
        await self._db.close()

    # accounts

    async def add_account(self, account: Account) -> None:
        def work(db: sqlite3.Connection) -> None:
            user = account.user
            added = db.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                (
                    user.id,
                    account.email,
                    email_key(account.email),
                    account.password,
                    user.first_name,
                    user.last_name,
                    name_key(user.first_name, user.last_name),
                    user.color,
                    account.created_at,
                ),
            )
            if not added.rowcount:
                raise Conflict("There is an account with this email already.")
            write_name(db, user.id, user.first_name, user.last_name)

        await self._db.write(work)

    async def account(self, user_id: str) -> Account | None:
        return await self._account(f"{_ACCOUNT} id = ?", user_id)

    async def account_by_email(self, email: str) -> Account | None:
        return await self._account(f"{_ACCOUNT} email_key = ?", email_key(email))

    async def _account(self, statement: str, value: str) -> Account | None:
        row = await self._row(statement, (value,))
        return None if row is None else Account(User(*row[:4]), *row[4:])

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        wanted = list(dict.fromkeys(ids))

        def work(db: sqlite3.Connection) -> dict[str, User]:
            found = {}
            for start in range(0, len(wanted), _MANY):
                some = wanted[start : start + _MANY]
                marks = ", ".join("?" * len(some))
                for row in db.execute(f"SELECT {_USER} FROM users WHERE id IN ({marks})", some):
                    found[row[0]] = User(*row)
            return found

        return await self._db.read(work)

    async def set_password(self, user_id: str, password: str) -> None:
        await self._write("UPDATE users SET password = ? WHERE id = ?", [(password, user_id)])

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        await self._write(
            "UPDATE users SET last_seen = max(last_seen, ?) WHERE id = ?",
            [(at, user_id) for user_id, at in seen.items()],
        )

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        # The longest word first: it most likely has the fewest people, and the index is read for it.
        first, *rest = sorted(words(query)[:MAX_QUERY_WORDS], key=len, reverse=True) or [""]
        if not first:
            return []
        word = "SELECT user_id FROM name_words WHERE word >= ? AND word < ?"
        also = "".join(
            " AND EXISTS (SELECT 1 FROM name_words AS also WHERE also.user_id = name_words.user_id"
            " AND also.word >= ? AND also.word < ?)"
            for _ in rest
        )
        values = [value for each in (first, *rest) for value in (each, after_prefix(each))]
        rows = await self._rows(
            f"SELECT {_USER}, coalesce(relation, 'none') FROM"
            f" ({word}{also} UNION SELECT id FROM users WHERE email_key = ?) AS found"
            " CROSS JOIN users ON users.id = found.user_id"
            " LEFT JOIN friendships ON friendships.user_id = ? AND other_id = users.id"
            " WHERE users.id <> ?"
            " AND NOT EXISTS (SELECT 1 FROM blocks WHERE by_id = users.id AND blocks.user_id = ?)"
            " AND NOT EXISTS (SELECT 1 FROM blocks WHERE by_id = ? AND blocks.user_id = users.id)"
            " ORDER BY name_key, users.id LIMIT ?",
            (*values, email_key(query), viewer, viewer, viewer, viewer, limit),
        )
        return [(User(*row[:4]), row[4]) for row in rows]

    # friends

    async def friends(self, user_id: str) -> Friends:
        def work(db: sqlite3.Connection) -> Friends:
            lists: dict[str, list[Any]] = {"friend": [], "incoming": [], "outgoing": []}
            for row in db.execute(
                f"SELECT {_USER}, relation, last_seen FROM friendships"
                " CROSS JOIN users ON users.id = other_id WHERE user_id = ?"
                " ORDER BY name_key, users.id",
                (user_id,),
            ):
                user, relation = User(*row[:4]), row[4]
                lists[relation].append((user, row[5]) if relation == "friend" else user)
            return Friends(
                lists["friend"],
                lists["incoming"],
                lists["outgoing"],
                sqlite_find.last_seq(db),
            )

        return await self._db.read(work)

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int]:
        return await self._db.read(
            lambda db: (
                sqlite_find.friends_since(db, user_id),
                sqlite_find.last_seq(db),
            )
        )

    async def relation(self, viewer: str, other: str) -> str:
        row = await self._row(
            "SELECT relation FROM friendships WHERE user_id = ? AND other_id = ?",
            (viewer, other),
        )
        return "none" if row is None else str(row[0])

    async def blocks(self, user_id: str) -> list[User]:
        rows = await self._rows(
            f"SELECT {_USER} FROM blocks CROSS JOIN users ON users.id = user_id WHERE by_id = ?"
            " ORDER BY name_key, users.id",
            (user_id,),
        )
        return [User(*row) for row in rows]

    async def blocked(self, by: str, user_id: str) -> bool:
        row = await self._row("SELECT 1 FROM blocks WHERE by_id = ? AND user_id = ?", (by, user_id))
        return row is not None

    async def set_block(self, by: str, user_id: str, blocked: bool) -> None:
        if blocked:
            await self._write("INSERT OR IGNORE INTO blocks VALUES (?, ?)", [(by, user_id)])
        else:
            await self._write("DELETE FROM blocks WHERE by_id = ? AND user_id = ?", [(by, user_id)])

    # logins and tokens

    async def add_login(self, login: Login) -> None:
        # Not for an account that has gone meanwhile: nothing would ever remove that login again.
        await self._write(
            "INSERT INTO logins SELECT ?, id, ?, ?, ?, ?, ?, ? FROM users WHERE id = ?",
            [
                (
                    login.id,
                    login.kind,
                    login.label,
                    login.secret_hash,
                    login.created_at,
                    login.expires_at,
                    login.last_used_at,
                    login.user_id,
                )
            ],
        )

    async def login(self, login_id: str) -> Login | None:
        row = await self._row(f"{_LOGIN} id = ?", (login_id,))
        return None if row is None else Login(*row)

    async def login_by_secret(self, secret_hash: bytes) -> Login | None:
        row = await self._row(f"{_LOGIN} secret_hash = ?", (secret_hash,))
        return None if row is None else Login(*row)

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        rows = await self._rows(
            f"{_LOGIN} user_id = ? AND kind = ? ORDER BY created_at DESC, id",
            (user_id, kind),
        )
        return [Login(*row) for row in rows]

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        await self._write(
            "UPDATE logins SET last_used_at = max(last_used_at, ?) WHERE id = ?",
            [(at, login_id) for login_id, at in used.items()],
        )

    async def end_logins(self, login_ids: Iterable[str]) -> None:
        await self._write("DELETE FROM logins WHERE id = ?", [(each,) for each in login_ids])

    async def drop_expired_logins(self, now_ms: int) -> None:
        await self._write("DELETE FROM logins WHERE expires_at <= ?", [(now_ms,)])

    # the history

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        return await self._db.read(lambda db: sqlite_events.find_message(db, sender, client_id))

    async def history(
        self,
        viewer: str,
        peer: str | None,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> Page:
        return await self._db.read(
            lambda db: sqlite_find.history(db, viewer, peer, before, after, limit)
        )

    async def read_state(self, user_id: str) -> ReadState:
        return await self._db.read(lambda db: sqlite_find.read_state(db, user_id))

    # statements

    async def _row(self, statement: str, values: Sequence[Any]) -> Any:
        return await self._db.read(lambda db: db.execute(statement, values).fetchone())

    async def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return await self._db.read(lambda db: db.execute(statement, values).fetchall())

    async def _write(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        if values:
            await self._db.write(lambda db: db.executemany(statement, values) and None)


class SqliteLog:
    """The `EventLog` of a `SqliteStore`; usable while that is started."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def last_seq(self) -> int:
        return await self._db.read(sqlite_find.last_seq)

    async def write(self, batch: Sequence[Entry]) -> Sequence[Appended | None]:
        return await self._db.write(lambda db: sqlite_events.write_batch(db, batch))

    async def probe(self) -> None:
        await self._db.write(sqlite_events.touch)

    async def visible(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        return await self._db.read(lambda db: sqlite_find.visible(db, view, after, up_to, limit))

    async def count_visible(self, view: View, after: int, up_to: int, cap: int) -> int:
        return await self._db.read(
            lambda db: sqlite_find.count_visible(db, view, after, up_to, cap)
        )

    async def dropped_seq(self) -> int:
        return await self._db.read(sqlite_find.dropped_seq)

    async def drop_passing(self, before_ms: int, limit: int) -> int:
        return await self._db.write(lambda db: sqlite_events.drop_passing(db, before_ms, limit))
