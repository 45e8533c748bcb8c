"""What is paid at one node is paid at all: a rate holds for all nodes together, however somebody is spread over them.

Each node tells the others, a moment later and in one piece, what was taken from its buckets and given back to them. Where two
have let somebody have the same token at the same moment, the buckets owe it, so over time it comes to the same. What is in the
order (messages) is not told of: each node counts what it follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol

from chatserver.core.prices import Buckets

SAY_S = 0.02
"""Less than it takes to look at one password."""
PART = 5000
"""Keys in one piece, some 200 KB."""


class Talk(Protocol):
    """What of `journal.nats_signals.Talk` is needed here."""

    def on(self, kind: str, heard: Callable[[str, Sequence[Any]], None]) -> None: ...

    def say(self, kind: str, *fields: Any) -> None: ...


class Spending:
    """What is taken from `buckets`, by the names that all nodes have for them."""

    def __init__(
        self, talk: Talk, buckets: Mapping[str, Buckets], clock_s: Callable[[], float]
    ) -> None:
        self._talk = talk
        self._buckets = buckets
        self._clock_s = clock_s
        self._taken: dict[tuple[str, str], float] = {}
        for name, each in buckets.items():
            each.on_taken = partial(self._note, name)
        talk.on("spent", self._heard)

    def _note(self, name: str, key: str, tokens: float) -> None:
        if not self._taken:
            asyncio.get_running_loop().call_later(SAY_S, self.say)
        where = name, key
        self._taken[where] = self._taken.get(where, 0.0) + tokens

    def say(self) -> None:
        """Tell the others what was taken since the last time."""
        taken, self._taken = self._taken, {}
        rest = ((name, key, tokens) for (name, key), tokens in taken.items() if tokens)
        while part := list(islice(rest, PART)):
            self._talk.say("spent", part)

    def _heard(self, node_id: str, fields: Sequence[Any]) -> None:
        now_s = self._clock_s()
        for name, key, tokens in fields[0]:
            bucket = self._buckets.get(name)
            if bucket is not None:
                bucket.spent_elsewhere(key, now_s, tokens)
