"""What strangers and users may do at `/socket.io/`, packet by packet, and where each bound is."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from chatserver.transports.socketio import Desk
from tests.conftest import FAST
from tests.support.clients import Person
from tests.support.inprocess import inside
from tests.support.process import ServerProcess
from tests.support.socketio_readers import SEPARATOR, SocketIoPollReader, SocketIoReader

OPTIONS = ("--socketio",)
PATH = "/socket.io/?EIO=4&transport=polling"

EVIL = [
    "",
    "0{}",
    "4",
    "45-",
    '451-["client-talking",{"_placeholder":true,"num":0}]',
    "4" + "[" * 60_000,
    "42" + "[" * 60_000,
    '42["client-talking",{"text":',
    "42" + "9" * 60_000 + '["typing"]',
    '42/admin,["typing"]',
    "43[]",
    "44{}",
    "40" + '{"token":' * 6000,
    "b" + "A" * 60_000,
    "2",
    "2probe",
    "5",
    "6",
    "9",
    "x",
    "😀",
]
"""No packets, or none that a client may send over a session that polls."""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that is in a hurry, behind a proxy, with little room for strangers."""
    proxied = ("--trusted-proxy", "127.0.0.1", "--metrics-token", "metrics-of-the-test")
    hurry = ("--head-s", "1", "--stuck-s", "5", "--connections-per-address", "3")
    folder = tmp_path_factory.mktemp("data")
    with ServerProcess(folder, *OPTIONS, *proxied, *hurry) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


async def metric(person: Person, name: str) -> float:
    headers = {"Authorization": "Bearer metrics-of-the-test"}
    text = (await person.http.get("/metrics", headers=headers)).text
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name)))


async def until_metric(person: Person, name: str, value: float) -> None:
    async with asyncio.timeout(30):
        while await metric(person, name) != value:
            await asyncio.sleep(0.02)


async def opened(url: str, **headers: str) -> tuple[httpx.AsyncClient, str]:
    """A client that polls, and the path of its session."""
    http = httpx.AsyncClient(base_url=url, headers=headers, timeout=20)
    answer = await http.get(PATH)
    assert answer.status_code == 200, answer.text
    return http, f"{PATH}&sid={json.loads(answer.text[1:])['sid']}"


async def socket_to(server: ServerProcess) -> ClientConnection:
    """A WebSocket over which nobody has signed in."""
    address = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    socket = await websockets.connect(address, proxy=None)
    assert str(await socket.recv()).startswith("0")
    return socket


@pytest.mark.parametrize("packet", EVIL, ids=lambda packet: packet[:12])
async def test_a_packet_that_is_none_ends_a_session_on_which_nobody_is_signed_in(
    server: ServerProcess, packet: str
) -> None:
    http, path = await opened(server.url)
    answer = await http.post(path, content=packet.encode())
    assert answer.status_code in (200, 400)
    assert (await http.get(path)).status_code == 400, "there is no such session any more"
    await http.aclose()
    if packet not in ("2probe", "5"):  # which a WebSocket may send
        socket = await socket_to(server)
        await socket.send(packet)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), 10)


@pytest.mark.parametrize("kind", [SocketIoReader, SocketIoPollReader])
async def test_packets_that_are_none_are_answered_ten_times_and_then_it_ends(
    server: ServerProcess, kind: type[SocketIoReader]
) -> None:
    ann = await Person.register(server.url, "Ann")
    reader = kind(server.url, ann.token)
    await reader.connect()
    bad = ["connect", "disconnect", "nothing", "__proto__", ""]
    for name in bad:
        await reader.emit(name, {})
        assert (await reader.next_signal("error"))["code"] == "bad_request"
    for fields in ({"text": "\x00"}, {"text": " "}, {"to": ann.id, "text": "x"}, {"text": 5}):
        await reader.emit("client-talking", fields)
        assert (await reader.next_signal("error"))["code"] == "invalid_field"
    await reader.emit("client-talking", {"$where": "1"})
    assert (await reader.next_signal("bye"))["reason"] == "bad frames"
    with pytest.raises((EOFError, AssertionError, websockets.ConnectionClosed)):
        await reader.receive()


@pytest.mark.parametrize(
    "query",
    [
        "transport=polling",
        "EIO=3&transport=polling",
        "EIO=4&transport=flashsocket",
        "EIO=4",
        "EIO=4&transport=websocket",
        "EIO=4&transport=polling&j=0",
        f"EIO=4&transport=polling&sid={'A' * 20}",
        f"EIO=4&transport=polling&sid={'A' * 6000}",
        "EIO=4&transport=polling&sid=../../etc/passwd",
        "EIO=4&transport=polling&sid=%00",
    ],
    ids=lambda query: query[:40],
)
async def test_a_request_for_no_session_is_a_problem(server: ServerProcess, query: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        for answer in (
            await http.get(f"/socket.io/?{query}"),
            await http.post(f"/socket.io/?{query}", content=b"40"),
        ):
            assert answer.status_code == 400
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["code"] == "bad_request"
        assert (await http.head(f"/socket.io/?{query}")).status_code == 400
        assert (await http.put(f"/socket.io/?{query}")).status_code == 405
        head = await http.head(PATH)
        assert head.status_code == 200 and "content-length" not in head.headers


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (SEPARATOR.join(["3"] * 17).encode(), 400),
        (b"4" + b"x" * 70_000, 413),
        (b"\xff\xfe", 400),
    ],
    ids=["17 packets", "70 kB", "no text"],
)
async def test_a_payload_is_bounded_and_one_that_is_none_ends_the_session(
    server: ServerProcess, payload: bytes, status: int
) -> None:
    ann = await Person.register(server.url, "Ann")
    reader = SocketIoPollReader(server.url, ann.token)
    await reader.connect()
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.post(reader.path, content=payload)).status_code == status
        assert (await http.get(reader.path)).status_code == 400


async def test_of_two_polls_of_a_session_none_gets_what_the_other_should_have(
    server: ServerProcess,
) -> None:
    ann = await Person.register(server.url, "Ann")
    reader = SocketIoPollReader(server.url, ann.token)
    await reader.connect()
    assert json.loads(await reader.receive())["type"] == "presence"
    waiting = asyncio.create_task(reader.receive())
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
        # Whichever comes second.
        second = await http.get(reader.path)
        with pytest.raises(AssertionError):
            await asyncio.wait_for(waiting, 10)
        assert second.status_code in (200, 400)
        await until_gone(ann)


async def until_gone(person: Person) -> None:
    await until_metric(person, 'chatserver_connections{transport="socketio"}', 0)


async def test_a_poll_whose_client_has_gone_ends_the_session_and_the_next_resumes(
    server: ServerProcess,
) -> None:
    ann, bob = [await Person.register(server.url, name) for name in ("Ann", "Bob")]
    await ann.befriend(bob)
    reader = SocketIoPollReader(server.url, ann.token)
    await reader.connect()
    assert json.loads(await reader.receive())["type"] == "presence"
    await reader.begin_poll()
    await ann.http.get("/api/me")  # so the poll, which was there before, waits
    await reader.drop()
    await until_gone(ann)
    await bob.send("while nobody polled")
    again = SocketIoPollReader(server.url, ann.token)
    await again.connect(reader.cursor)
    assert json.loads(await again.next_event())["text"] == "while nobody polled"


async def test_whoever_does_not_sign_in_is_ended_and_an_address_has_so_many(
    strict: ServerProcess,
) -> None:
    stranger = {"X-Forwarded-For": "203.0.113.7"}
    waiting = [await opened(strict.url, **stranger) for _ in range(3)]
    person = await Person.register(strict.url, "Ann")
    assert await metric(person, "chatserver_links_waiting") == 3
    refused = await waiting[0][0].get(PATH)
    assert refused.status_code == 429 and refused.json()["code"] == "rate_limited"
    elsewhere, _ = await opened(strict.url, **{"X-Forwarded-For": "203.0.113.8"})
    socket = await socket_to(strict)
    with pytest.raises(websockets.ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 15)
    await until_metric(person, "chatserver_links_waiting", 0)
    for http, path in waiting:
        assert (await http.get(path)).status_code == 400
        await http.aclose()
    await elsewhere.aclose()


async def test_a_client_that_polls_no_more_is_ended_as_too_slow(strict: ServerProcess) -> None:
    ann, bob = [await Person.register(strict.url, name) for name in ("Ann", "Bob")]
    await ann.befriend(bob)
    reader = SocketIoPollReader(strict.url, ann.token)
    await reader.connect()
    await bob.send("taken by nobody")
    await until_metric(ann, 'chatserver_connections{transport="socketio"}', 0)
    assert await metric(ann, 'chatserver_connections_broken_total{reason="stuck"}') >= 1
    again = SocketIoPollReader(strict.url, ann.token)
    await again.connect(reader.cursor)
    assert json.loads(await again.next_event())["text"] == "taken by nobody"


async def test_what_clients_say_is_paid_for_by_the_user(strict: ServerProcess) -> None:
    ann = await Person.register(strict.url, "Ann")
    paused = "chatserver_paused_sockets_total"
    for kind in (SocketIoReader, SocketIoPollReader):
        reader = kind(strict.url, ann.token)
        await reader.connect()
        await reader.next_signal(
            "presence"
        )  # nothing waits now: one that only says something is not too slow
        before = await metric(ann, paused)
        flood = SEPARATOR.join(['42["typing",{}]'] * 16)
        async with asyncio.timeout(40):
            while await metric(ann, paused) == before:
                if isinstance(reader, SocketIoPollReader):
                    await reader.post(flood)
                else:
                    for _ in range(64):
                        await reader.emit("typing", {})
        await reader.drop()


async def test_over_one_session_one_may_ask_to_be_let_in_five_times(server: ServerProcess) -> None:
    socket = await socket_to(server)
    codes = []
    for _ in range(6):
        await socket.send('40{"token":"cst_guess"}')
        codes.append(json.loads(str(await socket.recv())[2:])["message"])
    assert codes == ["unauthenticated"] * 5 + ["rate_limited"]
    await socket.close()


async def test_only_the_namespace_that_there_is_can_be_joined(server: ServerProcess) -> None:
    ann = await Person.register(server.url, "Ann")
    socket = await socket_to(server)
    await socket.send("40/admin," + json.dumps({"token": ann.token}))
    assert str(await socket.recv()).startswith("44/admin,")
    await socket.send("40" + json.dumps({"token": ann.token}))
    assert str(await socket.recv()).startswith("40{")
    await socket.send("40" + json.dumps({"token": ann.token}))
    while not (packet := str(await socket.recv())).startswith("44"):
        assert packet.startswith("42"), "a second reader on one session there is not"
    await socket.close()


async def test_a_hundred_steps_of_the_upgrade_at_once_are_one(server: ServerProcess) -> None:
    ann = await Person.register(server.url, "Ann")
    reader = SocketIoPollReader(server.url, ann.token)
    await reader.connect()
    address = server.url.replace("http", "ws") + reader.path.replace("polling", "websocket")

    async def probe() -> ClientConnection | None:
        try:
            return await websockets.connect(address, proxy=None)
        except (websockets.InvalidStatus, OSError, EOFError):
            return None

    sockets = [one for one in await asyncio.gather(*(probe() for _ in range(100))) if one]
    alive = []
    for socket in sockets:
        try:
            await socket.send("2probe")
            if await asyncio.wait_for(socket.recv(), 10) == "3probe":
                alive.append(socket)
        except websockets.ConnectionClosed:
            pass
    assert len(alive) == 1
    # It goes on over the one, with what the polls had not taken.
    await alive[0].send("5")
    await ann.send("over the WebSocket")
    while "over the WebSocket" not in str(await asyncio.wait_for(alive[0].recv(), 10)):
        pass
    await alive[0].close()


async def test_an_upgrade_that_does_not_go_on_is_given_up_and_the_polls_go_on(
    strict: ServerProcess,
) -> None:
    ann = await Person.register(strict.url, "Ann")
    reader = SocketIoPollReader(strict.url, ann.token)
    await reader.connect()
    assert json.loads(await reader.receive())["type"] == "presence"
    address = strict.url.replace("http", "ws") + reader.path.replace("polling", "websocket")
    socket = await websockets.connect(address, proxy=None)
    await socket.send("2probe")
    assert await socket.recv() == "3probe"
    with pytest.raises(websockets.ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 15)
    await ann.send("by poll")
    assert json.loads(await reader.next_event())["text"] == "by poll"
    await reader.drop()


async def test_whoever_has_signed_in_pays_for_both_connections_that_poll(
    server: ServerProcess,
) -> None:
    ann = await Person.register(server.url, "Ann")
    reader = SocketIoPollReader(server.url, ann.token)
    await reader.connect()
    await ann.send("so that there is one more poll")
    assert json.loads(await reader.next_event())["text"].startswith("so that")
    await reader.begin_poll()
    await reader.post('42["typing",{}]')
    await until_metric(ann, "chatserver_signed_out_connections", 0)
    await reader.drop()


def run(*words: str, more: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", **(more or {})}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, timeout=60
    )


def test_without_the_extra_the_option_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['socketio'] = None\n")
    data = str(tmp_path / "data")
    done = run(
        "-m",
        "chatserver",
        "serve",
        "--socketio",
        "--data",
        data,
        more={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        "chatserver: --socketio needs a package that is not here: pip install 'chatserver[socketio]'."
    )


def test_without_the_option_nothing_of_it_is_imported(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from chatserver.command import cli\n"
        "from chatserver.command.build import build\n"
        "from chatserver.command.settings import Settings\n"
        "from chatserver.site.server import Server\n"
        "async def main():\n"
        f"    Server(await build(Settings(data=Path({str(tmp_path / 'data')!r}))))\n"
        "    print(sorted(n for n in sys.modules if 'socketio' in n or 'engineio' in n))\n"
        "    import os; os._exit(0) if sys.stdout.flush() is None else None\n"
        "asyncio.run(main())\n"
    )
    assert run("-c", script).stdout.strip() == "[]"


async def test_without_the_option_there_is_nothing_at_the_address(data: Path) -> None:
    with ServerProcess(data, *FAST) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            assert (await http.get(PATH)).status_code == 404
        assert server.stop() == 0


async def test_a_hasty_client_is_heard_that_says_everything_in_one_write(
    server: ServerProcess,
) -> None:
    ann = await Person.register(server.url, "Ann")
    host, _, port = server.url.removeprefix("http://").partition(":")

    def frame(text: str) -> bytes:
        payload = text.encode()
        assert len(payload) < 126
        return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload

    head = (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    for at_once in (True, False):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head + (frame("40" + json.dumps({"token": ann.token})) if at_once else b""))
        await reader.readuntil(b"\r\n\r\n")
        if not at_once:
            writer.write(frame("40" + json.dumps({"token": ann.token})))
        await asyncio.wait_for(reader.readuntil(b'"presence"'), 10)
        writer.close()


async def test_a_packet_whose_turn_comes_after_the_end_of_its_session_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    """The library begins a task for each packet; whoever asks to be let in and goes at once is gone before it runs."""
    async with inside(tmp_path) as it:
        desk = Desk(it.house)
        await desk._engine.handlers["message"]("A" * 20, "0")
        assert desk._io.manager.rooms == {} and desk._io.manager.pending_connect == {}
