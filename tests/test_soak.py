"""The soak's model notices what it is there for; the soak itself is run by hand (`scripts/soak`)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.soaking.gate import Gate
from scripts.soaking.measure import DESCRIPTORS, MEMORY_MB, Held
from scripts.soaking.model import Seen, Sent
from scripts.soaking.soak import ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_soak_that_is_ended_takes_its_server_and_its_folder_with_it(
    tmp_path: Path, number: int
) -> None:
    soak = subprocess.Popen(
        [sys.executable, "-m", "scripts.soaking", "--minutes", "5"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A program that was started in the background is deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        children = Path(f"/proc/{soak.pid}/task/{soak.pid}/children")
        until_s = time.monotonic() + 90
        # Its people have come when there is a database to write in.
        while not list(tmp_path.glob("*/data/*-wal")) and time.monotonic() < until_s:
            time.sleep(0.05)
        (server,) = children.read_text().split()
        soak.send_signal(number)
        assert soak.wait(90) == 1
        assert not Path(f"/proc/{server}").exists()
        assert list(tmp_path.iterdir()) == []
    finally:
        soak.kill()
        soak.wait()


async def test_whoever_swallows_a_cancellation_is_ended_all_the_same() -> None:
    async def swallows_one() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    task = asyncio.create_task(swallows_one())
    await asyncio.sleep(0)
    await asyncio.wait_for(ended([task]), 30)
    assert task.cancelled()


def message(seq: int, author: str, to: str | None = None) -> dict[str, Any]:
    return {"type": "message", "seq": seq, "from": {"id": author}, "to": to, "text": "x"}


def friend(seq: int, other: str, relation: str = "friend") -> dict[str, Any]:
    return {"type": "friend", "seq": seq, "user": {"id": other}, "relation": relation}


def seen(*events: dict[str, Any]) -> Seen:
    ann = Seen("ann", 10)
    for event in events:
        ann.take(event)
    return ann


def wrong(ann: Seen) -> dict[str, int]:
    return {what: count for what, count in ann.counts.items() if what != "received"}


def test_what_friends_write_while_they_are_friends_is_in_order() -> None:
    ann = seen(friend(11, "bob"), message(12, "bob"), message(13, "bob", "ann"), message(14, "ann"))
    assert wrong(ann) == {} and ann.counts["received"] == 4 and ann.friends == ["bob"]


@pytest.mark.parametrize(
    "event",
    [
        message(20, "cho"),
        message(20, "bob", "cho"),
        {"type": "read", "seq": 20, "user": "bob", "with": None, "upTo": 1},
        {"type": "profile", "seq": 20, "user": {"id": "cho"}},
    ],
)
def test_what_is_of_a_stranger_or_for_another_is_forbidden(event: dict[str, Any]) -> None:
    assert wrong(seen(friend(11, "bob"), event)) == {"forbidden": 1}


def test_what_comes_after_the_end_of_a_friendship_is_forbidden() -> None:
    ended = friend(12, "bob", "none")
    assert wrong(seen(friend(11, "bob"), ended, message(13, "bob"))) == {"forbidden": 1}


def test_twice_is_doubled_late_is_disordered_and_a_reset_is_counted() -> None:
    ann = seen(message(12, "ann"), message(12, "ann"), message(11, "ann"))
    assert wrong(ann) == {"doubled": 1, "disordered": 1}
    assert wrong(seen({"type": "reset", "seq": 50})) == {"resets": 1}
    assert seen({"type": "reset", "seq": 50}).cursor == 50


def test_what_was_acknowledged_in_a_friendship_that_lasts_must_have_come() -> None:
    ann = seen(friend(11, "bob"), message(20, "ann"))
    sent = [Sent(15, "bob", None), Sent(16, "bob", "ann"), Sent(17, "ann", "bob")]
    assert ann.lost(sent) == sent


def test_nothing_is_lost_that_need_not_have_come() -> None:
    ann = seen(friend(11, "bob"), friend(15, "cho"), friend(18, "bob", "none"), message(20, "ann"))
    may_be_missing = [
        Sent(9, "ann", None),  # before she came
        Sent(12, "bob", None),  # of a friendship that ended
        Sent(14, "cho", None),  # from before one
        Sent(16, "cho", "dee"),  # for another
        Sent(17, "eve", None),  # of a stranger
        Sent(21, "cho", None),  # she has not read so far
    ]
    assert ann.lost(may_be_missing) == []


def test_what_has_grown_beyond_its_tolerance_is_named() -> None:
    first = Held(100.0, 20, 5, 0, 0)
    assert Held(100.0 + MEMORY_MB, 20 + DESCRIPTORS, 5, 0, 0).grown_over(first) == []
    grown = Held(101.0 + MEMORY_MB, 21 + DESCRIPTORS, 9, 1, 1).grown_over(first)
    assert grown == ["memory_mb", "descriptors", "tasks", "mailboxes", "connections"]


async def test_a_gate_that_closes_waits_for_whoever_is_inside_and_lets_nobody_in() -> None:
    gate, inside = Gate(), asyncio.Event()
    leave = asyncio.Event()

    async def go_in() -> None:
        async with gate:
            inside.set()
            await leave.wait()

    first = asyncio.create_task(go_in())
    await inside.wait()
    closing = asyncio.create_task(gate.close(5))
    await asyncio.sleep(0)
    inside.clear()
    second = asyncio.create_task(go_in())
    await asyncio.sleep(0)
    assert not closing.done() and not inside.is_set()
    leave.set()
    await closing
    await first
    gate.open()
    await second
