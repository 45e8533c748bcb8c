"""How things are named and ordered in MongoDB: single string keys, so that one plain index serves each query.

Pure. Every unique rule is one field (`_id` where it can be), and what is read in order is a *lane*: a
prefix that says whose, followed by the seq in 16 digits. Strings compare byte by byte, so a lane is one
range of its index. Lengths before ids keep "a" + "b:c" apart from "a:b" + "c".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatserver.core.events import Audience, Event

DIGITS = 16
"""2**53 has so many."""


def joined(*parts: str) -> str:
    """One string that no other parts make."""
    return "".join(f"{len(part)}:{part}," for part in parts)


def pair(one: str, other: str) -> str:
    """The key of what two users have in common, whichever comes first."""
    return joined(*sorted((one, other)))


def client_key(actor: str, client_id: str | None, seq: int) -> str:
    """What makes an append idempotent; where it is not, something unique all the same.

    A unique index of MongoDB takes a missing field for a value of its own, so every event has a key.
    """
    return f"seq:{seq}" if client_id is None else f"client:{joined(actor, client_id)}"


@dataclass(frozen=True, slots=True)
class Lane:
    """Events in order under one indexed field: those with `prefix`, or (None) all that have the field.

    With `actors` only what these caused: the server filters, by an index of actor and field together.
    """

    field: str
    prefix: str | None = None
    actors: tuple[str, ...] = ()

    def at(self, seq: int) -> Any:
        """The field's value at `seq`."""
        return seq if self.prefix is None else f"{self.prefix}{seq:0{DIGITS}d}"

    def between(self, after: int, below: int) -> dict[str, Any]:
        """The condition for seqs between the two, both excluded."""
        span = {self.field: {"$gt": self.at(after), "$lt": self.at(below)}}
        return {"actor": {"$in": list(self.actors)}, **span} if self.actors else span


ALL = Lane("seq")
BROADCASTS = Lane("cast")


def broadcasts_of(actors: Sequence[str]) -> Lane:
    """The broadcasts of several people in one lane."""
    return Lane("cast", None, tuple(actors))


def by_actor(actor: str, audience: Audience) -> Lane:
    """What `actor` caused, for one audience."""
    return Lane("by", f"{audience.value}{joined(actor)}")


def sent_to(user: str) -> Lane:
    """What anybody addressed to `user`."""
    return Lane("sent", joined(user))


def talk(actor: str, to: str) -> Lane:
    """The messages of `actor` to `to`."""
    return Lane("talk", joined(actor, to))


def lane_fields(event: Event) -> dict[str, Any]:
    """The places of an event in its lanes."""
    fields = {"seq": event.seq, "by": by_actor(event.actor, event.audience).at(event.seq)}
    if event.audience is Audience.PAIR and event.to is not None:
        fields["sent"] = sent_to(event.to).at(event.seq)
    if event.type == "message":
        if event.to is None:
            fields["cast"] = event.seq
        else:
            fields["talk"] = talk(event.actor, event.to).at(event.seq)
    return fields
