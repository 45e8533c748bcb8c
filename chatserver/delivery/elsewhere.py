"""The readers of a user at other nodes, for as long as there is one here: so that the bound of readers is one for all nodes.

A client that polls in round robin is at every node, and counts once. Each node ends its own among those that are too
many, and the order of the stamps is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

Named = tuple[str, int]
"""A client, and the stamp of its newest reader. A reader without a name of its own has one that nobody else has."""


class Stamped(Protocol):
    """What of a reader is needed here."""

    client: str
    stamp: int


def names(node_id: str, readers: Iterable[Stamped]) -> list[Named]:
    """What a node says of its readers of one user."""
    return [(reader.client or f"{node_id} {reader.stamp}", reader.stamp) for reader in readers]


class Elsewhere:
    """By user, what other nodes have said of their readers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[str, dict[str, dict[str, int]]] = {}

    def heard(self, node_id: str, user_id: str, named: Sequence[Named]) -> None:
        """These are the readers of the user at that node now."""
        nodes = self._known.setdefault(user_id, {})
        if named:
            nodes[node_id] = {name: stamp for name, stamp in named}
        else:
            nodes.pop(node_id, None)
        if not nodes:
            del self._known[user_id]

    def seen(self, node_id: str, user_id: str, client: str, stamp: int) -> None:
        """A client that was there has polled there again."""
        known = self._known.get(user_id, {}).get(node_id)
        if known is not None and client in known:
            known[client] = stamp

    def is_known(self, user_id: str) -> bool:
        """Whether another node has readers of this user, as far as was heard."""
        return user_id in self._known

    def forget_user(self, user_id: str) -> None:
        """The last reader here has gone."""
        self._known.pop(user_id, None)

    def forget_node(self, node_id: str) -> None:
        """That node is gone."""
        for user_id, nodes in list(self._known.items()):
            nodes.pop(node_id, None)
            if not nodes:
                del self._known[user_id]

    def too_many(self, user_id: str, own: Sequence[Named]) -> set[str]:
        """Who has to go, the oldest first, of all nodes' readers of this user."""
        newest: dict[str, int] = dict(own)
        for others in self._known.get(user_id, {}).values():
            for name, stamp in others.items():
                newest[name] = max(stamp, newest.get(name, 0))
        surplus = len(newest) - self._limit
        if surplus <= 0:
            return set()
        return set(sorted(newest, key=lambda name: (newest[name], name))[:surplus])
