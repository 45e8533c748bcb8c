"""The run: people and attackers on one server, quiet moments, and the verdict."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.soaking.attacks import Attacker
from scripts.soaking.gate import Gate
from scripts.soaking.measure import Held, settled
from scripts.soaking.model import Sent
from scripts.soaking.people import Somebody
from tests.support.clients import Person, opened
from tests.support.process import ServerProcess

PEOPLE = 10
ATTACKERS = 2
OPTIONS = ("--mailbox-linger-s", "4", "--offline-grace-s", "1", "--stuck-s", "5")
"""What lingers goes soon, so that quiet moments are short."""
CHANGE_S = 10.0
"""How often somebody new comes, and the one who came before goes for good."""
WARM_UP_SHARE, WARM_UP_MAX_S = 0.2, 60.0
"""Before the first look everything has to have happened once: code, caches and pools are loaded on demand."""
OUT_S = 30.0
CATCH_UP_S = 60.0
AGAIN_S = 1.0
"""How long after a cancellation the next is sent."""

WRONG = ("lost", "doubled", "disordered", "forbidden", "resets")


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel `tasks`, and return when they have ended: Python 3.11's `wait_for` swallows a cancellation that
    comes in the turn of its answer, and whoever went on would be waited for without end."""
    while going_on := [task for task in tasks if not task.done()]:
        for task in going_on:
            task.cancel()
        await asyncio.wait(going_on, timeout=AGAIN_S)


class Soak:
    """One run in `folder`; `say` is told how it goes on."""

    def __init__(self, folder: Path, minutes: float, seed: int, say: Callable[[str], None]) -> None:
        self.server = ServerProcess(folder, *OPTIONS)
        self.remarks: list[str] = []
        self._minutes = minutes
        self._seed = seed
        self._say = say
        self._gate = Gate()
        self._names = itertools.count()
        self._people: list[Somebody] = []
        self._gone: list[Somebody] = []
        self._attackers: list[Attacker] = []
        self._tasks: dict[Somebody, list[asyncio.Task[None]]] = {}
        self._failed: list[BaseException] = []

    async def run(self) -> tuple[Counter[str], list[Held]]:
        """Everything that was counted, and what the server held at each quiet moment."""
        looks: list[Held] = []
        try:
            self.server.start()
            for _ in range(PEOPLE):
                await self._come()
            for number in range(ATTACKERS):
                await self._begin_attacking(number)
            whole_s = self._minutes * 60
            warm_s = min(WARM_UP_MAX_S, whole_s * WARM_UP_SHARE)
            for phase_s in (warm_s, (whole_s - warm_s) / 2, (whole_s - warm_s) / 2):
                await self._go_on(phase_s)
                looks.append(await self._quiet(looks[0] if looks else None))
                self._say(f"a quiet moment: {looks[-1]}")
            await self._end()
        finally:
            for task in (*itertools.chain(*self._tasks.values()),):
                task.cancel()
            code = self.server.stop()
        return self._verdict(looks, code), looks

    async def _come(self) -> Somebody:
        name = f"P{next(self._names)}"
        one = await Somebody.come(self.server.url, name, self._gate, f"{self._seed} {name}")
        self._people.append(one)
        loop = asyncio.get_running_loop()
        self._tasks[one] = [loop.create_task(one.read()), loop.create_task(one.do(self._people))]
        return one

    async def _begin_attacking(self, number: int) -> None:
        person = await Person.register(self.server.url, "Mallory")
        opened.remove(person)
        await person.close()  # it is the token that attacks
        attacker = Attacker(self.server.url, person, self._gate, f"{self._seed} attacker {number}")
        self._attackers.append(attacker)
        task = asyncio.get_running_loop().create_task(attacker.attack())
        self._tasks.setdefault(self._people[0], []).append(task)

    async def _go_on(self, seconds: float) -> None:
        """Let everybody do as they like; now and then somebody comes, and goes for good."""
        draw = random.Random(f"{self._seed} {seconds}")
        end_s = time.monotonic() + seconds
        newcomer: Somebody | None = None
        while (left_s := end_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, CHANGE_S * draw.uniform(0.5, 1.5)))
            self._look_for_failures()
            if newcomer is not None:
                await self._go(newcomer)
                newcomer = None
            elif time.monotonic() < end_s:
                newcomer = await self._come()

    async def _go(self, one: Somebody) -> None:
        self._people.remove(one)
        await ended(self._tasks.pop(one))
        await one.renew()
        await one.leave()
        self._gone.append(one)

    def _look_for_failures(self) -> None:
        for task in itertools.chain(*self._tasks.values()):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _quiet(self, first: Held | None) -> Held:
        """Have everybody out, and see what is left."""
        await self._gate.close(OUT_S)
        # All at once, so that each thread for passwords has had one at every look: what Argon2 held stays with
        # the thread's allocator.
        await asyncio.gather(*(one.renew() for one in self._people))
        for one in self._people:
            await one.person.http.aclose()
        held = await settled(self.server, first)
        for one in self._people:
            await one.renew()
        self._gate.open()
        return held

    async def _end(self) -> None:
        """Everybody stops writing, and reads to the end."""
        await self._gate.close(OUT_S)
        self._look_for_failures()
        await ended([*itertools.chain(*self._tasks.values())])
        for one in self._people:
            try:
                await one.catch_up(CATCH_UP_S)
            except TimeoutError:
                one.seen.counts["lost"] += 1
                self.remarks.append(f"{one.person.id} did not catch up")
            await one.person.close()

    def _verdict(self, looks: list[Held], code: int) -> Counter[str]:
        everybody = [*self._people, *self._gone]
        gone = {one.person.id for one in self._gone}
        sent: list[Sent] = [each for one in everybody for each in one.sent]
        # What somebody wrote whose account is no more went with it.
        sent = [each for each in sent if each.author not in gone]
        counts: Counter[str] = Counter()
        for one in everybody:
            counts += one.counts + one.seen.counts
            self.remarks += one.seen.remarks + one.remarks
        for one in self._people:
            lost = one.seen.lost(sent)
            counts["lost"] += len(lost)
            self.remarks += [f"lost at {one.person.id}: {each}" for each in lost]
        for attacker in self._attackers:
            counts["attacks"] += attacker.counts.total()
        for held in looks[1:]:
            for what in held.grown_over(looks[0]):
                counts["grown"] += 1
                self.remarks.append(f"{what} did not return: {held}, at first {looks[0]}")
        complaints = self.server.complaints()
        counts["complaints"] += len(complaints) + (code != 0)
        self.remarks += complaints + ([f"the server ended with {code}"] if code else [])
        return counts
