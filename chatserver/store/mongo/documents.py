"""Accounts, logins and events as documents of MongoDB, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chatserver.core.events import Event
from chatserver.core.kinds import friend_named
from chatserver.core.names import email_key, name_key
from chatserver.core.people import Account, Login
from chatserver.store.mongo.keys import client_key, lane_fields

TTL_MS = 8 * 86_400_000
"""MongoDB itself drops passing events after so long, should the hourly job not have run. A day more than
the journal keeps them, for clocks that differ."""


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
        "seq": 0,
    }


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
    )


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
        **lane_fields(event),
    }
    if (about := friend_named(event)) is not None:
        doc["about"] = about
    if event.type != "message":
        doc["passing"] = event.at_ms
        expires_ms = max(event.at_ms, event.seq // 1000) + TTL_MS
        doc["expires"] = datetime.fromtimestamp(expires_ms / 1000, UTC)
    return doc
