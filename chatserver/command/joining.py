"""How a command beside the server gets at a database whose order may be a stream: as one more node, for as long as it takes.

Where the order is the database's own, it is alone with it, as ever. Where it is a stream, it takes part: through the NATS
that is named, through the one that a running `--processes` has started in the data folder, or through one that it starts there
itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from chatserver.command.build import open_store, opened
from chatserver.command.refusal import Refused
from chatserver.command.settings import Settings
from chatserver.http.house import House
from chatserver.store.order import OrderIsStream, stream_id
from chatserver.verbs.keys import refuse_open_folder

if TYPE_CHECKING:
    from chatserver.command.build import AnyStore

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
"""The settings that say where a database and its order are."""


@contextlib.asynccontextmanager
async def taking_part(settings: Settings) -> AsyncIterator[House]:
    """The house for one command, closed after it. Raises `Refused`, `StoreRefused`, `KeysRefused` and `OrderRefused`."""
    refuse_open_folder(settings.data)
    if settings.nats:
        refuse_missing()
    elif settings.mongodb or not _runs_here(settings):
        try:
            async with opened(settings) as house:
                yield house
                return
        except OrderIsStream as error:
            _refuse_without_nats(settings, error)
    with reachable(settings) as told:
        async with opened(told) as house:
            yield house


@contextlib.asynccontextmanager
async def shown(settings: Settings) -> AsyncIterator[AnyStore]:
    """The store, only to be read: beside the nodes where the order is a stream. Raises as `taking_part`."""
    try:
        beside = settings.mongodb is None and _runs_here(settings)
        store = open_store(settings.mongodb or settings.data, order="stream" if beside else "local")
        await store.start()
    except OrderIsStream:
        store = open_store(settings.mongodb or settings.data, order="stream")
        await store.start()
    try:
        yield store
    finally:
        await store.close()


@contextlib.contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """The settings with NATS in them: what is named, what runs in the data folder, or what is started there for a while."""
    if settings.nats:
        yield settings
        return
    # Here, because few ask for it.
    from chatserver.command.embedded import EmbeddedNats, running

    found = running(settings.data)
    if found is not None:
        yield replace(settings, nats=(found.uri,), nats_token=found.token)
        return
    embedded = EmbeddedNats(settings.data)
    try:
        embedded.start()
        yield replace(settings, nats=(embedded.uri,), nats_token=embedded.token)
    finally:
        embedded.close()


def refuse_missing() -> None:
    """Raises `Refused` where the library for NATS is not here."""
    if find_spec("nats") is None:
        raise Refused("NATS needs packages that are not here: pip install 'chatserver[cluster]'.")


def _runs_here(settings: Settings) -> bool:
    from chatserver.command.embedded import running

    return running(settings.data) is not None


def _refuse_without_nats(settings: Settings, error: OrderIsStream) -> None:
    """Raises `Refused` where nothing says which NATS has the stream."""
    refuse_missing()
    if not (settings.data / "order").is_dir():
        raise Refused(
            f"The order of this database is the stream CHAT_{stream_id(error.number)} of NATS: name it with --nats, as its"
            " servers do."
        ) from error
