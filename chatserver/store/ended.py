"""Accounts that ended in the middle of what is shown of a stream: nothing of theirs comes after their end. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chatserver.core.changes import AccountEnd, BlockChange, FriendChange
from chatserver.journal.eventlog import Entry


def ends(entry: Entry) -> list[tuple[str, int]]:
    """Who ends with this entry, and at which seq."""
    changes = [(event.change, event.seq) for event in entry.events]
    return [(change.user_id, seq) for change, seq in changes if isinstance(change, AccountEnd)]


def needed(entry: Entry) -> set[str]:
    """Whose accounts must be there still for it to be kept: nobody is asked, befriended or blocked who is gone."""
    found = {entry.events[0].actor}
    for event in entry.events:
        change = event.change
        if isinstance(change, FriendChange) and change.relation != "none":
            found |= {change.asker, change.other}
        elif isinstance(change, BlockChange) and change.blocked:
            found |= {change.user_id, change.other}
    return found


def runs(batch: Sequence[Entry]) -> list[list[Entry]]:
    """The batch, cut behind each end of an account."""
    found: list[list[Entry]] = [[]]
    for entry in batch:
        found[-1].append(entry)
        if ends(entry):
            found.append([])
    return [run for run in found if run]
