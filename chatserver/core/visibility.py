"""Who may see an event: the one rule, which hub, mailbox, replay and history ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chatserver.core.events import Audience

SEEN = tuple(audience for audience in Audience if audience is not Audience.NOBODY)
"""The audiences in which whoever caused an event sees it."""


_SELF, _PAIR, _NOBODY = Audience.SELF, Audience.PAIR, Audience.NOBODY
"""By names of the module: an attribute of an enumeration takes 0.1 µs, and each event that is walked past asked for three."""


class Viewer(Protocol):
    """Who looks, with their friends, each with the seq at which the friendship began."""

    @property
    def user_id(self) -> str: ...

    @property
    def friends(self) -> Mapping[str, int]: ...


@dataclass(frozen=True, slots=True)
class View:
    """What one user may see, as of one place in the order (the mailbox's)."""

    user_id: str
    friends: Mapping[str, int]


def shows(viewer: Viewer, seq: int, audience: int, actor: str, to: str | None) -> bool:
    """Whether `viewer` may see the event at `seq`.

    Own events always; a friend's from the beginning of the friendship on, where they are for all
    friends, or for this user. Notices never.
    """
    if audience == _NOBODY:
        return False
    if actor == viewer.user_id:
        return True
    if audience == _SELF or (audience == _PAIR and to != viewer.user_id):
        return False
    since = viewer.friends.get(actor)
    return since is not None and seq > since
