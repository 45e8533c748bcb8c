"""Who may see a stored event: the one rule behind every replay, for stores that filter row by row.

Pure, and the same rule as the hub's: a store that answers by index must agree with `shows`.
"""

from __future__ import annotations

from chatserver.core.events import Audience
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
