"""What guards are compared with, where memory ends and where a write fails (chatserver/journal/guards.py)."""

from __future__ import annotations

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import BlockChange
from chatserver.core.events import Event, encode_event
from chatserver.journal.contract import Guard, Outrun
from chatserver.journal.guards import Subjects


def block(seq: int, one: str, other: str) -> list[Event]:
    return [encode_event(vocabulary.notice(BlockChange(one, other, True)), seq, 1)]


def test_what_was_forgotten_outruns_rather_than_being_missed() -> None:
    subjects = Subjects(remembered=2)
    early = Guard(("ann", "bob"), subjects.newest(("ann", "bob")))
    for seq, other in enumerate(("bob", "cho", "dan", "eve"), 10):
        subjects.note(block(seq, other, "ann"))
    with pytest.raises(Outrun):
        subjects.refuse_outrun(early)
    subjects.refuse_outrun(Guard(("ann", "bob"), subjects.newest(("ann", "bob"))))


def test_what_was_never_durable_holds_nobody_up_and_hides_nothing() -> None:
    subjects = Subjects()
    early = Guard(("ann", "bob"), 0)
    subjects.note(block(10, "ann", "bob"))  # durable, and followed
    subjects.note(block(20, "bob", "ann"))  # and this one fails, while the head is 15
    subjects.never_happened(block(20, "bob", "ann"), 15)
    assert subjects.newest(("ann", "bob")) <= 15
    with pytest.raises(Outrun):
        subjects.refuse_outrun(early)
