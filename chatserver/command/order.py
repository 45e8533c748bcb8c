"""`chatserver order stream` and `chatserver order local`: who gives out the places of a database's events.

The database keeps everything in both cases, and seqs only grow. To a stream: it begins above the newest seq. Back: only where
the database shows all that stands in the stream.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from chatserver.command.build import now_ms, open_store
from chatserver.command.refusal import Refused
from chatserver.command.settings import Settings, from_given
from chatserver.store.order import new_number, stream_id

if TYPE_CHECKING:
    from chatserver.command.build import AnyStore
    from chatserver.command.cluster import Membership

OPTIONS = (
    "data",
    "mongodb",
    "nats",
    "nats_token",
    "nats_credentials",
    "nats_ca",
    "nats_certificate",
    "nats_key",
)


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
    if settings.mongodb is None and not settings.data.is_dir():
        raise Refused(f"there is no data folder {settings.data}.")
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
        _refuse_missing()
        number, last_seq = new_number(), await store.log.last_seq()
        with _nats(settings) as reachable:
            async with _member(reachable, store, number) as member:
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
        _refuse_missing()
        shown_seq = await store.log.projected()
        with _nats(settings) as reachable:
            async with _member(reachable, store, store.order) as member:
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


@contextlib.contextmanager
def _nats(settings: Settings) -> Iterator[Settings]:
    """Where the stream is: at the servers that are named, else in the data folder."""
    if settings.nats:
        yield settings
        return
    # Here, because few ask for it.
    from chatserver.command.embedded import EmbeddedNats

    embedded = EmbeddedNats(settings.data)
    try:
        embedded.start()
        yield replace(settings, nats=(embedded.uri,), nats_token=embedded.token)
    finally:
        embedded.close()


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


def _refuse_missing() -> None:
    if find_spec("nats") is None:
        raise Refused("NATS needs packages that are not here: pip install 'chatserver[cluster]'.")
