"""The official clients on Node, versions 2 to 4, and the Python client: what they hear beside a WebSocket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.conftest import FAST
from tests.support.clients import WAIT_S, Person, WebSocketReader
from tests.support.process import ServerProcess
from tests.support.socketio_clients import NodeClient

OPTIONS = ("--socketio",)

WAYS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgraded": ["polling", "websocket"],
}
MESSAGES = 60


async def friends(url: str) -> tuple[Person, Person, Person]:
    """Ann and her friend Bob, and Cho, whom nobody knows."""
    ann, bob, cho = [await Person.register(url, name) for name in ("Ann", "Bob", "Cho")]
    await ann.befriend(bob)
    return ann, bob, cho


async def heard_by_websocket(reader: WebSocketReader, last: str) -> list[tuple[int, str]]:
    """Seq and text of everything up to the message `last`."""
    seen: list[tuple[int, str]] = []
    while not seen or seen[-1][1] != last:
        event = json.loads(await reader.next_event())
        seen.append((event["seq"], event.get("text", event["type"])))
    return seen


def as_heard(items: list[tuple[str, dict[str, Any]]]) -> list[tuple[int, str]]:
    return [(data["seq"], data.get("text", name)) for name, data in items]


async def polls_again(asks: Person) -> None:
    """Return when a poll waits on the server: one that comes only when it has stopped to listen would bring no `bye`."""
    async with asyncio.timeout(WAIT_S):
        while "chatserver_polls_waiting 1.0" not in (await asks.http.get("/metrics")).text:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("version", ["v4", "v3"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_official_client_hears_what_a_websocket_hears(
    server: ServerProcess, version: str, way: str
) -> None:
    ann, bob, cho = await friends(server.url)
    beside = WebSocketReader(server.url, ann.token)
    await beside.connect()
    # The traffic goes on while the client connects, and while it changes from polls to a WebSocket.
    auth = {"token": ann.token, "after": beside.cursor}
    client = await NodeClient.start(version, server.url, transports=WAYS[way], auth=auth)
    upgraded = asyncio.create_task(client.next("upgrade")) if way == "upgraded" else None
    number = 0
    while number < MESSAGES or (upgraded is not None and not upgraded.done()):
        await bob.send(f"{number}")
        if number % 10 == 0:
            await cho.send("of nobody's friend")
        number += 1
    if upgraded is not None:
        assert await upgraded == {"transport": "websocket"}
    client.emit("client-talking", {"text": "to all", "clientId": f"{way} {version}"})
    answer = await client.next("answer")
    await bob.send("the end")
    await client.until_text("the end")
    expected = await heard_by_websocket(beside, "the end")
    assert as_heard(client.items) == expected
    assert (answer["seq"], "to all") in expected and answer["at"] > 0
    own = next(data for _, data in client.items if data.get("text") == "to all")
    assert own["user"] == "Ann" and own["color"] == ann.user["color"] and own["from"] == ann.id
    assert own["to"] is None and own["clientId"] == f"{way} {version}"


@pytest.mark.parametrize("way", ["polling", "upgraded"])
async def test_it_resumes_after_a_drop_and_after_a_restart(data: Path, way: str) -> None:
    server = ServerProcess(data, *FAST, *OPTIONS).start()
    ann, bob, _ = await friends(server.url)
    client = await NodeClient.start(
        "v4", server.url, transports=WAYS[way], auth={"token": ann.token}
    )
    await client.connected()
    await bob.send("before the drop")
    await client.until_text("before the drop")
    client.drop()
    await client.next("disconnect")
    await bob.send("in between")
    assert (await client.connected())["resumed"] is True
    await client.until_text("in between")
    if way == "polling":
        await polls_again(bob)
    assert await asyncio.to_thread(server.stop) == 0
    assert (await client.next("bye"))["retry"] is True
    assert (await client.next("disconnect"))["active"] is True, "it comes back by itself"
    await asyncio.to_thread(server.start)
    await bob.send("after the restart")
    assert (await client.connected())["resumed"] is True
    await client.until_text("after the restart")
    texts = [item["text"] for name, item in client.items if name == "server-talking"]
    assert texts == ["before the drop", "in between", "after the restart"]
    assert server.stop() == 0
    assert server.complaints() == []


@pytest.mark.parametrize("way", ["polling", "websocket"])
async def test_whoever_signs_out_is_told_and_stays_away(server: ServerProcess, way: str) -> None:
    ann, _, _ = await friends(server.url)
    auth = {"token": ann.token}
    client = await NodeClient.start("v4", server.url, transports=WAYS[way], auth=auth)
    await client.connected()
    await ann.http.post("/api/logout", json={})
    assert (await client.next("bye"))["reason"] == "signed out"
    ended = await client.next("disconnect")
    assert ended == {"reason": "io server disconnect", "active": False}


async def test_a_newer_connection_of_the_same_client_ends_the_older(server: ServerProcess) -> None:
    ann, _, _ = await friends(server.url)
    auth = {"token": ann.token, "client": "page"}
    older = await NodeClient.start("v4", server.url, transports=["websocket"], auth=auth)
    await older.connected()
    newer = await NodeClient.start("v4", server.url, transports=["polling"], auth=auth)
    await newer.connected()
    assert (await older.next("bye"))["reason"] == "superseded"
    assert (await older.next("disconnect"))["active"] is False


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        ({"auth": {}}, "unauthenticated"),
        ({"auth": {"token": "cst_no_such_token"}}, "unauthenticated"),
        ({"auth": {"token": "with\nnewline"}}, "unauthenticated"),
        ({"auth": {"after": "soon"}}, "bad_request"),
        ({"auth": {"after": {"$gt": 0}}}, "bad_request"),
        ({"extraHeaders": {"Origin": "https://evil.example"}}, "forbidden"),
        ({"extraHeaders": {"Origin": "https://evil.example"}, "token": "good"}, "forbidden"),
        ({"extraHeaders": {"X-Chat-User": "somebody"}}, "another_account"),
        ({"query": {"user": "somebody"}}, "another_account"),
        ({"auth": {"user": "somebody"}}, "another_account"),
    ],
    ids=str,
)
async def test_who_is_not_let_in_gets_connect_error_with_the_code(
    server: ServerProcess, refused: dict[str, Any], code: str
) -> None:
    signed_in = await server_cookie(server, "Ann")
    options: dict[str, Any] = {"transports": ["websocket"], **refused}
    headers = dict(options.get("extraHeaders", {}))
    if code not in ("unauthenticated",):
        headers["Cookie"] = signed_in
    if "token" in options:
        options["auth"] = {"token": (await Person.register(server.url, "Ann")).token}
        del options["token"]
    client = await NodeClient.start("v4", server.url, **(options | {"extraHeaders": headers}))
    error = await client.next("connect_error")
    assert error["message"] == error["data"]["code"] == code
    assert error["data"]["detail"]


async def server_cookie(server: ServerProcess, name: str) -> str:
    """The cookie of a browser that is signed in."""
    person = await Person.register(server.url, name)
    body = {"email": person.email, "password": "correct horse"}
    answer = await person.http.post("/api/login", json=body)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    person.http.cookies.clear()
    return str(cookie)


async def test_a_cookie_lets_in_and_the_page_of_the_same_account_too(server: ServerProcess) -> None:
    headers = {"Cookie": await server_cookie(server, "Ann"), "Origin": server.url}
    client = await NodeClient.start(
        "v4", server.url, transports=["websocket"], extraHeaders=headers
    )
    hello = await client.connected()
    assert hello["user"]["name"] == "Ann" and hello["resumed"] is False


@pytest.mark.parametrize("way", ["polling", "websocket"])
async def test_a_client_of_version_2_is_refused_clearly(server: ServerProcess, way: str) -> None:
    ann = await Person.register(server.url, "Ann")
    client = await NodeClient.start("v2", server.url, transports=WAYS[way], reconnection=False)
    assert "error" in (await client.next("connect_error"))["message"]
    answer = await ann.http.get("/socket.io/", params={"EIO": "3", "transport": "polling"})
    assert answer.status_code == 400
    assert "Socket.IO 3 and 4" in answer.json()["detail"]


async def test_the_python_client_talks_and_hears(server: ServerProcess) -> None:
    ann, bob, _ = await friends(server.url)
    for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        client = socketio.AsyncClient(reconnection=False)
        client.on("server-talking", heard.put)
        await client.connect(server.url, auth={"token": ann.token}, transports=transports)
        try:
            answer = await client.call("client-talking", {"text": "from Python"})
            own = await asyncio.wait_for(heard.get(), 10)
            assert own["seq"] == answer["seq"] and own["user"] == "Ann"
            await bob.send("to Python")
            assert (await asyncio.wait_for(heard.get(), 10))["text"] == "to Python"
            refused = await client.call("client-talking", {"text": ""})
            assert refused["error"]["code"] == "invalid_field"
        finally:
            await client.disconnect()
