"""The server's event loop: a turn looks at so many sockets, all have their turn, and asyncio does what it does elsewhere."""

from __future__ import annotations

import asyncio
import selectors
import socket
import subprocess
import sys
from collections import Counter

import pytest

from chatserver.command.loop import SOCKETS_A_TURN, FewAtOnce, new_loop


def test_of_many_sockets_that_are_ready_a_turn_looks_at_some_and_all_have_theirs() -> None:
    pairs = [socket.socketpair() for _ in range(400)]
    heard: list[Counter[int]] = [Counter()]

    def hear(number: int) -> None:
        heard[-1][number] += 1

    async def listen() -> None:
        loop = asyncio.get_running_loop()
        for number, (ours, theirs) in enumerate(pairs):
            loop.add_reader(ours, hear, number)
            theirs.send(b"x")  # which nobody takes: it is ready for ever
        for _ in range(40):
            await asyncio.sleep(0)
            heard.append(Counter())
        for ours, _ in pairs:
            assert loop.remove_reader(ours)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(listen())
    assert max(sum(turn.values()) for turn in heard) == SOCKETS_A_TURN
    times = sum(heard, Counter())
    assert len(times) == 400 and max(times.values()) - min(times.values()) <= 1, "in turn"
    for pair in pairs:
        for end in pair:
            end.close()


def test_it_selects_as_the_selectors_of_python_do() -> None:
    with FewAtOnce(10) as ours, selectors.EpollSelector() as theirs:
        left, right = socket.socketpair()
        for each in (ours, theirs):
            each.register(left, selectors.EVENT_READ, "read")
            with pytest.raises(KeyError):
                each.register(left, selectors.EVENT_READ)
            with pytest.raises(KeyError):
                each.unregister(right)
            assert each.select(0) == []
            each.modify(left, selectors.EVENT_READ | selectors.EVENT_WRITE, "both")
            assert [events for _, events in each.select(1)] == [selectors.EVENT_WRITE]
        right.close()  # an end is for whoever reads and whoever writes
        for each in (ours, theirs):
            (key, events), *rest = each.select(None)
            assert (key.fd, key.data, events, rest) == (left.fileno(), "both", 3, [])
            each.modify(left, selectors.EVENT_READ, "read")
            assert each.select(1)[0][1] == selectors.EVENT_READ
            assert each.get_key(left).data == "read" and len(each.get_map()) == 1
        ours.unregister(left)
        assert ours.select(0.001) == []
        ours.register(left, selectors.EVENT_READ)
        left.close()
        ours.unregister(next(iter(ours.get_map())))


def test_a_timer_is_not_waited_for_without_rest() -> None:
    async def count() -> int:
        turns = 0
        loop = asyncio.get_running_loop()
        once = loop._run_once  # type: ignore[attr-defined]

        def counted() -> None:
            nonlocal turns
            turns += 1
            once()

        loop._run_once = counted  # type: ignore[attr-defined]
        await asyncio.sleep(0.0305)
        return turns

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(count()) < 5


def test_after_a_long_turn_fewer_sockets_are_looked_at_until_turns_are_short_again() -> None:
    pairs = [socket.socketpair() for _ in range(100)]
    now_s = [0.0]
    few = FewAtOnce(64, lambda: now_s[0])
    for ours, theirs in pairs:
        few.register(ours, selectors.EVENT_READ)
        theirs.send(b"x")

    def looks_at(after_s: float) -> int:
        now_s[0] += after_s
        return len(few.select(0))

    assert looks_at(0.001) == 64
    assert [looks_at(0.060) for _ in range(5)] == [32, 16, 8, 8, 8]
    assert looks_at(0.007) == 8, "neither long nor short"
    assert [looks_at(0.001) for _ in range(4)] == [16, 32, 64, 64]
    few.close()
    for pair in pairs:
        for end in pair:
            end.close()


COLLECTIONS = """
import gc
from chatserver.site.server import settle_garbage_collection

settle_garbage_collection()
seen = []
gc.callbacks.append(lambda phase, said: seen.append(
    sum(len(gc.get_objects(generation=each)) for each in range(said["generation"] + 1))
) if phase == "start" else None)
herd = [{"a": [number], "b": (number, [])} for number in range(60_000)]
print(max(seen), len(seen))
"""


def test_no_collection_of_garbage_looks_at_so_much_that_it_makes_a_turn_long() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", COLLECTIONS], capture_output=True, text=True, timeout=60, check=True
    )
    most, collections = map(int, ran.stdout.split())
    assert collections > 5 and most < 20_000, "0.6 us for each object: 12 ms"
