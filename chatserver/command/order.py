"""`chatserver order stream` and `chatserver order local`: who gives out the places of a database's events.

The database keeps everything in both cases, and seqs only grow. To a stream: it begins above the newest seq. Back: only where
the database shows all that stands in the stream.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from chatserver.command.build import now_ms, open_store
from chatserver.command.joining import reachable, refuse_missing
from chatserver.command.refusal import Refused, refuse_missing_folder
from chatserver.command.settings import Settings, from_given
from chatserver.store.order import new_number, stream_id

if TYPE_CHECKING:
    from chatserver.command.build import AnyStore
    from chatserver.command.cluster import Membership

TAKEOVER_S = 3.5
"""Within it a node that runs counts its lease on, or another one takes it over."""
LOOK_S = 0.25


def stream(options: argparse.Namespace) -> int:
    """Let a new stream of NATS be the order from now on. Raises `Refused`, `StoreRefused` and `OrderRefused`."""
    asyncio.run(_to_stream(_settings(options)))
    return 0


def local(options: argparse.Namespace) -> int:
    """Let the database be its own order again. Raises `Refused`, `StoreRefused` and `OrderRefused`."""
    asyncio.run(_to_local(_settings(options)))
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    settings = from_given(options)
    if settings.mongodb is None:
        refuse_missing_folder(settings.data)
    return settings


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[AnyStore]:
    store = open_store(settings.mongodb or settings.data, order="any")
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def _to_stream(settings: Settings) -> None:
    async with _opened(settings) as store:
        if store.order:
            raise Refused(f"the order is a stream already: CHAT_{stream_id(store.order)}.")
        refuse_missing()
        number, last_seq = new_number(), await store.log.last_seq()
        with reachable(settings) as told:
            async with _member(told, store, number) as member:
                await member.stream.open(last_seq, now_ms(), new=True)
        await store.log.set_order(number, seen=0)
    print(
        f"The order is the stream CHAT_{stream_id(number)} from the next start on, with --processes or --nats;"
        f" it goes on after seq {last_seq}."
    )


async def _to_local(settings: Settings) -> None:
    async with _opened(settings) as store:
        if not store.order:
            raise Refused("the order is the database's own already.")
        refuse_missing()
        await _refuse_running(store)
        shown_seq = await store.log.projected()
        with reachable(settings) as told:
            async with _member(told, store, store.order) as member:
                await member.stream.open(shown_seq, now_ms())
                last_seq = await member.stream.newest_message()
        if shown_seq < last_seq:
            raise Refused(
                f"the stream goes to seq {last_seq}, and the database shows {shown_seq}: start the server once more, and"
                " stop it in order; then it shows all."
            )
        name = f"CHAT_{stream_id(store.order)}"
        await store.log.set_order(0, seen=store.order)
    print(
        f"The order is the database's own from the next start on; it goes on after seq {shown_seq}. The stream {name}"
        " is not used any more."
    )


@contextlib.asynccontextmanager
async def _member(settings: Settings, store: AnyStore, number: int) -> AsyncIterator[Membership]:
    """Connected to NATS, and no more. Raises `OrderRefused`."""
    from chatserver.command.cluster import Membership

    member = Membership(settings, store.log, number, now_ms)
    await member.link.connect()
    try:
        yield member
    finally:
        await member.link.close()


async def _refuse_running(store: AnyStore) -> None:
    """Raises `Refused` where a node shows the stream in this database: on MongoDB nothing else keeps this command out."""
    seen = await store.log.lease()
    until_s = time.monotonic() + TAKEOVER_S
    while seen is not None and time.monotonic() < until_s:
        await asyncio.sleep(LOOK_S)
        if await store.log.lease() != seen:
            raise Refused("the database is in use by a chatserver: stop all of its servers first.")
