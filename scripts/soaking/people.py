"""Somebody who reads over any transport at one cursor, and does what people do, at random."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from typing import Any

import httpx

from scripts.soaking.gate import Gate
from scripts.soaking.model import Seen, Sent
from tests.support.clients import PASSWORD, READERS, EventsReader, Person, expect, opened
from tests.traffic.traffic import GONE, hop

FIRST_READ_S = 2.0


class Somebody:
    """One account, its reading and its doing."""

    def __init__(self, url: str, person: Person, start_seq: int, gate: Gate, seed: str) -> None:
        self.url = url
        self.person = person
        self.seen = Seen(person.id, start_seq)
        self.sent: list[Sent] = []
        self.counts: Counter[str] = Counter()
        """`sent`, `acknowledged`, and what else was done."""
        self.remarks: list[str] = []
        self._gate = gate
        self._random = random.Random(seed)

    @classmethod
    async def come(cls, url: str, name: str, gate: Gate, seed: str) -> Somebody:
        """A new account, which starts at the present."""
        person = await Person.register(url, name)
        opened.remove(person)
        start = int((await person.http.get("/api/friends")).json()["seq"])
        return cls(url, person, start, gate, seed)

    # Reading.

    async def read(self) -> None:
        """Hop from transport to transport, and now and then stop reading, for ever."""
        while True:
            async with self._gate:
                if self._random.random() < 0.04:
                    await self._stall()
                else:
                    await self._hop(self._random.randint(1, 40))

    async def _hop(self, events: int, patience_s: float = FIRST_READ_S) -> None:
        kind = self._random.choice(READERS)
        client = self.person.id if self._random.random() < 0.7 else f"{self.person.id[:8]}-2"
        reader = kind(self.url, self.person.token, client=client)
        opened.remove(reader)
        self.counts["hops"] += 1
        await hop(reader, self.seen.cursor, self.seen.take, events, patience_s)

    async def _stall(self) -> None:
        """Take nothing for a while, then vanish: whatever came counts as not read."""
        reader = EventsReader(self.url, self.person.token, client=f"{self.person.id[:8]}-s")
        opened.remove(reader)
        self.counts["stalls"] += 1
        try:
            await reader.connect(self.seen.cursor)
            reader.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(self._random.uniform(1, 8))
        except GONE:
            pass
        finally:
            await reader.drop()

    async def catch_up(self, limit_s: float) -> None:
        """Read until one's own last message has come. Raises `TimeoutError`."""
        seq = await self._send({"text": f"the last of {self.person.id}"}, retried=False)
        assert seq is not None
        async with asyncio.timeout(limit_s):
            while self.seen.cursor < seq:
                await self._hop(1000, 0.5)

    # Doing.

    async def do(self, others: list[Somebody]) -> None:
        """Write, befriend, end, block, sign out and in again, for ever."""
        ways: list[tuple[Any, int]] = [
            (self._broadcast, 60),
            (self._write_to_one, 25),
            (self._befriend, 10),
            (self._unfriend, 2),
            (self._block, 1),
            (self._mark_read, 8),
            (self._sign_out, 2),
            (self._rename, 2),
        ]
        works, weights = zip(*ways, strict=True)
        while True:
            async with self._gate:
                (work,) = self._random.choices(works, weights)
                try:
                    if here := [one for one in others if one is not self]:
                        await work(self._random.choice(here))
                except (OSError, httpx.TransportError):
                    self.counts["gone"] += 1
            await asyncio.sleep(self._random.uniform(0.0, 0.8))

    async def _broadcast(self, other: Somebody) -> None:
        length = self._random.choice([5, 20, 200, 3000])
        await self._send({"text": f"{uuid.uuid4().hex} {'x' * length}"})

    async def _write_to_one(self, other: Somebody) -> None:
        await self._send({"text": uuid.uuid4().hex, "to": other.person.id})

    async def _send(self, fields: dict[str, str], retried: bool = True) -> int | None:
        """Write until it is acknowledged, or refused; its seq."""
        body = fields | {"clientId": uuid.uuid4().hex}
        self.counts["sent"] += 1
        places: set[int] = set()
        again = retried and self._random.random() < 0.2
        while True:
            patience_s = self._random.choice([0.001, 0.004, 20.0, 20.0, 20.0]) if retried else 20.0
            try:
                request = self.person.http.post("/api/messages", json=body)
                answer = await asyncio.wait_for(request, patience_s)
            except (TimeoutError, httpx.HTTPError):
                self.counts["retries"] += 1
                continue
            if answer.status_code in (403, 404):
                self.counts["refused"] += 1
                return None
            if answer.status_code in (429, 503):
                await asyncio.sleep(float(answer.headers["Retry-After"]) / 2)
                continue
            places.add(int(expect(answer, 200, 201).json()["seq"]))
            if not again:
                break
            again = False
        if len(places) > 1:
            self.seen.counts["doubled"] += 1
            self.remarks.append(f"one clientId has the places {places}")
        self.counts["acknowledged"] += 1
        self.sent.append(Sent(min(places), self.person.id, fields.get("to")))
        return min(places)

    async def _befriend(self, other: Somebody) -> None:
        await self._call("PUT", f"/api/friends/{other.person.id}", 200, 404, 409)

    async def _unfriend(self, other: Somebody) -> None:
        self.counts["ends"] += 1
        await self._call("DELETE", f"/api/friends/{other.person.id}", 204)

    async def _block(self, other: Somebody) -> None:
        self.counts["blocks"] += 1
        await self._call("PUT", f"/api/blocks/{other.person.id}", 204, 404)  # they may be leaving
        await asyncio.sleep(self._random.uniform(0, 1))
        await self._call("DELETE", f"/api/blocks/{other.person.id}", 204, 404)

    async def _mark_read(self, other: Somebody) -> None:
        fields: dict[str, Any] = {"upTo": self.seen.cursor}
        if self._random.random() < 0.5:
            fields["with"] = other.person.id
        await self._call("POST", "/api/read", 200, 204, 403, 404, json=fields)

    async def _rename(self, other: Somebody) -> None:
        name = f"N{self._random.randint(0, 999)}"
        await self._call("PATCH", "/api/me", 200, json={"firstName": name})

    async def _call(self, method: str, path: str, *statuses: int, **more: Any) -> None:
        more.setdefault("json", {})
        answer = await self.person.http.request(method, path, **more)
        expect(answer, *statuses, 429, 503)

    async def _sign_out(self, other: Somebody) -> None:
        """The token that reads is revoked: its stream must end; then sign in again, at the same cursor."""
        self.counts["sign-outs"] += 1
        reader = EventsReader(self.url, self.person.token, client=f"{self.person.id[:8]}-o")
        opened.remove(reader)
        try:
            await reader.connect(self.seen.cursor)
            await self._call("POST", "/api/logout", 204)
            try:
                async with asyncio.timeout(5):
                    while await reader.reader.read(1 << 16):
                        pass
            except TimeoutError:
                self.seen.counts["forbidden"] += 1
                self.remarks.append(f"{self.person.id} was signed out and went on reading")
        finally:
            await reader.drop()
            await self.renew()

    async def renew(self) -> None:
        """Sign in again, on new connections."""
        old = self.person
        await old.http.aclose()
        self.person = await Person.sign_in(self.url, old.email, PASSWORD)
        opened.remove(self.person)

    async def leave(self) -> None:
        """Delete the account."""
        self.counts["left"] += 1
        await self.person.end()
        await self.person.close()
