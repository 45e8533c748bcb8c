"""Three servers behind nginx in round robin: hopping traffic, and what can happen to one of them in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.test_processes import after
from tests.support.balancers import haproxy
from tests.support.clients import (
    PASSWORD,
    EventsReader,
    Person,
    PollReader,
    Reader,
    WebSocketReader,
)
from tests.support.cluster import Cluster, cluster
from tests.traffic.test_traffic import CLEAN
from tests.traffic.traffic import Traffic

pytestmark = pytest.mark.timeout(500)

Fault = Callable[[Cluster], Awaitable[None]]


@pytest.mark.parametrize("seed", [1, 2])
async def test_hopping_clients_see_each_message_once_and_in_order(
    nodes: Cluster, seed: int
) -> None:
    traffic = Traffic(nodes, seed)
    await traffic.prepare(people=4)
    await traffic.run(messages=30)
    assert traffic.tally.verdict() == CLEAN
    assert len(traffic.tally.acknowledged) == 120


async def test_haproxy_carries_the_same_traffic(nodes: Cluster, tmp_path: Path) -> None:
    with haproxy(tmp_path, [node.port for node in nodes.nodes]) as url:
        traffic = Traffic(Cluster(nodes.nodes, nodes.trio, nodes.mongo, url), seed=3)
        await traffic.prepare(people=3)
        await traffic.run(messages=20)
        assert traffic.tally.verdict() == CLEAN
        assert len(traffic.tally.acknowledged) == 60


@pytest.mark.parametrize("kind", [WebSocketReader, EventsReader, PollReader], ids=lambda k: k.name)
async def test_the_same_bytes_stand_at_the_same_place_on_every_node(
    nodes: Cluster, kind: type[Reader]
) -> None:
    ann = await Person.register(nodes.url, "Ann")
    for number in range(12):
        await ann.send(f"Grüße \u2028 {number}")
    seen = []
    for node in nodes.nodes:
        reader = kind(node.url, ann.token)
        await reader.connect(0)
        seen.append([await reader.next_event() for _ in range(12)])
        await reader.drop()
    assert seen[0] == seen[1] == seen[2]


async def sign_out(ann: Person) -> httpx.Response:
    return await ann.http.post("/api/logout", json={})


async def revoke_the_token(ann: Person) -> httpx.Response:
    (token,) = (await ann.http.get("/api/tokens")).json()["tokens"]
    return await ann.http.delete(f"/api/tokens/{token['id']}")


async def take_another_password(ann: Person) -> httpx.Response:
    fields = {"password": "another horse", "currentPassword": PASSWORD}
    return await ann.http.patch("/api/me", json=fields)


async def leave(ann: Person) -> httpx.Response:
    return await ann.http.request("DELETE", "/api/me", json={"password": PASSWORD})


@pytest.mark.parametrize("end", [sign_out, revoke_the_token, take_another_password, leave])
async def test_a_login_that_has_ended_counts_on_no_node(
    nodes: Cluster, end: Callable[[Person], Awaitable[httpx.Response]]
) -> None:
    ann = await Person.register(nodes.url, "Ann")
    for node in nodes.nodes:
        asked = await ann.http.get(f"{node.url}/api/me")
        assert asked.status_code == 200
    assert (await end(ann)).status_code in (200, 204)
    for node in nodes.nodes:
        asked = await ann.http.get(f"{node.url}/api/me")
        assert asked.status_code == 401


async def test_who_polls_in_turn_over_the_nodes_stays_online_and_each_poll_is_held(
    nodes: Cluster,
) -> None:
    ann, bob = [await Person.register(nodes.url, name) for name in ("Ann", "Bob")]
    await ann.befriend(bob)
    reader = WebSocketReader(nodes.nodes[0].url, ann.token)
    await reader.connect()
    cursor = int((await bob.http.get("/api/friends")).json()["seq"])
    seen: list[Any] = []
    watching = asyncio.create_task(_signals(reader, bob.id, seen))
    loop = asyncio.get_running_loop()
    began_s, times = loop.time(), 6
    for _ in range(times):
        query = {"after": str(cursor), "client": "page", "wait": "1"}
        polled = (await bob.http.get("/poll", params=query)).json()
        assert polled["cursor"] == cursor
    assert loop.time() - began_s > times - 2, "held, but for the first one that tells who is there"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert seen == [True], "came once, and did not go"


async def _signals(reader: WebSocketReader, about: str, seen: list[Any]) -> None:
    while True:
        told = await reader.next_signal("presence")
        if told.get("user") == about:
            seen.append(told["online"])


async def kill(it: Cluster) -> None:
    it.projecting().kill()


async def restart_in_turn(it: Cluster) -> None:
    for node in it.nodes:
        assert await asyncio.to_thread(node.stop) == 0
        await asyncio.to_thread(node.start)


async def freeze_one(it: Cluster) -> None:
    node = it.projecting()
    it.freeze(node)
    try:
        await asyncio.sleep(8)  # longer than a node is believed without a word
    finally:
        it.thaw(node)


async def freeze_nats(it: Cluster) -> None:
    it.nats.freeze()
    try:
        await asyncio.sleep(8)
    finally:
        it.nats.thaw()


@pytest.mark.parametrize("fault", [kill, restart_in_turn, freeze_one, freeze_nats])
async def test_what_happens_to_one_in_mid_traffic_loses_and_doubles_nothing(
    tmp_path: Path, fault: Fault
) -> None:
    with cluster(tmp_path) as it:

        async def happen(traffic: Traffic) -> None:
            await after(traffic, 20)
            await fault(it)

        traffic = Traffic(it, seed=3)
        await traffic.prepare(people=3)
        await traffic.run(messages=60, chaos=happen(traffic))
        assert traffic.tally.verdict() == CLEAN
        assert len(traffic.tally.acknowledged) == 180
        assert all(node.stop() == 0 for node in it.nodes if node.running)


async def test_a_node_that_wakes_serves_nothing_from_memory_before_it_has_caught_up(
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, count=2) as it:
        frozen, other = it.nodes
        ann = await Person.register(other.url, "Ann")
        assert (await ann.http.get(f"{frozen.url}/api/me")).status_code == 200
        it.freeze(frozen)
        asked = asyncio.create_task(ann.http.get(f"{frozen.url}/api/me"))
        async with asyncio.timeout(60):
            # Answered once the frozen one is not waited for any more.
            assert (await ann.http.post("/api/logout", json={})).status_code == 204
        it.thaw(frozen)
        assert (await asyncio.wait_for(asked, 60)).status_code in (401, 503)
        async with asyncio.timeout(60):
            while httpx.get(f"{frozen.url}/readyz").status_code != 200:
                await asyncio.sleep(0.05)
        assert (await ann.http.get(f"{frozen.url}/api/me")).status_code == 401


async def test_what_waited_for_a_frozen_node_is_not_carried_out_when_it_wakes(
    tmp_path: Path,
) -> None:
    """Whoever asked has long asked another node, and may want the opposite by now."""
    with cluster(tmp_path, count=2) as it:
        frozen, other = it.nodes
        ann, bob = await Person.register(other.url, "Ann"), await Person.register(other.url, "Bob")
        address = f"/api/blocks/{bob.id}"
        assert (await ann.http.get(f"{frozen.url}/api/me")).status_code == 200
        it.freeze(frozen)
        late = [asyncio.create_task(ann.http.put(frozen.url + address)) for _ in range(8)]
        # Answered once the frozen one is not waited for any more.
        assert (await ann.http.put(address)).status_code == 204
        assert (await ann.http.delete(address)).status_code == 204
        it.thaw(frozen)
        answers = await asyncio.wait_for(asyncio.gather(*late), 60)
        assert {answer.status_code for answer in answers} == {503}
        assert (await ann.http.get("/api/blocks")).json()["users"] == []
