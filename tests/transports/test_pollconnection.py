"""Connections that poll: kept, given back, pipelined, refused; byte for byte over a real socket."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.limits import Limits
from chatserver.http.heads import HEAD_BYTES
from chatserver.transports.connection import READ_BYTES
from chatserver.transports.pollconnection import PollConnection
from chatserver.verbs.cookies import cookie_name
from chatserver.verbs.keys import KEY_FILE, KeyRing
from tests.support.clients import Person, WebSocketReader, opened
from tests.support.inprocess import heard, inside
from tests.support.process import ServerProcess
from tests.support.turns import settle
from tests.transports.test_fast_paths import here


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which one is offline after half a second."""
    with ServerProcess(tmp_path_factory.mktemp("data"), "--offline-grace-s", "0.5") as running:
        yield running
    assert running.complaints() == []


class Talk:
    """An HTTP/1.1 connection on which the test writes what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self, person: Person, url: str) -> None:
        self.person = person
        self.host = url.removeprefix("http://")
        opened.append(self)

    async def close(self) -> None:
        self.writer.transport.abort()

    async def connect(self) -> Talk:
        host, port = self.host.split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        return self

    def request(
        self, target: str, method: str = "GET", body: str = "", version: str = "1.1", more: str = ""
    ) -> bytes:
        head = f"{method} {target} HTTP/{version}\r\nHost: {self.host}\r\n{more}"
        head += f"Authorization: Bearer {self.person.token}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n{body}".encode()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers (lower case) and JSON body of the next answer."""
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {
                k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return int(lines[0].split()[1]), headers, json.loads(body) if body else None

    async def ended(self) -> bool:
        """Whether the server closes the connection now."""
        return await asyncio.wait_for(self.reader.read(), 10) == b""


async def talk(server: ServerProcess) -> Talk:
    return await Talk(await Person.register(server.url, "Bob"), server.url).connect()


async def test_a_connection_goes_on_polling_and_is_given_back_for_anything_else(
    server: ServerProcess,
) -> None:
    line = await talk(server)
    for _ in range(3):
        line.send(line.request("/poll"))
        status, headers, first = await line.answer()
        assert status == 200 and headers["cache-control"] == "no-store" and headers["date"]
        line.send(line.request("/api/messages", "POST", '{"text":"hi"}'))
        assert (await line.answer())[0] == 201
        line.send(line.request(f"/poll?after={first['cursor']}&wait=20"))
        status, _, second = await line.answer()
        assert [event["text"] for event in second["events"]] == ["hi"]
        line.send(line.request(f"/poll?after={second['cursor']}&wait=0"))
        assert (await line.answer())[2]["events"] == []


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_requests_in_pieces_and_in_a_row_are_answered_in_order(
    server: ServerProcess, step: int
) -> None:
    line = await talk(server)
    data = (
        line.request("/poll")
        + line.request("/poll?wait=0&after=0")
        + line.request("/api/me")
        + line.request("/poll?wait=0&after=0")
        + line.request("/healthz")
    )
    for at in range(0, len(data), step):
        line.send(data[at : at + step])
        await line.writer.drain()
    bodies = [(await line.answer())[2] for _ in range(4)]
    assert "events" in bodies[0] and "events" in bodies[1]
    assert bodies[2]["user"]["id"] == line.person.id
    assert "events" in bodies[3]
    assert (await line.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_request_behind_a_poll_that_waits_is_answered_after_it(
    server: ServerProcess,
) -> None:
    line = await talk(server)
    line.send(line.request("/poll"))
    head = (await line.answer())[2]["cursor"]
    line.send(line.request(f"/poll?after={head}&wait=1") + line.request("/api/me"))
    assert (await line.answer())[2]["events"] == []
    assert (await line.answer())[2]["user"]["id"] == line.person.id


async def test_on_a_connection_that_a_proxy_shares_each_poll_is_its_own_askers(
    server: ServerProcess,
) -> None:
    """Proxies send what many clients ask over the same few connections."""
    line = await talk(server)
    bob, ann = line.person, await Person.register(server.url, "Ann")
    nobody = f"GET /poll?after=0&wait=0 HTTP/1.1\r\nHost: {line.host}\r\n\r\n".encode()
    for _ in range(3):
        for person, other in ((bob, ann), (ann, bob)):
            line.person = person
            for whose, status in ((person, 200), (person, 200), (other, 409), (person, 200)):
                line.send(line.request(f"/poll?after=0&wait=0&user={whose.id}"))
                assert (await line.answer())[0] == status
            line.send(nobody)
            assert (await line.answer())[0] == 401


async def test_whoever_is_refused_once_they_are_found_keeps_nobody_else_from_coming_in(
    tmp_path: Path,
) -> None:
    """Fifty joins left behind would be the last that there are."""
    async with inside(tmp_path) as it:
        head = f"GET /poll?user=other HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.token}\r\n"
        end = it.looked_at(f"{head}Connection: close\r\n\r\n".encode())
        assert (await heard(end, 30)).startswith(b"HTTP/1.1 409")
        end.close()
        assert not it.house.delivery.joins.under_way


async def test_behind_the_beginning_of_a_head_the_one_before_is_not_known_again(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path) as it:
        who = f"Authorization: Bearer {it.token}\r\n"
        asked = f"GET /poll?after=0&wait=0 HTTP/1.1\r\nHost: x\r\n{who}\r\n".encode()
        end, loop = it.looked_at(asked), asyncio.get_running_loop()
        for piece in (asked, asked):
            assert (await loop.sock_recv(end, 65536)).startswith(b"HTTP/1.1 200")
            end.send(piece)
        assert (await loop.sock_recv(end, 65536)).startswith(b"HTTP/1.1 200")
        end.send(asked[:-2])
        await settle()
        end.send(asked)  # more lines of the same head
        assert (await heard(end, 30)).startswith(b"HTTP/1.1 400")
        end.close()


@pytest.mark.parametrize("plain", [True, False])
async def test_what_comes_with_the_first_poll_is_answered_behind_it(
    tmp_path: Path, plain: bool
) -> None:
    async with inside(tmp_path) as it:
        who = f"Host: x\r\nAuthorization: Bearer {it.token}\r\n"
        # A header that comes twice is Tornado's to judge, with everything that was read.
        first = who if plain else f"Accept: a\r\nAccept: b\r\n{who}"
        asked = f"GET /poll?wait=0 HTTP/1.1\r\n{first}\r\nGET /poll?wait=0 HTTP/1.1\r\n{who}\r\n"
        end = it.looked_at(
            f"{asked}GET /api/me HTTP/1.1\r\n{who}Connection: close\r\n\r\n".encode()
        )
        answers = await heard(end, 30)
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == 3
        assert (
            answers.count(b'"cursor"') == 2
            and it.user_id.encode() in answers.rpartition(b"\r\n\r\n")[2]
        )
        end.close()


async def test_a_connection_on_which_no_poll_comes_any_more_is_closed(tmp_path: Path) -> None:
    async with inside(tmp_path, limits=Limits(meter=False, idle_s=0.2)) as it:
        asked = f"GET /poll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.token}\r\n\r\n"
        end = it.looked_at(asked.encode())
        assert (await heard(end, 30)).startswith(b"HTTP/1.1 200")
        end.close()
        assert not len(it.house.delivery.connections.seats)


@pytest.mark.parametrize("more", ["", "Connection: keep-alive\r\n"])
async def test_an_http_1_0_proxy_gets_its_answer_and_the_end(
    server: ServerProcess, more: str
) -> None:
    line = await talk(server)
    line.send(line.request("/poll", version="1.0", more=more))
    status, headers, _ = await line.answer()
    assert status == 200 and headers["connection"] == "close"
    assert await line.ended()


async def test_a_client_may_ask_for_the_end_of_the_connection(server: ServerProcess) -> None:
    line = await talk(server)
    line.send(line.request("/poll", more="Connection: close\r\n"))
    status, headers, _ = await line.answer()
    assert status == 200 and headers["connection"] == "close"
    assert await line.ended()


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("target", "method", "body", "status", "code"),
    [
        ("/poll?after=x", "GET", "", 400, "bad_request"),
        ("/poll?after=-1", "GET", "", 400, "bad_request"),
        ("/poll?wait=nan", "GET", "", 400, "bad_request"),
        ("/poll?wait=-1", "GET", "", 400, "bad_request"),
        ("/poll?client=%ff", "GET", "", 400, "bad_request"),
        ("/poll?client=" + "x" * 65, "GET", "", 400, "bad_request"),
        ("/poll", "GET", '{"a": 1}', 400, "bad_request"),
        ("/poll", "POST", "{}", 405, "method_not_allowed"),
        ("/pollx", "GET", "", 404, "not_found"),
    ],
)
async def test_what_makes_no_sense_is_refused_on_a_fresh_and_on_a_polling_connection(
    server: ServerProcess, before: bool, target: str, method: str, body: str, status: int, code: str
) -> None:
    line = await talk(server)
    if before:
        line.send(line.request("/poll"))
        assert (await line.answer())[0] == 200
    line.send(line.request(target, method, body))
    if target == "/pollx":
        assert (await line.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404")
        return
    got, headers, problem = await line.answer()
    assert (got, problem["code"]) == (status, code)
    assert headers["content-type"] == "application/problem+json"


async def test_no_login_and_a_foreign_page_are_refused(server: ServerProcess) -> None:
    line = await talk(server)
    line.send(f"GET /poll HTTP/1.1\r\nHost: {line.host}\r\n\r\n".encode())
    status, headers, problem = await line.answer()
    assert status == 401 and problem["code"] == "unauthenticated"
    assert headers["www-authenticate"] == "Bearer"
    foreign = f"GET /poll HTTP/1.1\r\nHost: {line.host}\r\nOrigin: https://evil.example\r\n\r\n"
    line.send(foreign.encode())
    assert (await line.answer())[0] == 403


async def test_garbage_after_a_poll_is_tornados_to_refuse(server: ServerProcess) -> None:
    line = await talk(server)
    line.send(line.request("/poll"))
    await line.answer()
    line.send(b"\x00\xffnonsense\r\n\r\n")
    got = await asyncio.wait_for(line.reader.read(), 10)
    assert got == b"" or got.startswith(b"HTTP/1.1 400")


async def test_a_client_that_goes_away_leaves_nothing_waiting(server: ServerProcess) -> None:
    line = await talk(server)
    line.send(line.request("/poll"))
    head = (await line.answer())[2]["cursor"]
    line.send(line.request(f"/poll?after={head}&client=page"))
    waiting = "chatserver_polls_waiting 1.0"
    async with asyncio.timeout(30):
        while waiting not in (await line.person.http.get("/metrics")).text:
            await asyncio.sleep(0)
        line.writer.transport.abort()
        while waiting in (await line.person.http.get("/metrics")).text:
            await asyncio.sleep(0)


async def test_a_poller_that_goes_away_is_offline_after_the_grace_and_not_after_its_hold(
    hasty: ServerProcess,
) -> None:
    ann = await Person.register(hasty.url, "Ann")
    bob = await Person.register(hasty.url, "Bob")
    await ann.befriend(bob)
    watching = WebSocketReader(hasty.url, ann.token)
    await watching.connect()
    await watching.next_signal("presence")
    line = await Talk(bob, hasty.url).connect()
    line.send(line.request("/poll"))
    head = (await line.answer())[2]["cursor"]
    line.send(line.request(f"/poll?after={head}&client=page&wait=50"))
    assert (await watching.next_signal("presence"))["online"] is True
    async with asyncio.timeout(30):
        while "chatserver_polls_waiting 1.0" not in (await ann.http.get("/metrics")).text:
            await asyncio.sleep(0)
    line.writer.transport.abort()
    gone = await asyncio.wait_for(watching.next_signal("presence"), 30)
    assert gone["user"] == bob.id and gone["online"] is False


async def test_what_comes_behind_a_poll_that_waits_is_bounded(data: Path) -> None:
    async with here(data) as place:
        head = place.house.delivery.hub.head_seq
        writer = await place.open(f"/poll?after={head}&wait=50")
        for _ in range(200):
            writer.write(b"x" * 10_000)
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            while not (held := held_by_polls()):
                await asyncio.sleep(0.01)
        await settle()
        assert held <= held_by_polls() <= HEAD_BYTES + READ_BYTES
        writer.transport.abort()


def held_by_polls() -> int:
    """Bytes that wait behind polls in this process."""
    found = [each for each in gc.get_objects() if type(each) is PollConnection]
    return sum(len(each._buffer) for each in found)


async def test_what_is_asked_behind_the_last_request_is_not_answered(
    server: ServerProcess,
) -> None:
    line = await talk(server)
    line.send(line.request("/poll"))
    await line.answer()
    more = line.request("/api/messages", "POST", '{"text":"never"}')
    line.send(line.request("/poll", more="Connection: close\r\n") + more)
    assert (await line.answer())[0] == 200
    assert await line.ended()
    page = (await line.person.http.get("/api/messages")).json()
    assert page["messages"] == []


async def test_many_polls_in_one_write_are_answered_one_after_another(
    server: ServerProcess,
) -> None:
    line = await talk(server)
    line.send(line.request("/poll"))
    await line.answer()
    # So short that hundreds come in one read.
    line.send(b"GET /poll?after=x HTTP/1.1\r\nHost: a\r\n\r\n" * 700)
    for _ in range(700):
        assert (await line.answer())[0] == 400
    line.send(line.request("/poll?wait=0"))
    assert (await line.answer())[0] == 200


async def test_a_cookie_under_a_key_that_comes_later_counts_on_the_same_connection(
    data: Path,
) -> None:
    async with here(data) as it:
        file = data / KEY_FILE
        before = file.read_bytes()
        login = await it.house.sessions.begin(it.ann.id, 0, "another server's")
        now_ms = login.created_at
        KeyRing.rotate(data, now_ms, 1000)
        others = KeyRing.load(data, now_ms).seal("cookie", f"{login.id} {it.ann.id} {now_ms}")
        after = file.read_bytes()
        file.write_bytes(before)
        host, port = it.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        asked = f"GET /poll?wait=0 HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie_name(False)}={others}\r\n\r\n"
        for content, status in ((before, b"401"), (before, b"401"), (after, b"200")):
            file.write_bytes(content)
            writer.write(asked.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.split()[1] == status
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
        writer.close()
