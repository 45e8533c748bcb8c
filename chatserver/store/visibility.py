"""Who may see a stored event, and whom it names: rules that all stores share.

Pure. The rule of `shows` is the hub's too; a store that answers by index must agree with it.
"""

from __future__ import annotations

import json

from chatserver.core.events import Audience, Event
from chatserver.journal.base import View


def shows(view: View, seq: int, audience: int, actor: str, to: str | None) -> bool:
    """Whether `view` shows the event at `seq`.

    Own events always; a friend's from the beginning of the friendship on, where they are for all
    friends, or for this user.
    """
    if actor == view.user_id:
        return True
    if audience == Audience.SELF or (audience == Audience.PAIR and to != view.user_id):
        return False
    since = view.friends.get(actor)
    return since is not None and seq > since


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
