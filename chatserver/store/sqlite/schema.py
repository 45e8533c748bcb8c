"""The tables of the SQLite store and how one version of them becomes the next.

`MIGRATIONS[n]` leads from version n to n + 1; `PRAGMA user_version` says where a file stands. What was
released is never edited: a change is one more entry.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from chatserver.core.names import given_names
from chatserver.store.contract import StoreRefused

APPLICATION_ID = 0x63684174
"""Marks a file as ours (SQLite, `PRAGMA application_id`): "chAt"."""

OLDEST_SQLITE = (3, 38, 0)
"""The first with STRICT tables (3.37) and JSON always built in."""

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO meta VALUES ('last_seq', 0), ('dropped_seq', 0)",
    """CREATE TABLE users (
        id TEXT PRIMARY KEY, email TEXT NOT NULL, email_key TEXT NOT NULL UNIQUE,
        password TEXT NOT NULL, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
        name_key TEXT NOT NULL, color TEXT NOT NULL,
        created_at INTEGER NOT NULL, last_seen INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    # One row for each word of a name: a search for the beginning of a word is a range of this index.
    """CREATE TABLE name_words (
        word TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (word, user_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX name_words_by_user ON name_words (user_id)",
    # Both directions of a pair are rows of their own, so that "my friends" is one range.
    """CREATE TABLE friendships (
        user_id TEXT NOT NULL, other_id TEXT NOT NULL, relation TEXT NOT NULL, since INTEGER NOT NULL,
        PRIMARY KEY (user_id, other_id)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE blocks (
        by_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (by_id, user_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX blocks_by_user ON blocks (user_id)",
    """CREATE TABLE logins (
        id TEXT PRIMARY KEY, user_id TEXT NOT NULL, kind TEXT NOT NULL, label TEXT NOT NULL,
        secret_hash BLOB UNIQUE, created_at INTEGER NOT NULL, expires_at INTEGER,
        last_used_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX logins_by_user ON logins (user_id, kind, created_at)",
    "CREATE INDEX logins_by_expiry ON logins (expires_at) WHERE expires_at IS NOT NULL",
    # `peer` is '' for the broadcasts: a primary key holds no NULL.
    """CREATE TABLE reads (
        user_id TEXT NOT NULL, peer TEXT NOT NULL, up_to INTEGER NOT NULL,
        PRIMARY KEY (user_id, peer)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX reads_by_peer ON reads (peer, user_id)",
    # `about` is whom a friend event names, unless it tells of an end: those stay when an account goes.
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY, type TEXT NOT NULL, audience INTEGER NOT NULL, actor TEXT NOT NULL,
        peer TEXT, at INTEGER NOT NULL, payload BLOB NOT NULL, client_id TEXT, about TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX events_by_client ON events (actor, client_id)
        WHERE client_id IS NOT NULL""",
    # `type` at the end lets a page of messages pass over other events without reading their rows.
    "CREATE INDEX events_by_actor ON events (actor, audience, seq, type)",
    "CREATE INDEX events_by_pair ON events (peer, actor, seq, type) WHERE audience = 1",
    "CREATE INDEX events_passing ON events (at) WHERE type <> 'message'",
    "CREATE INDEX events_about ON events (about) WHERE about IS NOT NULL",
)

# The seq of an account's last change of password, and of which generation a login is: see `core.people`.
_GENERATIONS = (
    "ALTER TABLE users ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE logins ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
)

# How many messages of the other are unread, counted to 1,000: see `unread`.
_UNREAD = (
    "ALTER TABLE friendships ADD COLUMN unread INTEGER NOT NULL DEFAULT 0",
    """UPDATE friendships SET unread =
        (SELECT count(*) FROM (SELECT 1 FROM events WHERE peer = friendships.user_id
            AND actor = friendships.other_id AND audience = 1 AND type = 'message'
            AND seq > max(friendships.since, coalesce((SELECT up_to FROM reads
                WHERE reads.user_id = friendships.user_id
                AND reads.peer = friendships.other_id), 0)) LIMIT 1000))
        WHERE relation = 'friend'""",
    # The oldest requests without sorting all of them: others make that list.
    "CREATE INDEX friendships_asked ON friendships (user_id, since) WHERE relation = 'incoming'",
)

# The newest message of a conversation is one seek for each direction, however often the other has told a read position.
_LAST_MESSAGES = (
    """CREATE INDEX events_talk ON events (peer, actor, seq)
        WHERE audience = 1 AND type = 'message'""",
)

# Where somebody may be called, each of one login; and what an account says of it, as JSON.
_ALERTS = (
    """CREATE TABLE subscriptions (
        endpoint TEXT PRIMARY KEY, user_id TEXT NOT NULL, login_id TEXT NOT NULL,
        p256dh TEXT NOT NULL, auth TEXT NOT NULL, created_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX subscriptions_by_user ON subscriptions (user_id)",
    "CREATE INDEX subscriptions_by_login ON subscriptions (login_id)",
    "CREATE TABLE wishes (user_id TEXT PRIMARY KEY, wishes TEXT NOT NULL) STRICT",
)

# The time zone that somebody has chosen for the pages without script.
_ZONES = ("ALTER TABLE users ADD COLUMN zone TEXT NOT NULL DEFAULT ''",)

# Accounts that ended where a stream is the order: what stands there behind their end is not kept.
_ENDED = (
    "CREATE TABLE ended (user_id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

# Whoever gave a full name in Han or Hangul as one is found by the given name in it.
_GIVEN_NAMES = (
    "INSERT OR IGNORE INTO name_words SELECT given.value, user_id"
    " FROM name_words JOIN json_each(given_names(word)) AS given WHERE word >= '\u3400'",
)

MIGRATIONS: Sequence[Sequence[str]] = (
    *(_FIRST, _GENERATIONS, _UNREAD, _LAST_MESSAGES, _ALERTS),
    *(_ZONES, _ENDED, _GIVEN_NAMES),
)


def migrate(db: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring an open file to the newest version, each step in a transaction of its own.

    Raises `StoreRefused` where the file belongs to another program or to a newer version of this one;
    it is then left as it was. Also where SQLite itself is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreRefused(
            f"SQLite {sqlite3.sqlite_version} is too old: use a Python that comes with 3.38 or later."
        )
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    in_use = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    if owner != APPLICATION_ID and (owner or version or in_use):
        raise StoreRefused("The database was made by another program: choose another data folder.")
    if version > len(migrations):
        raise StoreRefused(
            f"The database has schema version {version}, made by a newer chatserver than this one"
            f" (which knows {len(migrations)}): install that newer version."
        )
    db.create_function("given_names", 1, lambda word: json.dumps(given_names(word)))
    for number, statements in enumerate(migrations[version:], version + 1):
        _step(db, number, statements)


def _step(db: sqlite3.Connection, number: int, statements: Sequence[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        # Of several processes that start at once one does it.
        if int(db.execute("PRAGMA user_version").fetchone()[0]) >= number:
            return
        for statement in statements:
            db.execute(statement)
        # Both pragmas are part of the transaction (SQLite: they are fields of the file's header).
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
