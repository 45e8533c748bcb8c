"""Everything out of a SQLite store, and into one: the `Archive` for `chatserver.store.archive`."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence

from chatserver.core.events import Audience, Event
from chatserver.core.people import Account, User
from chatserver.store.archive import FIELDS, KINDS, Record
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite.alerts import SUBSCRIPTION
from chatserver.store.sqlite.changes import ADD_FRIENDSHIP, write_name
from chatserver.store.sqlite.database import SqlitePart
from chatserver.store.sqlite.eventlog import dropped_seq, last_seq
from chatserver.store.sqlite.shapes import LOGIN, account_row, event_row
from chatserver.store.sqlite.unread import recount_all

CHUNK = 1000
_INVERSE = {"friend": "friend", "incoming": "outgoing", "outgoing": "incoming"}

# Columns in the order of FIELDS, the table, and the columns of a unique key to read on by.
_SOURCES = {
    "users": (
        "id, email, password, first_name, last_name, color, created_at, last_seen, generation, zone",
        "users",
        "id",
    ),
    "friendships": ("user_id, other_id, relation, since", "friendships", "user_id, other_id"),
    "blocks": ("by_id, user_id", "blocks", "by_id, user_id"),
    "logins": (LOGIN, "logins", "id"),
    "subscriptions": (SUBSCRIPTION, "subscriptions", "endpoint"),
    "wishes": ("user_id, wishes", "wishes", "user_id"),
    "reads": ("user_id, peer, up_to", "reads", "user_id, peer"),
    "events": ("seq, type, audience, actor, peer, at, payload, client_id", "events", "seq"),
}
_ONCE = {"friendships": " AND user_id < other_id"}
"""Both directions of a friendship are kept; a record is one of them."""


class SqliteArchive(SqlitePart):
    """The `Archive` of a `SqliteStore`; usable while that is started."""

    async def count(self, kind: str) -> int:
        table, once = _SOURCES[kind][1], _ONCE.get(kind, "")
        return await self._db.read(
            lambda db: int(
                db.execute(f"SELECT count(*) FROM {table} WHERE true{once}").fetchone()[0]
            )
        )

    async def records(self, kind: str, after_seq: int) -> AsyncIterator[list[Record]]:
        columns, table, key = _SOURCES[kind]
        width = key.count(",") + 1
        first = [after_seq] if kind == "events" else [""] * width
        statement = (
            f"SELECT {columns}, {key} FROM {table} WHERE ({key}) > ({', '.join('?' * width)})"
            f"{_ONCE.get(kind, '')} ORDER BY {key} LIMIT {CHUNK}"
        )
        after: Sequence[str | int] = first
        while True:
            values = after

            def work(db: sqlite3.Connection) -> list[tuple[str | int | bytes | None, ...]]:
                return db.execute(statement, values).fetchall()  # noqa: B023

            rows = await self._db.read(work)
            if rows:
                yield [dict(zip(FIELDS[kind], row, strict=False)) for row in rows]
            if len(rows) < CHUNK:
                return
            after = [part for part in rows[-1][-width:] if isinstance(part, str | int)]

    async def is_unfinished(self) -> bool:
        return bool(await self._db.read(_notes))

    async def begin(self) -> dict[str, int]:
        def work(db: sqlite3.Connection) -> dict[str, int]:
            notes = _notes(db)
            if not notes:
                for kind in KINDS:
                    if db.execute(f"SELECT 1 FROM {_SOURCES[kind][1]} LIMIT 1").fetchone():
                        raise StoreRefused(
                            "The target holds data already: name a new one to migrate to."
                        )
                _note(db, "begun", 1)
            return notes

        return await self._db.write(work)

    async def add(self, kind: str, records: Sequence[Record]) -> None:
        def work(db: sqlite3.Connection) -> None:
            for record in records:
                _ADD[kind](db, record)
            if kind == "events" and records:
                _note(db, kind, _integer(records[-1], "seq"))

        await self._db.write(work)

    async def note(self, kind: str, value: int) -> None:
        await self._db.write(lambda db: _note(db, kind, value))

    async def places(self) -> tuple[int, int]:
        return await self._db.read(lambda db: (last_seq(db), dropped_seq(db)))

    async def finish(self, last_seq: int, dropped_seq: int) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE meta SET value = ? WHERE key = 'last_seq'", (last_seq,))
            db.execute("UPDATE meta SET value = ? WHERE key = 'dropped_seq'", (dropped_seq,))
            recount_all(db)
            db.execute("DELETE FROM meta WHERE key LIKE 'migrated %'")

        await self._db.write(work)


def _notes(db: sqlite3.Connection) -> dict[str, int]:
    rows = db.execute("SELECT key, value FROM meta WHERE key LIKE 'migrated %'")
    return {key.removeprefix("migrated "): value for key, value in rows}


def _note(db: sqlite3.Connection, kind: str, value: int) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"migrated {kind}", value))


def _add_user(db: sqlite3.Connection, record: Record) -> None:
    id_, first, last = (str(record[name]) for name in ("id", "first_name", "last_name"))
    account = Account(
        User(id_, first, last, str(record["color"])),
        str(record["email"]),
        str(record["password"]),
        _integer(record, "created_at"),
        _integer(record, "generation"),
        str(record["zone"]),
    )
    db.execute(
        "INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        account_row(account, _integer(record, "last_seen")),
    )
    write_name(db, id_, first, last)


def _add_friendship(db: sqlite3.Connection, record: Record) -> None:
    one, other, relation, since = (record[name] for name in FIELDS["friendships"])
    db.executemany(
        f"{ADD_FRIENDSHIP} ON CONFLICT DO NOTHING",
        [(one, other, relation, since), (other, one, _INVERSE[str(relation)], since)],
    )


def _add_block(db: sqlite3.Connection, record: Record) -> None:
    db.execute("INSERT OR IGNORE INTO blocks VALUES (:by, :user)", record)


def _add_login(db: sqlite3.Connection, record: Record) -> None:
    values = ", ".join(f":{name}" for name in FIELDS["logins"])
    db.execute(f"INSERT OR IGNORE INTO logins VALUES ({values})", record)


def _add_subscription(db: sqlite3.Connection, record: Record) -> None:
    values = ", ".join(f":{name}" for name in FIELDS["subscriptions"])
    db.execute(f"INSERT OR IGNORE INTO subscriptions ({SUBSCRIPTION}) VALUES ({values})", record)


def _add_wishes(db: sqlite3.Connection, record: Record) -> None:
    db.execute("INSERT OR IGNORE INTO wishes VALUES (:user, :wishes)", record)


def _add_read(db: sqlite3.Connection, record: Record) -> None:
    db.execute("INSERT OR IGNORE INTO reads VALUES (:user, :peer, :up_to)", record)


def _add_event(db: sqlite3.Connection, record: Record) -> None:
    to, client_id, payload = record["to"], record["client_id"], record["payload"]
    assert isinstance(payload, bytes), "events are kept as bytes"
    event = Event(
        _integer(record, "seq"),
        _integer(record, "at"),
        str(record["type"]),
        Audience(_integer(record, "audience")),
        str(record["actor"]),
        None if to is None else str(to),
        payload,
    )
    db.execute(
        "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        event_row(event, None if client_id is None else str(client_id)),
    )


def _integer(record: Record, name: str) -> int:
    return int(record[name] or 0)


_ADD = {
    "users": _add_user,
    "friendships": _add_friendship,
    "blocks": _add_block,
    "logins": _add_login,
    "subscriptions": _add_subscription,
    "wishes": _add_wishes,
    "reads": _add_read,
    "events": _add_event,
}
