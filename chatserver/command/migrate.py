"""`chatserver migrate`: everything from one store to another."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from chatserver.command.build import open_store
from chatserver.command.refusal import Refused, refuse_missing_folder
from chatserver.store.archive import migrate
from chatserver.store.order import OrderIsStream, stream_id

if TYPE_CHECKING:
    from chatserver.command.build import AnyStore


def run(options: argparse.Namespace) -> int:
    """Move everything from one store to another. Raises `Refused` and `StoreRefused`."""
    source, target = _where("--from", options.source), _where("--to", options.target)
    if source == target:
        raise Refused("--from and --to are the same.")
    if isinstance(source, Path):
        refuse_missing_folder(source)
    asyncio.run(_move(open_store(source), open_store(target, unfinished=True)))
    return 0


def _where(flag: str, text: str) -> Path | str:
    if text.startswith(("mongodb://", "mongodb+srv://")):
        return text
    if "://" in text:
        raise Refused(f"{flag} is neither a data folder nor a mongodb:// URI.")
    return Path(text)


async def _move(source: AnyStore, target: AnyStore) -> None:
    try:
        await source.start()
    except OrderIsStream as error:
        raise Refused(
            f"The order of what is in --from is the stream CHAT_{stream_id(error.number)} of NATS: run `chatserver order"
            " local` first, and `chatserver order stream` on the new one afterwards."
        ) from error
    try:
        await target.start()
        try:
            found = await migrate(source.archive, target.archive, _show_progress)
        finally:
            await target.close()
    finally:
        await source.close()
    for kind, total in found.items():
        print(f"{kind}: {total.count}, the same on both sides ({total.checksum[:12]})")
    print("Everything is there. Cookies stay valid where keys.json of the data folder is kept.")


_shown: dict[str, float] = {}


def _show_progress(kind: str, done: int, total: int) -> None:
    """A line a second, and one at the end of each kind."""
    now_s = time.monotonic()
    if done >= total or now_s - _shown.get(kind, now_s - 2) >= 1:
        _shown[kind] = now_s
        print(f"{kind}: {done} of {total}", file=sys.stderr, flush=True)
