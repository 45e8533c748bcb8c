"""What guards are compared with: the newest change of each pair or user that one journal has given a place."""

from __future__ import annotations

from collections.abc import Iterable

from chatserver.core.changes import Subject, subject_of
from chatserver.core.events import Event
from chatserver.journal.contract import Guard, Outrun

SUBJECTS_REMEMBERED = 10_000
"""The newest changes. Of what was forgotten only this is known: it is no newer than the newest that was forgotten."""


class Subjects:
    """The newest change of each subject, bounded: for those that are forgotten it stands no lower than it was."""

    def __init__(self, remembered: int = SUBJECTS_REMEMBERED) -> None:
        self._remembered = remembered
        self._newest: dict[Subject, int] = {}
        self._forgotten_seq = 0

    def note(self, events: Iterable[Event]) -> None:
        """These have their places now."""
        for event in events:
            if event.change is not None and (subject := subject_of(event.change)) is not None:
                self._put(subject, event.seq)

    def never_happened(self, events: Iterable[Event], head_seq: int) -> None:
        """These will not be durable. What came before them of their subjects was no later than `head_seq`."""
        for event in events:
            if event.change is not None and (subject := subject_of(event.change)) is not None:
                self._put(subject, head_seq)

    def newest(self, subject: Subject) -> int:
        """The newest change of this subject, or a later seq."""
        return self._newest.get(subject, self._forgotten_seq)

    def refuse_outrun(self, guard: Guard) -> None:
        """Raises `Outrun` where the guard's subject has changed since."""
        if self.newest(guard.subject) > guard.seq:
            raise Outrun

    def _put(self, subject: Subject, seq: int) -> None:
        self._newest.pop(subject, None)
        self._newest[subject] = seq
        if len(self._newest) > self._remembered:
            oldest = next(iter(self._newest))
            self._forgotten_seq = max(self._forgotten_seq, self._newest.pop(oldest))
