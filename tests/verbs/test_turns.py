"""Turns: everybody queues behind themselves alone, in bounded queues, and what may not wait goes first."""

from __future__ import annotations

import asyncio
import random

import pytest

from chatserver.core.errors import RateLimited, Unavailable
from chatserver.verbs.turns import Line, Turns

REFUSAL = "Too much at once."


class Work:
    """Things done in turn: who began, in order; each ends when it is let go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.running: dict[str, list[asyncio.Event]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, *keys: str, line: int = 0) -> None:
        for key in keys:
            self.tasks.append(asyncio.create_task(self._do(key, line)))
            await asyncio.sleep(0)
        await settled()

    async def _do(self, key: str, line: int) -> None:
        async with self.turns.turn(key, line):
            self.began.append(key)
            end = asyncio.Event()
            self.running.setdefault(key, []).append(end)
            try:
                await end.wait()
            finally:
                self.running[key].remove(end)

    async def end(self, key: str) -> None:
        self.running[key][0].set()
        await settled()

    def count(self) -> int:
        return sum(map(len, self.running.values()))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_user_has_two_turns_and_the_others_theirs() -> None:
    work = Work(Turns(3, Line(3, 2, 100, REFUSAL)))
    await work.ask(*["ann"] * 50, "bob")
    assert work.began == ["ann", "ann", "bob"]
    await work.ask("cho", "bob")
    await work.end("ann")
    assert work.began[3:] == ["cho"], "not the next of ann's forty-eight"
    await work.end("bob")
    await work.end("cho")
    assert work.began[4:] == ["bob", "ann"], "round robin"


async def test_who_asks_for_too_much_is_refused_and_the_others_are_not() -> None:
    work = Work(Turns(2, Line(2, 2, 3, REFUSAL)))
    await work.ask(*["ann"] * 6)
    with pytest.raises(RateLimited, match=REFUSAL):
        await work.tasks[-1]
    await work.ask("bob")
    assert work.turns.waiting == 4 and not work.tasks[-1].done()


async def test_memory_is_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatserver.verbs.turns.WAITING_MAX", 4)
    work = Work(Turns(1, Line(1, 1, 100, REFUSAL)))
    await work.ask(*(f"user {n}" for n in range(6)))
    with pytest.raises(Unavailable):
        await work.tasks[-1]


async def test_the_first_line_goes_first_and_the_second_leaves_room_for_it() -> None:
    work = Work(Turns(2, Line(2, 2, 9, REFUSAL), Line(1, 1, 9, REFUSAL)))
    await work.ask("r1", "r2", "r3", line=1)
    assert work.began == ["r1"], "one thread is there for whoever signs in"
    await work.ask("s1", "s2", "s3")
    await work.end("r1")
    assert work.began == ["r1", "s1", "s2"]
    await work.end("s1")
    assert work.began[3:] == ["s3"]
    await work.end("s2")
    assert work.began[4:] == ["r2"]


async def test_whoever_gives_up_leaves_no_trace() -> None:
    work = Work(Turns(1, Line(1, 1, 9, REFUSAL)))
    await work.ask("ann", "bob", "cho")
    work.tasks[1].cancel()
    await settled()
    await work.end("ann")
    assert work.began == ["ann", "cho"] and work.turns.waiting == 0
    # Given its turn and cancelled in the same moment.
    await work.ask("dee", "eve")
    work.running["cho"][0].set()
    await asyncio.sleep(0)
    work.tasks[3].cancel()
    await settled()
    assert "eve" in work.began


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_comes_every_turn_is_given_and_given_back(seed: int) -> None:
    chance = random.Random(seed)
    turns = Turns(3, Line(3, 2, 20, REFUSAL), Line(1, 1, 20, REFUSAL))
    peak: dict[str, int] = {}
    now: dict[str, int] = {}

    async def one(key: str, line: int) -> None:
        async with turns.turn(key, line):
            for name in (key, "all"):
                now[name] = now.get(name, 0) + 1
                peak[name] = max(peak.get(name, 0), now[name])
            try:
                await asyncio.sleep(chance.random() / 500)
            finally:
                now[key] -= 1
                now["all"] -= 1

    tasks = []
    for _ in range(300):
        line = chance.randrange(2)
        key = f"{line} {chance.randrange(8)}"
        tasks.append(asyncio.create_task(one(key, line)))
        if chance.random() < 0.2:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert peak["all"] <= 3 and max(v for k, v in peak.items() if k != "all") <= 2
    assert turns.waiting == 0 and turns._free == 3
    assert not any(each.queues for each in turns._rounds)
