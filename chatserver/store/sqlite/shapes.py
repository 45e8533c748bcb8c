"""Accounts, logins and events as rows of SQLite, and back; and the kinds of events as conditions. Pure."""

from __future__ import annotations

from typing import Any

from chatserver.core.events import AUDIENCES, Event
from chatserver.core.kinds import FOR_GOOD, named
from chatserver.core.names import email_key, name_key
from chatserver.core.people import Account, Login

Row = tuple[Any, ...]

USER = "users.id, first_name, last_name, color"
"""The columns of a `User`."""
ACCOUNT = f"{USER}, email, password, created_at, generation, zone"
"""Those of a `User`, and then what an `Account` has beside it."""
LOGIN = "id, user_id, kind, label, secret_hash, created_at, expires_at, last_used_at, generation"
"""The columns of a `Login`."""
EVENT = "seq, at, type, audience, actor, peer, payload"
"""What `event_of` takes; `seq` comes first."""

IN_HISTORY = f"events.type IN ({', '.join(repr(name) for name in FOR_GOOD)})"
"""The condition for events that make up the history."""
IS_PASSING = " AND ".join(f"type <> {name!r}" for name in FOR_GOOD)
"""The condition for all other events. With `type <> 'message'` in it the index `events_passing` is used."""


def account_row(account: Account, last_seen: int) -> Row:
    """An account as a row of `users`."""
    user = account.user
    return (
        user.id,
        account.email,
        email_key(account.email),
        account.password,
        user.first_name,
        user.last_name,
        name_key(user.first_name, user.last_name),
        user.color,
        account.created_at,
        last_seen,
        account.generation,
        account.zone,
    )


def login_row(login: Login) -> Row:
    """A login as a row of `logins`."""
    return (
        login.id,
        login.user_id,
        login.kind,
        login.label,
        login.secret_hash,
        login.created_at,
        login.expires_at,
        login.last_used_at,
        login.generation,
    )


EVENT_COLUMNS = ("seq", "type", "audience", "actor", "peer", "at", "payload", "client_id", "about")
"""All columns of `events`."""


def event_row(event: Event, client_id: str | None) -> Row:
    """An event as a row of `EVENT_COLUMNS`."""
    return (
        event.seq,
        event.type,
        int(event.audience),
        event.actor,
        event.to,
        event.at_ms,
        # For which `sqlite3` looks for no adapter, as it does for bytes.
        bytearray(event.payload),
        client_id,
        named(event),
    )


def event_of(row: Row) -> Event:
    """The event in a row of the columns `EVENT`."""
    seq, at_ms, type_, audience, actor, peer, payload = row
    return Event(seq, at_ms, type_, AUDIENCES[audience], actor, peer, payload)
