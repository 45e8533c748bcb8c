"""Accounts, logins and events as documents of MongoDB, and back; and the keys that documents have. Pure.

Every unique rule is one string field (`_id` where it can be).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chatserver.core.changes import change_of, record_of
from chatserver.core.events import Audience, Event
from chatserver.core.kinds import is_passing, named
from chatserver.core.names import email_key, name_key
from chatserver.core.people import Account, Login, User
from chatserver.journal.eventlog import Entry
from chatserver.store.mongo.ranges import Doc, compound, range_fields

USER = dict.fromkeys(("first_name", "last_name", "color", "name_key"), 1)
"""The fields of a user that everybody may see, and what orders them."""
TTL_MS = 8 * 86_400_000
"""MongoDB itself drops passing events after so long, should the hourly job not have run. A day more than
the journal keeps them, for clocks that differ."""


STANDS: dict[str, Any] = {"lifted": {"$ne": True}}
"""Of blocks: one that was not lifted."""


def pair(one: str, other: str) -> str:
    """The key of what two users have in common, whichever comes first."""
    return compound(*sorted((one, other)))


def client_key(actor: str, client_id: str | None, seq: int) -> str:
    """What makes an append idempotent; where it is not, something unique all the same.

    A unique index of MongoDB takes a missing field for a value of its own, so every event has a key.
    """
    return f"seq:{seq}" if client_id is None else f"client:{compound(actor, client_id)}"


def user_document(account: Account, last_seen: int) -> dict[str, Any]:
    """An account; `seq` is that of its last change of profile."""
    user = account.user
    return {
        "_id": user.id,
        "email": account.email,
        "email_key": email_key(account.email),
        "password": account.password,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "name_key": name_key(user.first_name, user.last_name),
        "color": user.color,
        "created_at": account.created_at,
        "last_seen": last_seen,
        "generation": account.generation,
        "zone": account.zone,
        "seq": 0,
    }


def user_of(doc: Mapping[str, Any]) -> User:
    """The user in a document with the fields `USER`."""
    return User(doc["_id"], doc["first_name"], doc["last_name"], doc["color"])


def name_order(doc: Mapping[str, Any]) -> tuple[str, str]:
    """What people are ordered by."""
    return doc["name_key"], doc["_id"]


def login_document(login: Login) -> dict[str, Any]:
    return {
        "_id": login.id,
        "user": login.user_id,
        "kind": login.kind,
        "label": login.label,
        "secret": secret_key(login.secret_hash, login.id),
        "created_at": login.created_at,
        "expires_at": login.expires_at,
        "last_used_at": login.last_used_at,
        "generation": login.generation,
    }


def secret_key(secret_hash: bytes | None, login_id: str) -> str:
    """The unique key of a login; as text, since not every server compares binary values."""
    return f"login:{login_id}" if secret_hash is None else f"hash:{secret_hash.hex()}"


def login_of(doc: Mapping[str, Any]) -> Login:
    kind, _, value = doc["secret"].partition(":")
    return Login(
        doc["_id"],
        doc["user"],
        doc["kind"],
        doc["label"],
        bytes.fromhex(value) if kind == "hash" else None,
        int(doc["created_at"]),
        doc["expires_at"],
        int(doc["last_used_at"]),
        generation_of(doc),
    )


def account_of(doc: Mapping[str, Any]) -> Account:
    return Account(
        user_of(doc),
        doc["email"],
        doc["password"],
        int(doc["created_at"]),
        generation_of(doc),
        doc.get("zone", ""),
    )


def generation_of(doc: Mapping[str, Any]) -> int:
    """The generation of an account or a login; there was none in documents of version 1."""
    return int(doc.get("generation", 0))


def event_document(event: Event, client_id: str | None) -> dict[str, Any]:
    """An event as it is kept."""
    doc: dict[str, Any] = {
        "_id": event.seq,
        "type": event.type,
        "audience": event.audience.value,
        "actor": event.actor,
        "to": event.to,
        "at": event.at_ms,
        "payload": event.payload,
        "client_id": client_id,
        "key": client_key(event.actor, client_id, event.seq),
        **range_fields(event),
    }
    if (about := named(event)) is not None:
        doc["about"] = about
    if is_passing(event.type):
        doc["passing"] = event.at_ms
        expires_ms = max(event.at_ms, event.seq // 1000) + TTL_MS
        doc["expires"] = datetime.fromtimestamp(expires_ms / 1000, UTC)
    return doc


def event_of(doc: Mapping[str, Any]) -> Event:
    """The event in a document."""
    return Event(
        int(doc["seq"]),
        int(doc["at"]),
        doc["type"],
        Audience(doc["audience"]),
        doc["actor"],
        doc["to"],
        bytes(doc["payload"]),
    )


def note_of(entry: Entry) -> Doc:
    """An entry as it stands in the note of a batch; `entry_of` reads it."""
    events = [
        {
            "seq": event.seq,
            "at": event.at_ms,
            "type": event.type,
            "audience": event.audience.value,
            "actor": event.actor,
            "to": event.to,
            "payload": event.payload,
            "change": record_of(event.change),
        }
        for event in entry.events
    ]
    return {"client_id": entry.client_id, "events": events}


def entry_of(note: Mapping[str, Any]) -> Entry:
    """The entry that `note_of` noted."""
    events = []
    for kept in note["events"]:
        events.append(
            Event(
                kept["seq"],
                kept["at"],
                kept["type"],
                Audience(kept["audience"]),
                kept["actor"],
                kept["to"],
                bytes(kept["payload"]),
                change_of(kept["change"]),
            )
        )
    return Entry(tuple(events), note["client_id"])
