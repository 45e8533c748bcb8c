"""Hopping traffic: people who read over any transport at one cursor, write until it stands, and change their friendships.

Some are friends of nobody, and some stop being friends in the middle of it. What each may see at each place of the order
is known from their own events (`scripts.soaking.model`).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import httpx

from scripts.soaking.model import Seen, Sent
from tests.support.clients import READERS, Person
from tests.support.connection import Refused
from tests.support.socketio_readers import SocketIoReader
from tests.traffic.traffic import GONE, hop

KINDS = [*READERS, SocketIoReader]
PEOPLE = 6
FRIENDS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (0, 4))
"""Who begins as a friend of whom; the last is a friend of nobody."""
CHANGING = ((1, 2, False), (2, 3, True), (0, 4, False))
"""Who ends it and begins it again, and whether by a block."""
APART_S = (0.05, 0.15)
"""Between two messages of one person."""
CHANGE_APART_S = (0.5, 2.0)
BEFORE_S, BEHIND_S = 2.0, 4.0
"""So long there is traffic before the fault, and after it is over."""
PATIENCE_S = 20.0
REFUSED_S = 0.05
"""A hop that was over sooner was most likely refused: the next one waits as long."""
TO_THE_END_S = 120.0


class Somebody:
    """One account: what it has sent, and what it has seen."""

    def __init__(self, person: Person, start_seq: int) -> None:
        self.person = person
        self.seen = Seen(person.id, start_seq)
        self.texts: Counter[str] = Counter()
        self.sent: list[Sent] = []

    @classmethod
    async def come(cls, url: str, name: str) -> Somebody:
        person = await Person.register(url, name)
        return cls(person, int((await person.http.get("/api/friends")).json()["seq"]))

    def take(self, event: dict[str, Any]) -> None:
        """The next event that came over any transport."""
        self.seen.take(event)
        if event["type"] == "message":
            self.texts[f"{event['from']['id']} {event['text']}"] += 1

    async def call(self, method: str, path: str, *statuses: int, **more: Any) -> httpx.Response:
        """Ask until it is answered with one of these; what is not known is asked again."""
        more.setdefault("json", {})
        async with asyncio.timeout(TO_THE_END_S):
            while True:
                try:
                    asking = self.person.http.request(method, path, **more)
                    answer = await asyncio.wait_for(asking, PATIENCE_S)
                    if answer.status_code in statuses:
                        return answer
                    if answer.status_code < 500:
                        raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
                except GONE as error:
                    if isinstance(error, Refused):
                        raise
                await asyncio.sleep(0.2)

    async def befriend(self, other: Somebody) -> None:
        """Ask, and have the other accept; good also where a part of it has happened."""
        # A block that the balancer gave up waiting for, and asked another server for, may be carried out late.
        while (
            await self.call("PUT", f"/api/friends/{other.person.id}", 200, 409)
        ).status_code == 409:
            await self.call("DELETE", f"/api/blocks/{other.person.id}", 204)
        await other.call("PUT", f"/api/friends/{self.person.id}", 200)


class Crowd:
    """Everybody behind `url`; what they draw follows from `seed`."""

    def __init__(self, url: str, seed: str) -> None:
        self.url = url
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.remarks: list[str] = []
        self.people: list[Somebody] = []
        self.acknowledged_s: list[float] = []
        """When each was, on the monotonic clock."""
        self.longest_at_s = 0.0
        """When the longest time without one began, after the fault did."""
        self._stopping = asyncio.Event()
        self._written = asyncio.Event()

    async def prepare(self) -> None:
        """Accounts, and friendships between some of them."""
        self.people = [await Somebody.come(self.url, f"P{n}") for n in range(PEOPLE)]
        for one, other in FRIENDS:
            await self.people[one].befriend(self.people[other])

    async def run(self, fault: Coroutine[Any, Any, None]) -> float:
        """Traffic before, during and after `fault`; the longest time without an acknowledgement in it, in seconds."""
        begin = asyncio.create_task
        reading = [begin(self._read(one)) for one in self.people]
        writing = [begin(self._write(one)) for one in self.people]
        writing += [begin(self._change(*pair)) for pair in CHANGING]
        await asyncio.sleep(BEFORE_S)
        began_s = time.monotonic()
        await fault
        await asyncio.sleep(BEHIND_S)
        ended_s = time.monotonic()
        self._stopping.set()
        await asyncio.gather(*writing)
        for one in self.people:
            await self._say(one, "the last")
        self._written.set()
        await asyncio.gather(*reading)
        self.judge()
        moments = [at for at in self.acknowledged_s if began_s < at < ended_s]
        pairs = itertools.pairwise([began_s, *moments, ended_s])
        longest_s, at_s = max((later - earlier, earlier) for earlier, later in pairs)
        self.longest_at_s = at_s - began_s
        return longest_s

    # Reading.

    async def _read(self, one: Somebody) -> None:
        until_s: float | None = None
        while not self._has_all(one):
            kind = self.random.choice(KINDS)
            reader = kind(self.url, one.person.token, client=one.person.id)
            self.counts["hops"] += 1
            began_s = time.monotonic()
            await hop(reader, one.seen.cursor, one.take, self.random.randint(1, 40))
            if time.monotonic() - began_s < REFUSED_S:
                await asyncio.sleep(REFUSED_S)
            if self._written.is_set():
                until_s = until_s or time.monotonic() + TO_THE_END_S
                if time.monotonic() > until_s:
                    self.remarks.append(f"{one.person.id} never came to the end")
                    self.counts["lost"] += 1
                    return

    def _has_all(self, one: Somebody) -> bool:
        return self._written.is_set() and one.seen.cursor >= one.sent[-1].seq

    # Writing.

    async def _write(self, one: Somebody) -> None:
        for number in itertools.count():
            if self._stopping.is_set():
                return
            await self._say(one, str(number))
            await asyncio.sleep(self.random.uniform(*APART_S))

    async def _say(self, one: Somebody, text: str) -> None:
        """Write until it is acknowledged. Now and then the client is gone before the answer, and sends again."""
        self.counts["sent"] += 1
        async with asyncio.timeout(TO_THE_END_S):
            while True:
                patience_s = self.random.choice([0.001, 0.004, *[PATIENCE_S] * 6])
                try:
                    sending = one.person.send(text, client_id=f"{one.person.id} {text}")
                    seq = await asyncio.wait_for(sending, patience_s)
                    break
                except GONE:
                    self.counts["retries"] += 1
                    await asyncio.sleep(0.02)
        self.counts["acknowledged"] += 1
        self.acknowledged_s.append(time.monotonic())
        one.sent.append(Sent(seq, one.person.id, None))

    async def _change(self, one_at: int, other_at: int, block: bool) -> None:
        one, other = self.people[one_at], self.people[other_at]
        while not self._stopping.is_set():
            await asyncio.sleep(self.random.uniform(*CHANGE_APART_S))
            if block:
                await one.call("PUT", f"/api/blocks/{other.person.id}", 204)
                await one.call("DELETE", f"/api/blocks/{other.person.id}", 204)
            else:
                await one.call("DELETE", f"/api/friends/{other.person.id}", 204)
            await asyncio.sleep(self.random.uniform(*CHANGE_APART_S))
            await one.befriend(other)
            self.counts["changes"] += 1

    # The verdict.

    def judge(self) -> None:
        """Count what is wrong, and say it in words."""
        sent = [each for one in self.people for each in one.sent]
        for one in self.people:
            self.counts += one.seen.counts
            self.remarks += one.seen.remarks
            lost = one.seen.lost(sent)
            self.counts["lost"] += len(lost)
            self.remarks += [f"lost at {one.person.id}: {each}" for each in lost]
            doubled = [text for text, count in one.texts.items() if count > 1]
            self.counts["doubled"] += len(doubled)
            self.remarks += [f"doubled at {one.person.id}: {text}" for text in doubled]
            places = [each.seq for each in one.sent]
            if places != sorted(set(places)):
                self.counts["disordered"] += 1
                self.remarks.append(f"what {one.person.id} wrote stands in another order: {places}")
