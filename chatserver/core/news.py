"""What of one batch is for whom. Mailboxes that get the very same events stand together: they are handed the same list.

Each mailbox stands in one circle, and a circle is parted where only some of it hear what comes next. In a chat that is
rare: what is written in a circle of friends is for all of them, and what is written in two is for nobody of both. Both
are seen at once, without a look at each mailbox (`docs/design/followers.md`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chatserver.core.events import Event
from chatserver.core.mailbox import Mailbox


class _Circle:
    __slots__ = ("mailboxes", "run")

    def __init__(self, mailboxes: set[Mailbox], run: list[Event]) -> None:
        self.mailboxes = mailboxes
        self.run = run
        """Theirs alone: no other circle has this list."""


class News:
    """The news of one batch, empty at first."""

    def __init__(self) -> None:
        self._circles: list[_Circle] = []
        self._of: dict[Mailbox, _Circle] = {}

    def __iter__(self) -> Iterator[tuple[list[Event], Collection[Mailbox]]]:
        """The events, at least one, and who gets exactly these; each mailbox once."""
        for circle in self._circles:
            if circle.run and circle.mailboxes:
                yield circle.run, circle.mailboxes

    def add(self, run: list[Event], audience: list[Mailbox]) -> None:
        """`run` is for `audience`, and comes after all that was added before. The list is not the caller's any more."""
        if not audience:
            return
        hearers, of = set(audience), self._of
        circle = of.get(audience[0])
        if circle is not None and circle.mailboxes == hearers:
            circle.run += run
            return
        if not of.keys().isdisjoint(hearers):
            hearers -= self._part(run, audience)
        if hearers:
            self._form(hearers, run)

    def _part(self, run: list[Event], audience: list[Mailbox]) -> set[Mailbox]:
        """Add `run` for those of `audience` who have news already; who they are."""
        met: dict[_Circle, set[Mailbox]] = {}
        for mailbox in audience:
            circle = self._of.get(mailbox)
            if circle is not None:
                met.setdefault(circle, set()).add(mailbox)
        for circle, some in met.items():
            if len(some) == len(circle.mailboxes):
                circle.run += run
            else:
                circle.mailboxes -= some
                self._form(some, circle.run + run)
        return set().union(*met.values())

    def withdraw(self, mailbox: Mailbox) -> None:
        """Take out what the owner of this mailbox may not see any more."""
        circle = self._of.get(mailbox)
        if circle is not None:
            circle.mailboxes.remove(mailbox)
            self._form({mailbox}, mailbox.visible(circle.run))

    def _form(self, mailboxes: set[Mailbox], run: list[Event]) -> None:
        circle = _Circle(mailboxes, run)
        self._circles.append(circle)
        self._of.update(dict.fromkeys(mailboxes, circle))
