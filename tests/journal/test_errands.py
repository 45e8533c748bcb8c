"""What one node has another one do: answered once, taken back where nobody waits, given up where the other is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chatserver.core.errors import Unavailable
from chatserver.journal import errands
from chatserver.journal.errands import Errand, Errands


class Wires:
    """NATS in one process: `hearing` by subject."""

    def __init__(self) -> None:
        self.hearing: dict[str, Callable[[Any], None]] = {}
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        message = SimpleNamespace(data=payload, reply=reply)
        if subject in self._waiting:
            self._waiting[subject].set_result(message)
        else:
            self.hearing[subject](message)

    async def subscribe(self, subject: str, receive: Callable[[Any], None]) -> None:
        self.hearing[subject] = receive

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> Any:
        inbox = f"inbox {len(self._waiting)}"
        self._waiting[inbox] = asyncio.get_running_loop().create_future()
        self.publish(subject, payload, inbox)
        return await self._waiting[inbox]


async def two() -> tuple[Errands, Errands]:
    """Two nodes, which hear of their errands."""
    wires = Wires()
    both = [_node(wires, name, other) for name, other in (("a", "b"), ("b", "a"))]
    for each in both:
        await each.start()
    return both[0], both[1]


def _node(wires: Wires, name: str, other: str) -> Errands:
    return Errands(wires, lambda node: f"errand {node}", name, lambda: [other])


async def test_an_errand_is_carried_out_at_the_other_node_and_answered() -> None:
    one, other = await two()

    async def turned(errand: Errand) -> bytes:
        await asyncio.sleep(0)
        return errand.question[::-1]

    other.serve("do", turned)
    asked = [one.ask("b", "do", question, 5.0) for question in (b"abc\ndef", b"", b"x" * 10_000)]
    assert await asyncio.gather(*asked) == [b"fed\ncba", b"", b"x" * 10_000]


@pytest.mark.parametrize("data", [b"", b"no JSON", b"7", b"null", b"[1]", b'{"kind": "do"}'])
async def test_what_no_node_can_have_asked_is_passed_over_and_the_next_is_answered(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = await two()

    async def turned(errand: Errand) -> bytes:
        return errand.question[::-1]

    other.serve("do", turned)
    other._receive(SimpleNamespace(data=data, reply="nobody"))
    assert "passed over" in caplog.text
    assert await one.ask("b", "do", b"abc", 5.0) == b"cba"


async def test_an_errand_that_nobody_waits_for_is_taken_back() -> None:
    one, other = await two()
    began, back = asyncio.Event(), asyncio.Event()

    async def until_back(errand: Errand) -> bytes:
        errand.taken_back = back.set
        began.set()
        await back.wait()
        return b""

    other.serve("do", until_back)
    asking = asyncio.create_task(one.ask("b", "do", b"", 5.0))
    await began.wait()
    asking.cancel()
    async with asyncio.timeout(5):
        await back.wait()
    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], BaseException)


async def test_nobody_waits_for_a_node_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "LOOK_S", 0.001)
    one, other = await two()

    async def never(errand: Errand) -> bytes:
        await asyncio.Event().wait()
        return b""

    other.serve("do", never)
    monkeypatch.setattr(one, "is_there", lambda node_id: False)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(5):
            await one.ask("b", "do", b"", 60.0)
    other.close()


async def test_all_are_asked_and_who_does_not_answer_is_left_out() -> None:
    one, other = await two()

    async def hear(fields: list[int]) -> int:
        if not fields:
            raise ValueError("nothing to add")
        return sum(fields)

    other.serve_all("sum", hear)
    assert await one.ask_all("sum", [1, 2]) == [3]


async def test_a_node_that_lives_is_waited_for_however_often_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "LOOK_S", 0.0)
    one, other = await two()
    looks = 0

    def others() -> list[str]:
        nonlocal looks
        looks += 1
        if looks == 5:
            answer.set()
        return ["b"]

    monkeypatch.setattr(one, "_others", others)
    answer = asyncio.Event()

    async def late(errand: Errand) -> bytes:
        await answer.wait()
        return b"done"

    other.serve("do", late)
    async with asyncio.timeout(30):
        assert await one.ask("b", "do", b"", 60.0) == b"done"


async def test_what_a_node_does_not_know_or_has_no_room_for_is_not_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "PENDING_MAX", 2)
    one, other = await two()
    carried: list[bytes] = []
    end = asyncio.Event()

    async def wait(errand: Errand) -> bytes:
        carried.append(errand.question)
        await end.wait()
        return b"done"

    other.serve("do", wait)
    asked = [
        asyncio.create_task(one.ask("b", kind, question, 60.0))
        for kind, question in (("of a newer node", b"0"), ("do", b"1"), ("do", b"2"), ("do", b"3"))
    ]
    newer = b'[2,"a","do",9]\n4'
    other._receive(SimpleNamespace(data=newer, reply="nobody"))
    while len(carried) < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    end.set()
    assert await asyncio.gather(*asked[1:3]) == [b"done"] * 2 and carried == [b"1", b"2"]
    # Nobody waits for the others any more; what is taken back is none of its errands.
    for task in (asked[0], asked[3]):
        task.cancel()
    await asyncio.wait(asked)
    assert not other._open


async def test_an_answer_that_is_too_long_for_nats_is_none_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(errands, "ANSWER_BYTES", 10)
    one, other = await two()

    async def answer(errand: Errand) -> bytes:
        return errand.question

    other.serve("do", answer)
    asked = asyncio.create_task(one.ask("b", "do", b"x" * 11, 60.0))
    while "is too long for NATS" not in caplog.text:
        await asyncio.sleep(0)
    assert await one.ask("b", "do", b"x" * 10, 60.0) == b"x" * 10
    assert not asked.done() and not other._open
    asked.cancel()
    await asyncio.wait([asked])
