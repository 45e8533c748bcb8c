"""Who has been put out while a part fails: friendships end, people block and sign out, and no node may go by what was before.

Each change is made once, through the balancer. As soon as it is acknowledged every node is asked by itself, the one that
is cut off or frozen too: its answer may come late, but it must not be one of before. The one who was put out also reads on
a connection to the victim all the time, and must neither get a message nor see the other type.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx

from scripts.faulting.crowd import Somebody
from scripts.soaking.soak import ended
from tests.support.clients import WebSocketReader
from tests.traffic.traffic import GONE

WAVES_S = (0.5, 8.0)
"""When the changes are made, after the fault: at once, when nobody has noticed it yet, and in the middle."""
ASK_S = 90.0
ENDINGS = ("unfriend", "block", "logout", "unfriend")


class PutOut:
    """`one` ends what there is with `other`, or signs out; `victim` is the address of the node that fails."""

    def __init__(self, ending: str, one: Somebody, other: Somebody, victim: str) -> None:
        self.counts: Counter[str] = Counter()
        self.remarks: list[str] = []
        self._ending = ending
        self._one, self._other = one, other
        self._victim = victim
        self._over = False
        self._before = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """Become friends, and see that a message comes over the connection that will be watched."""
        await self._one.befriend(self._other)
        self._tasks = [asyncio.create_task(each) for each in (self._listen(), self._type())]
        await self._say("before")
        async with asyncio.timeout(30):
            await self._before.wait()

    async def end(self, nodes: list[str]) -> None:
        """Make the change, and then ask everywhere."""
        one, other = self._one.person, self._other.person
        if self._ending == "logout":
            # Signed out already is what a repeat is told whose first attempt was not answered.
            await self._one.call("POST", "/api/logout", 204, 401)
        elif self._ending == "block":
            await self._other.call("PUT", f"/api/blocks/{one.id}", 204)
        else:
            await self._other.call("DELETE", f"/api/friends/{one.id}", 204)
        self._over = True
        if self._ending == "logout":
            asked = [self._ask(node, "GET", "/api/me") for node in nodes]
        else:
            asked = [self._ask(node, "GET", "/api/friends") for node in nodes]
            asked += [self._write_to(node) for node in nodes]
        await asyncio.gather(self._say(f"not for {one.id} since {other.id} has ended it"), *asked)

    async def close(self) -> None:
        """Stop listening; what was seen is in `counts`."""
        await ended(self._tasks)
        self.counts["forbidden"] += self._one.seen.counts["forbidden"]
        self.remarks += self._one.seen.remarks

    async def _say(self, text: str) -> None:
        body = {"text": text, "clientId": text[:64]}
        await self._other.call("POST", "/api/messages", 200, 201, json=body)

    async def _write_to(self, node: str) -> None:
        other = self._other.person
        await self._ask(node, "POST", "/api/messages", {"text": "still there?", "to": other.id})

    async def _ask(
        self,
        node: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
    ) -> None:
        """An answer of before is noted; none at all is none."""
        headers = {"Authorization": f"Bearer {self._one.person.token}"}
        try:
            # What would check certificates takes 30 ms to load, which the traffic would wait for.
            async with httpx.AsyncClient(timeout=ASK_S, headers=headers, verify=False) as http:
                answer = await http.request(
                    method, node + path, json=None if method == "GET" else body or {}
                )
        except httpx.HTTPError:
            return
        self.counts["asked"] += 1
        stale = answer.status_code == 200
        if path == "/api/friends":
            friends = answer.json().get("friends", [])
            stale = stale and self._other.person.id in json.dumps(friends)
        elif path == "/api/messages":
            stale = answer.status_code in (200, 201)
        if stale:
            self._note(f"{self._ending}: {method} {node}{path}: {answer.status_code}")

    def _note(self, remark: str) -> None:
        self.counts["forbidden"] += 1
        self.remarks.append(f"stale: {remark}")

    async def _listen(self) -> None:
        """Read at the victim all the time, as soon as it takes a connection."""
        person = self._one.person
        while True:
            reader = WebSocketReader(self._victim, person.token, client=f"w-{person.id}"[:32])
            try:
                await reader.connect(self._one.seen.cursor)
                if self._over and self._ending == "logout":
                    self._note("a reader came in with a login that had ended")
                while True:
                    self._hear(json.loads(await reader.receive()))
            except GONE:
                await asyncio.sleep(0.2)
            finally:
                with suppress(*GONE):
                    await reader.drop()

    async def _type(self) -> None:
        """The other one comes to the victim and goes again, and types in between, to all and to the one."""
        while True:
            person = self._other.person
            reader = WebSocketReader(self._victim, person.token, client=f"t-{person.id}"[:32])
            try:
                await reader.connect()
                for _ in range(3):
                    await reader.say(type="typing")
                    await reader.say(type="typing", to=self._one.person.id)
                    await asyncio.sleep(0.5)
            except GONE:
                await asyncio.sleep(0.2)
            finally:
                with suppress(*GONE):
                    await reader.drop()

    def _hear(self, fields: dict[str, Any]) -> None:
        about = fields.get("from") if fields["type"] == "typing" else fields.get("user")
        signal = fields["type"] in ("typing", "presence") and self._ending != "logout"
        if signal and self._over and about == self._other.person.id:
            self._note(f"{fields['type']} was seen after {self._ending}")
        if fields["type"] == "message" and self._over and self._ending == "logout":
            self._note("a message came to a login that had ended")
        if "seq" in fields and fields["type"] != "hello":
            self._one.take(fields)
            if fields["type"] == "message":
                self._before.set()


class Ends:
    """All the changes of one run; `nodes` are the addresses of the servers themselves."""

    def __init__(self, url: str, nodes: list[str], victim: str) -> None:
        self._url, self._nodes, self._victim = url, nodes, victim
        self._waves: list[list[PutOut]] = []

    async def prepare(self) -> None:
        for wave in range(len(WAVES_S)):
            self._waves.append(
                [await self._put_out(f"{wave}{n}", e) for n, e in enumerate(ENDINGS)]
            )

    async def _put_out(self, name: str, ending: str) -> PutOut:
        one = await Somebody.come(self._url, f"One{name}")
        other = await Somebody.come(self._url, f"Other{name}")
        put_out = PutOut(ending, one, other, self._victim)
        await put_out.prepare()
        return put_out

    async def run(self) -> None:
        """Make the changes, wave by wave, and wait for every answer."""
        waves = zip(WAVES_S, self._waves, strict=True)
        await asyncio.gather(*(self._end(at_s, wave) for at_s, wave in waves))

    async def _end(self, at_s: float, wave: list[PutOut]) -> None:
        await asyncio.sleep(at_s)
        await asyncio.gather(*(each.end(self._nodes) for each in wave))

    async def close(self) -> tuple[Counter[str], list[str]]:
        counts: Counter[str] = Counter()
        remarks: list[str] = []
        for each in [put_out for wave in self._waves for put_out in wave]:
            await each.close()
            counts += each.counts
            remarks += each.remarks
        return counts, remarks
