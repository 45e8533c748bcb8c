"""Moving everything from one store to another: resumable, and proved at the end by counts and checksums.

Works on the `Port` that a store offers and knows no backend. Records of a kind are plain dictionaries, the
same from every store. A record may be written twice, so an interrupted move is simply started again: kinds
that are done are passed over, and events go on after the last one noted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from chatserver.store.base import KINDS, Port, Record, StoreRefused

Progress = Callable[[str, int, int], None]
"""Called with a kind, how many of its records are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a store holds of one kind: how many records, and a checksum that no order changes."""

    count: int
    checksum: str


async def migrate(source: Port, target: Port, progress: Progress) -> dict[str, Sum]:
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
            await target.add(kind, records)
            copied += len(records)
            progress(kind, copied, total)
        if kind != "events":
            await target.note(kind, 1)
    found = await _compare(source, target, progress)
    await target.finish(*await source.places())
    return found


async def _compare(source: Port, target: Port, progress: Progress) -> dict[str, Sum]:
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


async def total_of(port: Port, kind: str) -> Sum:
    """How many records of `kind` there are, and their checksum: the sum of their SHA-256 hashes."""
    count = total = 0
    async for records in port.records(kind, 0):
        count += len(records)
        for record in records:
            total += int.from_bytes(hashlib.sha256(_canonical(record)).digest())
    return Sum(count, f"{total % 2**256:064x}")


def _canonical(record: Record) -> bytes:
    plain = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in record.items()
    }
    return json.dumps(plain, sort_keys=True).encode()
