"""Moving everything from one store to another: resumable, and proved at the end by counts and checksums.

Works on the `Archive` that a store offers and knows no backend. Records of a kind are plain dictionaries, the
same from every store. A record may be written twice, so an interrupted move is simply started again: kinds
that are done are passed over, and events go on after the last one noted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatserver.core.conversations import Conversation, conversation_with, peer_of
from chatserver.store.contract import StoreRefused

Record = dict[str, str | int | bytes | None]
"""One thing that a store keeps, the same whatever the store: see `FIELDS`."""


FIELDS: Mapping[str, Sequence[str]] = {
    "users": (
        *("id", "email", "password", "first_name", "last_name", "color"),
        *("created_at", "last_seen", "generation", "zone"),
    ),
    "friendships": ("one", "other", "relation", "since"),
    "blocks": ("by", "user"),
    "logins": (
        *("id", "user_id", "kind", "label", "secret_hash"),
        *("created_at", "expires_at", "last_used_at", "generation"),
    ),
    "subscriptions": ("endpoint", "user_id", "login_id", "p256dh", "auth", "created_at"),
    "wishes": ("user", "wishes"),
    "reads": ("user", "peer", "up_to"),
    "events": ("seq", "type", "audience", "actor", "to", "at", "payload", "client_id"),
}
"""The fields of a record by its kind. A friendship stands once, `one` before `other`, with the relation
of `one`; `peer` of a read position is a `conversation_key`."""

LATER: Mapping[str, Mapping[str, int | str]] = {
    "users": {"generation": 0, "zone": ""},
    "logins": {"generation": 0},
}
"""Fields that were not always there, and what stands for them in records that were made before."""

KINDS = tuple(FIELDS)


def conversation_key(conversation: Conversation) -> str:
    """A conversation as stores keep it: the other's id, '' for the broadcasts."""
    return peer_of(conversation) or ""


def conversation_of(key: str) -> Conversation:
    """The conversation of a `conversation_key`."""
    return conversation_with(key or None)


class Archive(Protocol):
    """What a store offers to `chatserver.store.archive`: everything it keeps, out and in."""

    async def count(self, kind: str) -> int: ...

    def records(self, kind: str, after_seq: int) -> AsyncIterator[list[Record]]:
        """All records of `kind`, some at a time; of events those after `after_seq`, in order."""
        ...

    async def begin(self) -> dict[str, int]:
        """Make the store one that is being filled; what `note` and `add` noted when it was before.

        Raises `StoreRefused` where it holds anything that did not come so. While it is being filled,
        it starts only with `unfinished=True`.
        """
        ...

    async def add(self, kind: str, records: Sequence[Record]) -> None:
        """Write records; those that are there already stay. Notes the seq of the last event."""
        ...

    async def note(self, kind: str, value: int) -> None:
        """Remember that much of `kind` is done."""
        ...

    async def places(self) -> tuple[int, int]:
        """The newest seq, and the one at or below which events may have been dropped."""
        ...

    async def finish(self, last_seq: int, dropped_seq: int) -> None:
        """The store is whole: it takes over these places and may be started like any other."""
        ...


UNFINISHED = (
    "The database holds a migration that has not ended: run `chatserver migrate` again,"
    " with the same source."
)


Progress = Callable[[str, int, int], None]
"""Called with a kind, how many of its records are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a store holds of one kind: how many records, and a checksum that no order changes."""

    count: int
    checksum: str


async def migrate(source: Archive, target: Archive, progress: Progress) -> dict[str, Sum]:
    """Copy everything from `source` to `target`, then compare the two; what was found, by kind.

    Both stores are started and serve nobody. `target` is empty, or holds what an interrupted move
    left. Raises `StoreRefused` where it holds anything else, and where the two differ at the end (the
    target can then not be served from; the source is never changed).
    """
    done = await target.begin()
    for kind in KINDS:
        total = await source.count(kind)
        noted = done.get(kind)
        if kind != "events" and noted is not None:
            progress(kind, total, total)
            continue
        copied = 0 if noted is None else await target.count(kind)
        progress(kind, copied, total)
        async for records in source.records(kind, noted or 0):
            await target.add(kind, [_whole(kind, record) for record in records])
            # Where it was interrupted, some were there already that had not been noted yet: they are written again.
            copied = min(copied + len(records), total)
            progress(kind, copied, total)
        if kind != "events":
            await target.note(kind, 1)
    found = await _compare(source, target, progress)
    await target.finish(*await source.places())
    return found


async def _compare(source: Archive, target: Archive, progress: Progress) -> dict[str, Sum]:
    found = {}
    for kind in KINDS:
        here, there = await total_of(source, kind), await total_of(target, kind)
        progress(f"{kind} compared", there.count, here.count)
        if here != there:
            raise StoreRefused(
                f"The copy differs in its {kind} ({here.count} there, {there.count} here):"
                " empty the target and migrate again."
            )
        found[kind] = here
    return found


async def total_of(archive: Archive, kind: str) -> Sum:
    """How many records of `kind` there are, and their checksum: the sum of their SHA-256 hashes."""
    count = total = 0
    async for records in archive.records(kind, 0):
        count += len(records)
        for record in records:
            total += int.from_bytes(hashlib.sha256(_canonical(_whole(kind, record))).digest())
    return Sum(count, f"{total % 2**256:064x}")


def _whole(kind: str, record: Record) -> Record:
    """The record with all fields of its kind."""
    return {**LATER.get(kind, {}), **record}


def _canonical(record: Record) -> bytes:
    plain = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in record.items()
    }
    return json.dumps(plain, sort_keys=True).encode()
