"""What of one batch is for whom. Mailboxes that get the very same events stand together: they are handed the same list.

Each mailbox stands in one circle, and a circle is parted where only some of it hear what comes next. In a chat that is
rare: what is written in a circle of friends is for all of them, and what is written in two is for nobody of both. Both
are seen at once, without a look at each mailbox (`docs/design/followers.md`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chatserver.core.events import Event
from chatserver.core.mailbox import Mailbox

_Circle = tuple[list[Event], list[Mailbox] | set[Mailbox]]
"""What is for whom. No other circle has this list; its mailboxes are a set once some have left."""


class News:
    """The news of one batch, empty at first."""

    def __init__(self) -> None:
        self._of: dict[Mailbox, list[Event]] = {}
        self._circles: dict[int, _Circle] = {}
        """By the identity of the list."""

    def __iter__(self) -> Iterator[tuple[list[Event], Collection[Mailbox]]]:
        """The events, at least one, and who gets exactly these; each mailbox once."""
        for run, mailboxes in self._circles.values():
            if run and mailboxes:
                yield run, mailboxes

    def add(self, run: list[Event], audience: list[Mailbox]) -> None:
        """`run` is for `audience`, and comes after all that was added before. Neither list is the caller's any more."""
        of = self._of
        if of.keys().isdisjoint(audience):
            self._circles[id(run)] = run, audience
            if len(audience) == 1:  # who has no friends here
                of[audience[0]] = run
            else:
                of.update(dict.fromkeys(audience, run))
            return
        earlier = of.get(audience[0])
        if (
            earlier is not None
            and len(self._circles[id(earlier)][1]) == len(audience)
            and {id(earlier)}.issuperset(map(id, map(of.get, audience)))
        ):
            earlier += run
        else:
            self._part(run, audience)

    def _part(self, run: list[Event], audience: list[Mailbox]) -> None:
        """Add `run` where some of `audience` have news already, not all the same, or not they alone."""
        fresh: list[Mailbox] = []
        met: dict[int, list[Mailbox]] = {}
        for mailbox in audience:
            earlier = self._of.get(mailbox)
            if earlier is None:
                fresh.append(mailbox)
            else:
                met.setdefault(id(earlier), []).append(mailbox)
        for key, some in met.items():
            before, mailboxes = self._circles[key]
            if len(some) == len(mailboxes):
                before += run
            else:
                self._leave(key, some)
                self._form(before + run, some)
        self._form(run, fresh)

    def withdraw(self, mailbox: Mailbox) -> None:
        """Take out what the owner of this mailbox may not see any more."""
        earlier = self._of.get(mailbox)
        if earlier is not None:
            self._leave(id(earlier), [mailbox])
            self._form(mailbox.visible(earlier), [mailbox])

    def _leave(self, key: int, some: list[Mailbox]) -> None:
        run, mailboxes = self._circles[key]
        # A set once, and then each parting costs what leaves, however many stay.
        left = mailboxes if isinstance(mailboxes, set) else set(mailboxes)
        left.difference_update(some)
        self._circles[key] = (run, left)

    def _form(self, run: list[Event], mailboxes: list[Mailbox]) -> None:
        self._circles[id(run)] = (run, mailboxes)
        self._of.update(dict.fromkeys(mailboxes, run))
