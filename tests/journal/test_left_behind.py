"""A node that was away for longer than the stream keeps things cannot go on, says so, and can after a new start."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from chatserver.command.serve import until_stopped
from tests.journal.test_jetstream import until
from tests.store.kit import SqliteHome
from tests.support.jetstream import node, nodes, world_of
from tests.support.nats_server import NatsServer


async def test_a_node_whose_next_event_is_gone_serves_nothing_and_ends_to_be_started_anew(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 2) as (one, away):
        follower = away.journal._follower
        heard: list[Msg] = []
        with monkeypatch.context() as patch:
            patch.setattr(follower, "_hear", lambda consumer, message: heard.append(message))
            follower._again.set()
            await until(lambda: heard)
            await world_of(one, home.clock).say("ann", "gone by the time it is asked for")
            last = await world_of(one, home.clock).say("ann", "the newest")
            assert not away.journal.left_behind
            purge = json.dumps({"seq": last.seq}).encode()
            await one.link.request(f"$JS.API.STREAM.PURGE.{one.stream.name}", purge)
        follower._again.set()
        await until(lambda: away.journal.left_behind)
        assert not away.journal.fresh and not away.journal.healthy and away.events == []
        stopping = asyncio.Event()
        assert await until_stopped(stopping, lambda: away.journal.left_behind) == 1
        async with node(home, nats.uri) as anew:
            assert anew.journal.fresh and anew.journal.head_seq == last.seq
            assert len(await world_of(anew, home.clock).texts("ann")) == 2


async def test_a_server_that_is_asked_to_stop_ends_well() -> None:
    stopping = asyncio.Event()
    waiting = asyncio.create_task(until_stopped(stopping, lambda: False))
    await asyncio.sleep(0)
    stopping.set()
    assert await waiting == 0
