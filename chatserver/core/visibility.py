"""Who may see an event: the one rule, which hub, mailbox, replay and history ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chatserver.core.events import Audience


@dataclass(frozen=True, slots=True)
class View:
    """What one user may see: friends, each with the seq at which the friendship began.

    Events of a friend count from there on. The view is that of one place in the order (the mailbox's).
    """

    user_id: str
    friends: Mapping[str, int]


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
