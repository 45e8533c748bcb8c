"""Who is online on any of several nodes: this node's own users, and those that the other nodes tell of.

Each node knows its own users by the rule of `core.presence`, grace included, and tells the others who came and who went.
Everybody keeps node -> users. What a reader is told is a change of the union.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from chatserver.core.presence import Presence

_HASH_BITS = 0xFFFF_FFFF_FFFF_FFFF


def user_hash(user_id: str) -> int:
    """64 bits that are the same on every node (Python's own `hash` is another one in each process). FNV-1a."""
    value = 0xCBF2_9CE4_8422_2325
    for byte in user_id.encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * 0x100_0000_01B3) & _HASH_BITS
    return value


class Count(NamedTuple):
    """What a beat says of a node's users: how many there are, and the exclusive or of their hashes."""

    users: int
    hashed: int


def _nobody(user_id: str, online: bool) -> None:
    """Whom a node tells that knows no other."""


class _Node:
    """One other node's users."""

    __slots__ = ("hashed", "users")

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.hashed = 0

    def put(self, user_id: str, online: bool) -> bool:
        """Whether that changed anything."""
        if (user_id in self.users) == online:
            return False
        if online:
            self.users.add(user_id)
        else:
            self.users.remove(user_id)
        self.hashed ^= user_hash(user_id)
        return True


class Everywhere(Presence):
    """`Presence` over all nodes. Every time is seconds of one monotonic clock."""

    def __init__(self, grace_s: float) -> None:
        super().__init__(grace_s)
        self.announce: Callable[[str, bool], object] = _nobody
        """Called with each of this node's own users who came to it (True) or left it: for the other nodes."""
        self._own_hash = 0
        self._nodes: dict[str, _Node] = {}
        self._others: dict[str, int] = {}  # user -> on how many other nodes
        self._lost_until_s: dict[str, float] = {}  # of users whose node is gone

    # This node's own users.

    def stream_opened(self, user_id: str) -> bool:
        """Count a stream; True where this brings the user online anywhere."""
        was_here = self._is_here(user_id)
        came = super().stream_opened(user_id)
        if not was_here:
            self._say(user_id, True)
        return came

    def polled(self, user_id: str, now_s: float, hold_s: float) -> bool:
        """As `Presence.polled`; True where it brings the user online anywhere."""
        was_here = self._is_here(user_id)
        came = super().polled(user_id, now_s, hold_s)
        if not was_here:
            self._say(user_id, True)
        return came

    def expire(self, now_s: float) -> list[str]:
        """Those who are online nowhere any more: of this node's own, and of nodes that are gone."""
        own = super().expire(now_s)
        for user_id in own:
            self._say(user_id, False)
        over = [user for user, until_s in self._lost_until_s.items() if until_s <= now_s]
        for user_id in over:
            del self._lost_until_s[user_id]
        return [user_id for user_id in dict.fromkeys([*own, *over]) if not self.is_online(user_id)]

    def drop(self, user_id: str) -> bool:
        """Forget a user at once, on whichever node; each node does so by itself, at the same place in the order."""
        was = self.is_online(user_id)
        if self._is_here(user_id):
            super().drop(user_id)
            self._say(user_id, False)
        for node in self._nodes.values():
            node.put(user_id, False)
        self._others.pop(user_id, None)
        self._lost_until_s.pop(user_id, None)
        return was

    def is_online(self, user_id: str) -> bool:
        """Whether the user counts as online on any node."""
        return self._is_here(user_id) or user_id in self._others or user_id in self._lost_until_s

    def online_of(self, users: Iterable[str]) -> list[str]:
        """Those of `users` who count as online on any node."""
        return [user_id for user_id in users if self.is_online(user_id)]

    def count(self) -> Count:
        """What a beat says of this node's users."""
        return Count(len(self.online()), self._own_hash)

    # The other nodes'. What is returned are changes of the union, each told once: (user, online).

    def heard(self, node_id: str, user_id: str, online: bool) -> list[tuple[str, bool]]:
        """A node's user came or went."""
        was = self.is_online(user_id)
        if not self._node(node_id).put(user_id, online):
            return []
        self._count(user_id, 1 if online else -1)
        return [] if was == self.is_online(user_id) else [(user_id, online)]

    def heard_whole(self, node_id: str, users: Iterable[str]) -> list[tuple[str, bool]]:
        """All of a node's users: whoever it did not name is not there."""
        named = set(users)
        changes: list[tuple[str, bool]] = []
        for user_id in self._node(node_id).users - named:
            changes += self.heard(node_id, user_id, False)
        for user_id in named - self._node(node_id).users:
            changes += self.heard(node_id, user_id, True)
        return changes

    def agrees(self, node_id: str, count: Count) -> bool:
        """Whether what is known here of a node's users is what its beat says."""
        node = self._node(node_id)
        return (len(node.users), node.hashed) == count

    def lost(self, node_id: str, now_s: float) -> None:
        """A node is gone: its users have the grace in which to come back by another one."""
        node = self._nodes.pop(node_id, None)
        if node is None:
            return
        for user_id in node.users:
            self._count(user_id, -1)
            self._lost_until_s[user_id] = now_s + self.grace_s

    def _is_here(self, user_id: str) -> bool:
        return super().is_online(user_id)

    def _say(self, user_id: str, online: bool) -> None:
        self._own_hash ^= user_hash(user_id)
        self.announce(user_id, online)

    def _node(self, node_id: str) -> _Node:
        node = self._nodes.get(node_id)
        if node is None:
            node = self._nodes[node_id] = _Node()
        return node

    def _count(self, user_id: str, step: int) -> None:
        left = self._others.get(user_id, 0) + step
        if left:
            self._others[user_id] = left
        else:
            self._others.pop(user_id, None)
