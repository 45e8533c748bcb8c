"""What an event changes in the SQLite store, in the transaction that writes the event."""

from __future__ import annotations

import sqlite3

from chatserver.core.changes import (
    AccountEnd,
    BlockChange,
    Change,
    FriendChange,
    LoginsEnd,
    PasswordChange,
    ProfileChange,
    ReadChange,
)
from chatserver.core.names import name_key, name_words
from chatserver.store.archive import conversation_key
from chatserver.store.sqlite.unread import recount

_UNBLOCK = "DELETE FROM blocks WHERE by_id = ? AND user_id = ?"
ADD_FRIENDSHIP = "INSERT INTO friendships (user_id, other_id, relation, since) VALUES (?, ?, ?, ?)"


def apply_change(db: sqlite3.Connection, change: Change, seq: int, first_seq: int) -> None:
    """Do what the event at `seq` says; `first_seq` is where its append began."""
    match change:
        case FriendChange():
            _friend(db, change, seq)
        case BlockChange():
            statement = "INSERT OR IGNORE INTO blocks VALUES (?, ?)" if change.blocked else _UNBLOCK
            db.execute(statement, (change.user_id, change.other))
        case ProfileChange():
            _profile(db, change)
        case ReadChange():
            db.execute(
                "INSERT INTO reads VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET up_to = max(up_to, excluded.up_to)",
                (change.user_id, conversation_key(change.conversation), change.up_to),
            )
            recount(db, change.user_id, change.conversation, seq)
        case LoginsEnd():
            ended = [(each, change.user_id) for each in change.login_ids]
            db.executemany("DELETE FROM logins WHERE id = ? AND user_id = ?", ended)
            db.executemany("DELETE FROM subscriptions WHERE login_id = ? AND user_id = ?", ended)
        case PasswordChange():
            _password(db, change, seq)
        case AccountEnd():
            _end(db, change.user_id, first_seq)


def write_name(db: sqlite3.Connection, user_id: str, first_name: str, last_name: str) -> None:
    """Make a user findable by the words of this name, and by no others."""
    db.execute("DELETE FROM name_words WHERE user_id = ?", (user_id,))
    db.executemany(
        "INSERT INTO name_words VALUES (?, ?)",
        [(word, user_id) for word in name_words(first_name, last_name)],
    )


def _friend(db: sqlite3.Connection, change: FriendChange, seq: int) -> None:
    asker, other = change.asker, change.other
    if change.relation == "none":
        db.execute(
            "DELETE FROM friendships WHERE (user_id = ? AND other_id = ?)"
            " OR (user_id = ? AND other_id = ?)",
            (asker, other, other, asker),
        )
    elif change.relation == "asked":
        # Needs none before; a conflict means that there is something already, which then stays.
        db.executemany(
            f"{ADD_FRIENDSHIP} ON CONFLICT DO NOTHING",
            [(asker, other, "outgoing", seq), (other, asker, "incoming", seq)],
        )
    elif change.relation == "friend":
        db.executemany(
            f"{ADD_FRIENDSHIP} ON CONFLICT DO UPDATE"
            " SET relation = 'friend', since = excluded.since"
            " WHERE relation <> 'friend'",
            [(asker, other, "friend", seq), (other, asker, "friend", seq)],
        )
    else:
        raise ValueError(f"A friendship cannot become {change.relation!r}.")
    if change.block:
        db.execute("INSERT OR IGNORE INTO blocks VALUES (?, ?)", (asker, other))


def _profile(db: sqlite3.Connection, change: ProfileChange) -> None:
    first, last = change.first_name, change.last_name
    updated = db.execute(
        "UPDATE users SET first_name = ?, last_name = ?, name_key = ?, color = ? WHERE id = ?",
        (first, last, name_key(first, last), change.color, change.user_id),
    )
    if updated.rowcount:
        write_name(db, change.user_id, first, last)


def _password(db: sqlite3.Connection, change: PasswordChange, seq: int) -> None:
    user_id, kept = change.user_id, change.kept
    db.execute(
        "UPDATE users SET password = ?, generation = ? WHERE id = ?",
        (change.password, seq, user_id),
    )
    db.execute(
        "UPDATE logins SET generation = ? WHERE id = ? AND user_id = ?", (seq, kept, user_id)
    )
    # IS NOT holds for all of them where `kept` is NULL.
    db.execute("DELETE FROM logins WHERE user_id = ? AND id IS NOT ?", (user_id, kept))
    db.execute("DELETE FROM subscriptions WHERE user_id = ? AND login_id IS NOT ?", (user_id, kept))


_END = (
    "DELETE FROM users WHERE id = :user",
    "DELETE FROM name_words WHERE user_id = :user",
    "DELETE FROM logins WHERE user_id = :user",
    "DELETE FROM subscriptions WHERE user_id = :user",
    "DELETE FROM wishes WHERE user_id = :user",
    """DELETE FROM friendships WHERE (user_id, other_id) IN
        (SELECT other_id, user_id FROM friendships WHERE user_id = :user)""",
    "DELETE FROM friendships WHERE user_id = :user",
    "DELETE FROM blocks WHERE by_id = :user",
    "DELETE FROM blocks WHERE user_id = :user",
    "DELETE FROM reads WHERE user_id = :user",
    "DELETE FROM reads WHERE peer = :user",
    # What it wrote and received goes; so do friend events that name it, except news of an end, which
    # a former friend who was away has yet to hear. Those go by age.
    "DELETE FROM events WHERE actor = :user AND seq < :first",
    "DELETE FROM events WHERE about = :user AND seq < :first",
)


def _end(db: sqlite3.Connection, user_id: str, first_seq: int) -> None:
    for statement in _END:
        db.execute(statement, {"user": user_id, "first": first_seq})
