"""The kinds of events."""

from __future__ import annotations

import json

from chatserver.core.events import Event


def friend_named(event: Event) -> str | None:
    """Whom a friend event names, unless it tells of an end; None for all other events.

    When the account that it names goes, the event goes; but news of an end has yet to be heard by a
    former friend who was away.
    """
    if event.type != "friend":
        return None
    told = json.loads(event.payload)
    if told.get("relation") == "none":
        return None
    user = told.get("user")
    return str(user["id"]) if isinstance(user, dict) and "id" in user else None
