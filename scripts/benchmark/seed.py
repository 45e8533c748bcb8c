"""A data folder full of people, for this project's server.

Accounts, friendships, bearer tokens and messages are written straight into the database, with the
schema, the hashes and the encoding of the server's own modules: over HTTP each account would cost
an Argon2 hash.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from chatserver.core.events import Audience, Draft, encode_event
from chatserver.core.names import email_key, name_key, words
from chatserver.store.sqlite.opening import FILE
from chatserver.store.sqlite.schema import MIGRATIONS, migrate
from chatserver.verbs.keys import hash_password, token_hash

from .crowd import Crowd, pairs_both_ways

PASSWORD = "correct horse battery"
COLOR = "#225588"
FIRST_SEQ = 1_700_000_000_000_000
"""Microseconds since 1970, as the server's own; long ago, so what it writes comes after."""


def user_id(user: int) -> str:
    """Id of user number `user`."""
    return f"u{user:07d}"


def email(user: int) -> str:
    """Email of user number `user`."""
    return f"user{user}@example.org"


def token(user: int) -> str:
    """Bearer token of user number `user`."""
    return f"bench-{user:07d}-0123456789abcdef0123456789abcdef"


def name(user: int) -> tuple[str, str]:
    """First and last name, of the same length for all."""
    return "Ann", f"Smith{user:07d}"


def fill(
    folder: Path,
    crowd: Crowd,
    messages: int = 0,
    senders: int = 1000,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> None:
    """Makes the database in `folder`, with `messages` broadcasts by the first `senders` of the crowd.

    `migrations` are the steps of the schema to be taken, for versions that know no more.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db, migrations)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        _people(db, crowd.users)
        db.executemany(
            "INSERT INTO friendships (user_id, other_id, relation, since)"
            " VALUES (?, ?, 'friend', ?)",
            sorted(
                (user_id(one), user_id(other), FIRST_SEQ) for one, other in pairs_both_ways(crowd)
            ),
        )
        db.executemany(
            "INSERT INTO events (seq, type, audience, actor, peer, at, payload, client_id)"
            " VALUES (?, ?, ?, ?, NULL, ?, ?, ?)",
            _messages(messages, min(crowd.users, senders)),
        )
        db.execute("UPDATE meta SET value = ? WHERE key = 'last_seq'", (FIRST_SEQ + messages,))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _people(db: sqlite3.Connection, users: int) -> None:
    password, now_ms = hash_password(PASSWORD), int(time.time() * 1000)
    named = [(user, *name(user)) for user in range(users)]
    db.executemany(
        "INSERT INTO users"
        " (id, email, email_key, password, first_name, last_name, name_key, color, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (user_id(user), email(user), email_key(email(user)), password, first, last,
             name_key(first, last), COLOR, now_ms)
            for user, first, last in named
        ),
    )  # fmt: skip
    db.executemany(
        "INSERT INTO name_words (word, user_id) VALUES (?, ?)",
        ((word, user_id(user)) for user, first, last in named for word in words(f"{first} {last}")),
    )
    db.executemany(
        "INSERT INTO logins"
        " (id, user_id, kind, label, secret_hash, created_at, expires_at, last_used_at)"
        " VALUES (?, ?, 'token', 'benchmark', ?, ?, NULL, ?)",
        (
            (f"t{user:07d}", user_id(user), token_hash(token(user)), now_ms, now_ms)
            for user in range(users)
        ),
    )


def _messages(count: int, senders: int) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        sender = user_id(number % senders)
        first, last = name(number % senders)
        author = {"id": sender, "name": f"{first} {last}", "color": COLOR}
        client_id = f"seed-{number}"
        fields = {
            "from": author,
            "to": None,
            "text": f"Message number {number}",
            "clientId": client_id,
        }
        draft = Draft("message", Audience.FRIENDS, sender, None, fields, client_id)
        event = encode_event(draft, FIRST_SEQ + number + 1, 1_700_000_000_000 + number)
        yield (
            event.seq,
            event.type,
            int(event.audience),
            sender,
            event.at_ms,
            event.payload,
            client_id,
        )
