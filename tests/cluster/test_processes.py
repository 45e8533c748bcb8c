"""`--processes`: workers and the embedded NATS server die in mid-traffic, and the database goes to a stream and back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import FAST
from tests.support.clients import Person, WebSocketReader
from tests.support.process import ServerProcess
from tests.traffic.test_traffic import CLEAN, texts_of
from tests.traffic.traffic import Traffic


def children(pid: int) -> dict[int, str]:
    """The processes that this one has started, and what each of them runs."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(each): Path(f"/proc/{each}/cmdline").read_text() for each in found}


def workers(server: ServerProcess) -> list[int]:
    return [pid for pid, runs in children(server.pid).items() if "nats-server" not in runs]


async def after(traffic: Traffic, acknowledged: int) -> None:
    """Return when so many more were acknowledged."""
    goal = len(traffic.tally.acknowledged) + acknowledged
    while len(traffic.tally.acknowledged) < goal:
        await asyncio.sleep(0.005)


@pytest.mark.timeout(500)
async def test_workers_and_the_nats_server_die_in_mid_traffic_and_nothing_is_lost(
    data: Path,
) -> None:
    server = ServerProcess(data, *FAST, "--processes", "3").start()

    async def kill(traffic: Traffic) -> None:
        for number in range(2):
            await after(traffic, 15)
            os.kill(workers(server)[number], signal.SIGKILL)
        await after(traffic, 15)
        (nats,) = [pid for pid, runs in children(server.pid).items() if "nats-server" in runs]
        os.kill(nats, signal.SIGKILL)

    traffic = Traffic(server, seed=5)
    await traffic.prepare(people=3)
    await traffic.run(messages=60, chaos=kill(traffic))
    assert traffic.tally.verdict() == CLEAN
    while "chatserver_processes 3.0" not in (await traffic.people[0].http.get("/metrics")).text:
        await asyncio.sleep(0.02)
    history: set[str] = set()
    for person in traffic.people:
        history |= await texts_of(person)
    assert traffic.tally.acknowledged.keys() <= history
    assert server.stop() == 0
    ended = [line for line in server.complaints() if "ended (signal 9)" not in line]
    assert ended == []


@pytest.mark.timeout(400)
async def test_the_numbers_and_the_readiness_are_those_of_all_processes(data: Path) -> None:
    with ServerProcess(data, *FAST, "--processes", "3", demo=True) as server:
        bob = await Person.sign_in(server.url, "bob@example.com", "demo-password")
        readers = [WebSocketReader(server.url, bob.token) for _ in range(8)]
        for reader in readers:
            await reader.connect()
        for _ in range(6):  # each over a connection of its own, so to any process
            page = httpx.get(f"{server.url}/metrics").text
            assert 'chatserver_connections{transport="websocket"} 8.0' in page
            assert "chatserver_processes 3.0" in page
            assert httpx.get(f"{server.url}/readyz").status_code == 200
        server.terminate()
        for reader in readers:
            assert (await reader.next_signal("bye"))["reason"] == "restarting"
        assert server.wait() == 0
        assert server.complaints() == []


def chatserver(*words: str | Path) -> tuple[int, str]:
    """The exit code of the command, and what it has said."""
    command = [sys.executable, "-m", "chatserver", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(500)
async def test_a_database_goes_to_a_stream_and_back_and_seqs_only_grow(data: Path) -> None:
    with ServerProcess(data, *FAST, demo=True) as server:
        ann = await Person.sign_in(server.url, "ann@example.com", "demo-password")
        seqs = [await ann.send("of one process", client_id="1")]
        server.stop()
    several = ServerProcess(data, *FAST, "--processes", "2")
    code, said = chatserver("serve", "--data", data, "--processes", "2", "--port", "0")
    assert code == 2 and "chatserver order stream" in said
    assert chatserver("order", "stream", "--data", data)[0] == 0
    code, said = chatserver("serve", "--data", data, "--port", "0")
    assert code == 2 and "chatserver order local" in said
    with several:
        ann.http.base_url = httpx.URL(several.url)
        assert await ann.send("again", client_id="1") == seqs[0], "known for good"
        seqs.append(await ann.send("of two", client_id="2"))
        assert several.stop() == 0
    code, said = chatserver("order", "local", "--data", data)
    assert code == 0, said
    assert chatserver("order", "local", "--data", data)[0] == 2
    with ServerProcess(data, *FAST) as server:
        ann.http.base_url = httpx.URL(server.url)
        assert await ann.send("again", client_id="2") == seqs[1]
        seqs.append(await ann.send("of one again", client_id="3"))
        history = (await ann.http.get("/api/messages")).json()["messages"]
        assert [event["seq"] for event in history] == seqs == sorted(seqs)
        server.stop()


@pytest.mark.timeout(500)
def test_two_servers_do_not_share_a_data_folder_or_a_port(data: Path) -> None:
    with ServerProcess(data, *FAST, "--processes", "2") as server:
        code, said = chatserver("serve", "--data", data, "--processes", "2", "--port", "0")
        assert code == 2 and "in use by another chatserver" in said
        code, said = chatserver("serve", "--data", data, "--port", "0")
        assert code == 2 and "in use by another chatserver" in said
        other, port = data.parent / "other", str(server.port)
        code, said = chatserver("serve", "--data", other, "--processes", "2", "--port", port)
        assert code == 2 and f"another program listens on 127.0.0.1:{port}" in said
        assert not (other / "order").exists()
        server.stop()


@pytest.mark.timeout(500)
async def test_rates_hold_for_all_processes_together(data: Path) -> None:
    """Each request over a connection of its own, so at any process. A few are let in before the others have heard."""
    burst, few = 6, 5
    rates = ("--sign-in-failures-per-account", "--register-burst", "--request-burst")
    slow = ("--register-rate", "0.001", "--request-rate", "0.001", "--processes", "3")
    options = [word for rate in rates for word in (rate, str(burst))]
    with ServerProcess(data, *options, *slow, demo=True) as server:
        bob = await Person.sign_in(server.url, "bob@example.com", "demo-password")
        dee = await Person.sign_in(server.url, "dee@example.com", "demo-password")
        token = {"Authorization": f"Bearer {bob.token}"}

        async def ask(method: str, path: str, **fields: str) -> bool:
            async with httpx.AsyncClient(base_url=server.url, headers=token) as http:
                body = fields if method == "POST" else None
                answer = await http.request(method, path, json=body)
            assert answer.status_code in (200, 201, 202, 204, 401, 429), answer.text
            return answer.status_code != 429

        async def request(number: int) -> bool:
            asked = await ask("PUT", f"/api/friends/{dee.id}")
            await ask("DELETE", f"/api/friends/{dee.id}")
            return asked

        async def guess(number: int) -> bool:
            return await ask("POST", "/api/login", email="ann@example.com", password="wrong one")

        async def register(number: int) -> bool:
            fields = {"email": f"{number}@example.com", "password": "a long password"}
            return await ask("POST", "/api/register", **fields, firstName="Eve")

        for do in (request, guess, register):
            done = sum([await do(number) for number in range(30)])
            assert burst <= done <= burst + few, do.__name__
