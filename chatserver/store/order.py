"""Who gives out the places of a database's events: the server that has it open, or a stream that several servers follow."""

from __future__ import annotations

import secrets
from typing import Literal, Protocol

from chatserver.journal.eventlog import Projection
from chatserver.store.contract import StoreRefused

Wanted = Literal["local", "stream", "any"]
"""How a store is opened: by one server, by one of several, or by who is alone with it and minds no order."""


class Ordered(Projection, Protocol):
    """The log of a store, which remembers the order."""

    async def order(self) -> int:
        """The number of the stream that is the order; 0 where the events here are."""
        ...

    async def set_order(self, number: int, seen: int = 0) -> int:
        """Let this stream be the order (0: none) where it `seen` was; what it is now."""
        ...


class OrderIsStream(StoreRefused):
    """The database is opened as if it were its own order, and the stream `number` is."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"The order of this database is the stream CHAT_{stream_id(number)} of NATS: start with --nats or --processes,"
            " or run `chatserver order local` once."
        )
        self.number = number


def stream_id(number: int) -> str:
    """What the subjects and the name of a stream are made of."""
    return f"{number:012x}"


def new_number() -> int:
    """The number of a stream that there has not been."""
    return secrets.randbits(48) | 1


async def settle_order(log: Ordered, wanted: Wanted) -> int:
    """The database's order, which a new one gets here as it is `wanted`. Raises `StoreRefused` where it is the other one."""
    number = await log.order()
    if wanted == "stream" and number == 0:
        if await log.last_seq() > 0:
            raise StoreRefused(
                "The order of this database is its own, not a stream of NATS: run `chatserver order stream` once, or start"
                " with neither --nats nor --processes."
            )
        # Of several servers that start at once one is first.
        number = await log.set_order(new_number())
    if wanted == "local" and number != 0:
        raise OrderIsStream(number)
    return number
