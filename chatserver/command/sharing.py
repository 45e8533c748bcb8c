"""What all servers of one database must have alike: the keys that seal cookies, and the one that push services know.

They live in the database. The files of a data folder are moved in at its first start, and are a server's own copies from
then on: `chatserver key rotate` changes the copy, and the server carries it to the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from chatserver.core.errors import Unavailable
from chatserver.verbs import keys, webpush
from chatserver.verbs.keys import KeyRing, KeysRefused
from chatserver.verbs.webpush import PushKey

log = logging.getLogger(__name__)

LEAD_MS = 180_000
"""A new key seals so much later: each server looks once a minute whether there is one."""
TRIES = 5


class Secrets(Protocol):
    """What a database offers to all of its servers."""

    async def read(self, name: str) -> bytes | None: ...

    async def replace(self, name: str, seen: bytes | None, value: bytes) -> bool: ...


Choice = Callable[[bytes, bytes, Path], bytes]
"""Of what is kept and what stands in this server's file, which counts. Raises `KeysRefused` where they do not agree."""


async def shared_ring(secrets: Secrets, folder: Path, clock_ms: Callable[[], int]) -> KeyRing:
    """The ring of all servers of a database. Raises `KeysRefused` where `folder` has another one, and `Unavailable`."""
    keys.refuse_open_folder(folder)
    path = folder / keys.KEY_FILE
    if not path.exists() and await secrets.read("keys") is None:
        KeyRing.load(folder, clock_ms())
    await agree(secrets, "keys", path, keys.newer_ring)
    ring = KeyRing.load(folder, clock_ms(), LEAD_MS)
    ring.renewing = partial(_renew, secrets, path, clock_ms)
    return ring


async def shared_push_key(secrets: Secrets, folder: Path, contact: str) -> PushKey:
    """The key by which push services know all servers of a database. Raises as `shared_ring`."""
    path = folder / webpush.KEY_FILE
    if not path.exists() and await secrets.read("push") is None:
        PushKey.load(folder, contact)
    await agree(secrets, "push", path, _the_same)
    return PushKey.load(folder, contact)


async def agree(secrets: Secrets, name: str, path: Path, choose: Choice) -> None:
    """Have the same in the database and in the file, of which at least one is there."""
    for _ in range(TRIES):
        kept = await secrets.read(name)
        own = keys.private_file(path, bytes) if path.exists() else None
        if kept is None and own is not None:
            if await secrets.replace(name, None, own):
                log.info("%s is in the database now, for all of its servers", path.name)
                return
        elif kept is not None:
            chosen = kept if own is None else choose(kept, own, path)
            if chosen != kept and not await secrets.replace(name, kept, chosen):
                continue
            if chosen != own:
                keys.put_private(path, chosen)
            return
    raise Unavailable("The servers cannot agree on their keys.")


async def _renew(secrets: Secrets, path: Path, clock_ms: Callable[[], int]) -> int:
    try:
        await agree(secrets, "keys", path, keys.newer_ring)
    except (KeysRefused, OSError) as error:
        log.error("the keys could not be brought up to date: %s", error)
    return clock_ms()


def _the_same(kept: bytes, own: bytes, path: Path) -> bytes:
    if kept != own:
        raise KeysRefused(
            f"The key in {path} is not that of the other servers of this database: remove the file,"
            " and this server takes over theirs."
        )
    return kept
