"""Traffic that is cruel to a server: clients that hop between transports, vanish, and retry.

Everybody here is a friend of everybody. A hopper's only state is its cursor; a writer's only memory is the
`clientId` of what has not been acknowledged yet. `Tally` knows what was sent, acknowledged and received.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import websockets

from tests.support.clients import READERS, Person, Reader
from tests.support.socketio_readers import SOCKETIO_READERS

ALL = [*READERS, *SOCKETIO_READERS]

PATIENCE_S = 120.0
"""So long may it take until all has been read that was written."""

AGAIN_S = 0.02
"""Between two tries of whoever found no server: sooner than any client comes back, and no turn of the loop for nothing."""

GONE = (
    OSError,
    TimeoutError,
    EOFError,
    httpx.HTTPError,
    websockets.WebSocketException,
    AssertionError,  # a refused connection (503) while the server goes or comes
    json.JSONDecodeError,  # a line that was cut off in its middle
)


@dataclass
class Tally:
    """What happened, by text; texts are unique."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    received: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    resets: int = 0
    hops: int = 0
    retries: int = 0

    def verdict(self) -> dict[str, int]:
        """Counts of what was lost, doubled or out of order at any reader (all should be 0)."""
        lost = doubled = disordered = 0
        for got in self.received.values():
            texts = [text for _, text in got]
            lost += len(self.acknowledged.keys() - set(texts))
            doubled += len(texts) - len(set(texts))
            seqs = [seq for seq, _ in got]
            disordered += seqs != sorted(set(seqs))
        return {"lost": lost, "doubled": doubled, "disordered": disordered, "resets": self.resets}


async def hop(
    reader: Reader,
    cursor: int,
    take: Callable[[dict[str, Any]], None],
    events: int,
    patience_s: float = 2.0,
) -> None:
    """Connect at `cursor`, hand up to `events` events to `take`, and vanish.

    Returns as well where nothing comes for `patience_s`, or the server has gone.
    """
    try:
        await reader.connect(cursor)
        for _ in range(events):
            take(json.loads(await asyncio.wait_for(reader.next_event(), patience_s)))
    except GONE:
        await asyncio.sleep(AGAIN_S)  # the next hop may find a server
    finally:
        try:
            await reader.drop()
        except (*GONE, AttributeError):
            pass  # it never connected


class Server(Protocol):
    """What people come to: one server, or the balancer before several."""

    @property
    def url(self) -> str: ...


class Traffic:
    """Some friends, each with a hopper and a writer, on one server."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server: Any = server
        self.random = random.Random(seed)
        self.tally = Tally()
        self.people: list[Person] = []
        self.stop_writing = asyncio.Event()
        self.writers_done = asyncio.Event()
        self.trouble_over = asyncio.Event()
        """Cleared by whom makes trouble: the last message of each writer waits until it is set again."""
        self.trouble_over.set()

    async def prepare(self, people: int) -> None:
        """Accounts, friendships, and where everybody starts."""
        for number in range(people):
            self.people.append(await Person.register(self.server.url, f"P{number}"))
        for at, one in enumerate(self.people):
            for other in self.people[at + 1 :]:
                await one.befriend(other)

    async def run(self, messages: int, chaos: Any = None) -> None:
        """Everybody writes `messages`; `chaos` is a coroutine that runs beside; return when all is read."""
        # Before anybody writes: what comes before a reader's cursor is not for that reader.
        cursors = [await self._head(person) for person in self.people]
        async with asyncio.TaskGroup() as group:
            hoppers = [
                group.create_task(self._hop(person, cursor))
                for person, cursor in zip(self.people, cursors, strict=True)
            ]
            if chaos is not None:
                group.create_task(chaos)
            writers = [group.create_task(self._write(person, messages)) for person in self.people]
            await asyncio.gather(*writers)
            self.writers_done.set()
            with contextlib.suppress(
                TimeoutError
            ):  # whoever has not got it by then: the verdict tells
                async with asyncio.timeout(PATIENCE_S):
                    await asyncio.gather(*hoppers)

    # Reading.

    def _complete(self, person: Person) -> bool:
        got = {text for _, text in self.tally.received[person.id]}
        return self.writers_done.is_set() and self.tally.acknowledged.keys() <= got

    async def _head(self, person: Person) -> int:
        return int((await person.http.get("/api/friends")).json()["seq"])

    async def _hop(self, person: Person, cursor: int) -> None:
        got = self.tally.received[person.id] = []
        while not self._complete(person):
            kind = self.random.choice(ALL)
            reader = kind(self.server.url, person.token, client=person.id)
            self.tally.hops += 1

            def take(event: dict[str, Any]) -> None:
                nonlocal cursor
                cursor = event["seq"]
                if event["type"] == "reset":
                    self.tally.resets += 1
                elif event["type"] == "message":
                    got.append((cursor, event["text"]))

            await hop(reader, cursor, take, self.random.randint(1, 30))

    # Writing.

    async def _write(self, person: Person, messages: int) -> None:
        for number in range(messages):
            if number == messages - 1:
                await self.trouble_over.wait()
            text = f"{person.id} {number}"
            while text not in self.tally.acknowledged:
                try:
                    await self._try_to_send(person, text)
                except GONE:
                    self.tally.retries += 1
                    await asyncio.sleep(AGAIN_S)

    async def _try_to_send(self, person: Person, text: str) -> None:
        # Now and then the client is gone before the answer comes: it cannot know, and sends again.
        patience_s = self.random.choice([0.0005, 0.002, 20, 20, 20])
        sending = person.send(text, client_id=text)
        self.tally.acknowledged[text] = await asyncio.wait_for(sending, patience_s)
