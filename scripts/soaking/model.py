"""What one person has seen, and what they must and must not see. No sockets here.

Everybody's events come in the one order, friendships included. So whoever reads them knows at each place who is a
friend: what is seen of anybody else is forbidden. What was acknowledged in a friendship that still lasts must have
come. What a former friend wrote may have come or not, since it is taken out of what waits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was acknowledged."""

    seq: int
    author: str
    to: str | None


@dataclass
class Seen:
    """The events of one person, folded as they come."""

    user_id: str
    start_seq: int
    cursor: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """`received`, `doubled`, `disordered`, `forbidden`, `resets`."""
    remarks: list[str] = field(default_factory=list)
    """What was wrong, in words."""
    _friends: dict[str, int] = field(default_factory=dict)
    _got: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cursor = self.start_seq

    def take(self, event: dict[str, Any]) -> None:
        """The next event that came."""
        seq = event["seq"]
        if event["type"] == "reset":
            self._wrong("resets", event)
            self.cursor = seq
            return
        if seq <= self.cursor:
            self._wrong("doubled" if seq in self._got else "disordered", event)
            return
        self.cursor = seq
        self._got.add(seq)
        self.counts["received"] += 1
        if event["type"] == "friend":
            self._change_friends(event, seq)
        elif not self._may_see(event):
            self._wrong("forbidden", event)

    def _change_friends(self, event: dict[str, Any], seq: int) -> None:
        if event["relation"] == "friend":
            self._friends.setdefault(event["user"]["id"], seq)
        else:
            self._friends.pop(event["user"]["id"], None)

    def _may_see(self, event: dict[str, Any]) -> bool:
        kind = event["type"]
        if kind == "message":
            author, to = event["from"]["id"], event["to"]
        elif kind == "read":
            author, to = event["user"], event["with"] or event["user"]
        else:
            author, to = event["user"]["id"], None
        if author == self.user_id:
            return True
        return author in self._friends and to in (None, self.user_id)

    def lost(self, sent: list[Sent]) -> list[Sent]:
        """What of `sent` must have come up to the cursor, and has not."""
        return [one for one in sent if self._must_see(one) and one.seq not in self._got]

    def _must_see(self, one: Sent) -> bool:
        if not self.start_seq < one.seq <= self.cursor:
            return False
        if one.author == self.user_id:
            return True
        since = self._friends.get(one.author)
        return since is not None and one.seq > since and one.to in (None, self.user_id)

    @property
    def friends(self) -> list[str]:
        """Who is a friend, as far as this person has read."""
        return list(self._friends)

    def _wrong(self, what: str, event: dict[str, Any]) -> None:
        self.counts[what] += 1
        self.remarks.append(f"{what} at {self.user_id} (cursor {self.cursor}): {event}")
