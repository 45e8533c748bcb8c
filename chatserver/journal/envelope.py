"""How an event stands in the stream: under which subject, and in which bytes. Pure.

The first line says what the house needs, the second is the event's JSON without its place, which each node puts in front
(`core.events.splice`): so the same bytes leave at the same seq on every node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from chatserver.core.changes import Subject, change_of, record_of, subject_of
from chatserver.core.events import Audience, Draft, Event, encode_body, encode_json, splice
from chatserver.core.kinds import NOTICE
from chatserver.journal.contract import Appended

FORMAT = 1
"""Of the first line. A node that meets another number cannot follow any further."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class UnknownFormat(Exception):
    """The stream holds what a newer chatserver wrote."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An event as it came out of the stream, and the append that it was part of."""

    event: Event
    client_id: str | None
    node: str
    number: int
    """Of the append, at its node."""
    index: int
    of: int
    """Which of how many events of that append."""
    first: Appended | None = None
    """Where the same append stands already; then this is a repeat, and its event one that nobody sees."""


class Subjects:
    """The subjects of one database; `database` is its id in hex."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._root = f"chat.{database}"
        self.stream = f"CHAT_{database}"
        self.all = [f"{self._root}.{kind}.>" for kind in ("e", "f", "a")] + [f"{self._root}.c"]
        """What the stream keeps."""

    def of_draft(self, draft: Draft) -> str:
        """Where this event goes: what several may decide about at the same time has a subject of its own."""
        about = subject_of(draft.change)
        if about is not None:
            return self.guarded(about)
        return f"{self._root}.c" if draft.type == NOTICE.name else self.of_actor(draft.actor)

    def of_actor(self, user_id: str) -> str:
        """Where the events go that somebody causes and nobody decides by."""
        return f"{self._root}.e.{_token(user_id)}"

    def guarded(self, about: Subject) -> str:
        """Where the changes of a pair of users go, or those of one."""
        kind = "a" if len(about) == 1 else "f"
        return f"{self._root}.{kind}.{'.'.join([_token(each) for each in about])}"

    def signal(self, kind: str) -> str:
        """Where a passing fact goes; nothing of it is kept."""
        return f"{self._root}.s.{kind}"


def _token(user_id: str) -> str:
    # The sign in front is in no plain one: what is plain and what is not cannot meet.
    return user_id if _PLAIN.fullmatch(user_id) else f"={user_id.encode().hex()}"


def encode(drafts: Sequence[Draft], node: str, number: int) -> list[bytes]:
    """The bodies of one append. Raises as `core.events.encode_json`."""
    return [
        encode_json(
            [
                *(FORMAT, node, number, index, len(drafts), draft.type, int(draft.audience)),
                *(draft.actor, draft.to, draft.client_id, record_of(draft.change)),
            ]
        )
        + b"\n"
        + encode_body(draft)
        for index, draft in enumerate(drafts)
    ]


def decode(data: bytes, seq: int, at_ms: int) -> Placed:
    """The event at `seq`. Raises `UnknownFormat`."""
    line, _, body = data.partition(b"\n")
    try:
        head = orjson.loads(line)
        if head[0] != FORMAT:
            raise UnknownFormat(f"format {head[0]}")
        _, node, number, index, of, type_, audience, actor, to, client_id, record = head
        change = change_of(record)
        event = Event(
            seq,
            at_ms,
            type_,
            Audience(audience),
            actor,
            to,
            splice(type_, seq, at_ms, body),
            change,
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise UnknownFormat(f"{error} at seq {seq}") from error
    return Placed(event, client_id, node, number, index, of)
