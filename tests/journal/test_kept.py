"""What an acknowledgement stands for on many nodes, and that a database of before comes up to it from the stream."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from chatserver.journal.envelope import Placed
from chatserver.journal.refusal import OrderRefused
from chatserver.store.sqlite.store import SqliteStore
from tests.journal.test_jetstream import until
from tests.store.kit import SqliteHome, text_of
from tests.support.jetstream import node, nodes, world_of
from tests.support.nats_server import NatsServer


async def test_a_message_is_acknowledged_once_its_node_has_applied_it_and_stands_where_that_one_dies_before(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 2) as (dying, other):
        held: list[list[Placed]] = []
        monkeypatch.setattr(dying.journal._follower, "_hand_on", held.append)
        said = asyncio.create_task(world_of(dying, home.clock).say("ann", "one", client_id="c"))
        await until(lambda: held and other.events)
        stands = other.events[0].seq
        # What the stream has said of it by now would be enough for a careless node.
        assert await dying.stream.newest() == stands and not said.done()
        said.cancel()
        again = await world_of(other, home.clock).say("ann", "one", client_id="c")
        assert (again.seq, again.duplicate) == (stands, True)
        await other.journal.shown(stands)
        assert [text_of(event) for event in other.events] == ["one"]
        assert await world_of(other, home.clock).texts("ann") == ["one"]
        for turn in held:
            monkeypatch.undo()
            dying.journal._follower._hand_on(turn)


async def test_a_database_that_is_restored_from_before_comes_up_to_the_stream(
    tmp_path: Path, nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with node(home, nats.uri) as one:
        await world_of(one, home.clock).join("ann", "bob")
        seqs = [(await world_of(one, home.clock).say("ann", "before")).seq]
    shutil.copytree(home.folder, tmp_path / "backup")
    async with node(home, nats.uri) as one:
        await world_of(one, home.clock).befriend("ann", "bob")
        seqs.append((await world_of(one, home.clock).say("ann", "after", client_id="c")).seq)
    shutil.rmtree(home.folder)
    shutil.copytree(tmp_path / "backup", home.folder)
    async with node(home, nats.uri) as one:
        await one.journal.shown(seqs[-1])
        world = world_of(one, home.clock)
        assert await one.store.relation("ann", "bob") == "friend"
        assert await world.texts("bob") == ["after"]
        assert await world.texts("ann") == ["before", "after"]
        assert (await world.say("ann", "after", client_id="c")).seq == seqs[1]
        assert one.projector.repeats == 0
        # Where the stream does not reach back so far, it is refused instead.
        purge = json.dumps({"seq": seqs[1]}).encode()
        await one.link.request(f"$JS.API.STREAM.PURGE.{one.stream.name}", purge)
    shutil.rmtree(home.folder)
    shutil.copytree(tmp_path / "backup", home.folder)
    with pytest.raises(OrderRefused, match="has left the stream"):
        async with node(home, nats.uri):
            pass
    kept = SqliteStore(home.folder, home.clock, order="any")
    await kept.start()
    assert await kept.log.projected() == seqs[0], "nothing was changed"
    await kept.close()
