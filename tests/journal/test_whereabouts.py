"""A change waits for no node of the same machine whose process has ended; for another machine's it does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from chatserver.journal import nodes as node_beats
from chatserver.journal import whereabouts
from chatserver.journal.whereabouts import here, is_gone
from tests.store.kit import SqliteHome
from tests.support.jetstream import node, world_of
from tests.support.nats_server import NatsServer

WHERE = "from chatserver.journal.whereabouts import here; import json; print(json.dumps(here()), flush=True); input()"


def started() -> tuple[subprocess.Popen[str], list[str | int]]:
    """A process, and where it says that it is."""
    program = subprocess.Popen(
        [sys.executable, "-c", WHERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    return program, orjson.loads(program.stdout.readline())


def test_a_process_is_gone_when_it_has_ended_also_where_nobody_has_reaped_it() -> None:
    program, there = started()
    with program:
        assert not is_gone(there, here())
        program.kill()
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(there, here())
    assert is_gone(there, here())
    own = here()
    assert is_gone([own[0], own[1], "another start"], own), (
        "its number belongs to another one by now"
    )
    assert not is_gone(["another machine", *there[1:]], own)
    assert not is_gone([], own) and not is_gone(there, [])


def test_where_nobody_can_tell_nobody_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without /proc; and a process that cannot be looked at."""
    own = here()
    (tmp_path / str(own[1])).write_text("no folder")
    monkeypatch.setattr(whereabouts, "_PROC", tmp_path)
    assert here() == []
    assert not is_gone(own, own)


async def test_a_change_does_not_wait_for_a_node_whose_process_has_ended(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it would be over, too, once nobody believes in the silent one any more.
    monkeypatch.setattr(node_beats, "GONE_S", 1e6)
    monkeypatch.setattr(node_beats, "SETTLE_S", 1e6)
    home = SqliteHome(tmp_path / "data")
    program, there = started()
    with program:
        async with node(home, nats.uri) as one:
            said = orjson.dumps(["its name", 1, False, there])
            one.link.publish(one.stream.subjects.signal("at"), said)
            beats = one.journal._nodes
            while "its name" not in beats._others:
                await asyncio.sleep(0.005)
            change = asyncio.create_task(world_of(one, home.clock).befriend("ann", "bob"))
            await one.journal.shown(await one.stream.newest())
            await asyncio.wait((change,), timeout=0.1)
            assert not change.done()
            program.kill()
            await asyncio.wait_for(change, 30)
