"""The one entrance: whoever's login has ended comes in nowhere, and a page that is another's is refused everywhere."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from chatserver.site.api.rows import Entrance
from chatserver.site.api.table import TABLE
from tests.site.conftest import PASSWORD, Browser, problem
from tests.support.process import ServerProcess

NEW_PASSWORD = "a better horse"
ENDS = ("deleted account", "new password", "ended elsewhere", "signed out")
WAYS = ("cookie", "token")

Headers = dict[str, str]


@dataclass
class Somebody:
    """A login by cookie or by token, with a second device that can end it."""

    url: str
    how: str
    owner: Browser
    headers: Headers
    id: str
    browsers: list[Browser] = field(default_factory=list)

    def request(self, method: str, target: str, **more: Any) -> httpx.Response:
        headers = self.headers | more.pop("headers", {})
        return httpx.request(method, self.url + target, headers=headers, timeout=20, **more)

    def socket(self, query: str = "") -> ClientConnection:
        url = self.url.replace("http", "ws") + "/ws" + query
        return connect(url, additional_headers=self.headers, proxy=None, open_timeout=20)

    def end(self, end: str) -> None:
        """End the login in this way."""
        owner = self.owner.http
        if end == "deleted account":
            answer = owner.request("DELETE", "/api/me", json={"password": PASSWORD})
        elif end == "new password":
            change = {"password": NEW_PASSWORD, "currentPassword": PASSWORD}
            answer = owner.patch("/api/me", json=change)
        elif end == "ended elsewhere":
            kind = "tokens" if self.how == "token" else "sessions"
            answer = owner.delete(f"/api/{kind}/{self.id}")
        else:
            answer = self.request("POST", "/api/logout", json={})
        assert answer.status_code in (200, 204), answer.text


def somebody(url: str, how: str) -> Somebody:
    owner = Browser(url)
    if how == "token":
        made = owner.http.post("/api/tokens", json={"label": "test"}).json()
        return Somebody(url, how, owner, {"Authorization": f"Bearer {made['token']}"}, made["id"])
    with httpx.Client(base_url=url) as http:
        http.post("/api/login", json={"email": owner.email, "password": PASSWORD})
        headers = {"Cookie": f"chatserver={http.cookies['chatserver']}"}
        rows = http.get("/api/sessions").json()["sessions"]
    return Somebody(url, how, owner, headers, next(row["id"] for row in rows if row["current"]))


@pytest.fixture(scope="module")
def ended(server: ServerProcess) -> Iterator[Callable[[str, str], Somebody]]:
    """Somebody whose login was in use, was remembered, and has ended in this way."""
    made: dict[tuple[str, str], Somebody] = {}

    def make(end: str, how: str) -> Somebody:
        if (end, how) not in made:
            one = made[end, how] = somebody(server.url, how)
            for target in ("/api/friends", "/poll?wait=0", "/classic"):
                assert one.request("GET", target).status_code == 200
            one.end(end)
        return made[end, how]

    yield make
    for one in made.values():
        one.owner.http.close()


def refuses(method: str, target: str, one: Somebody, **more: Any) -> None:
    problem(one.request(method, target, **more), 401, "unauthenticated")


def stops_the_event_source(one: Somebody) -> None:
    answer = one.request("GET", "/events")
    assert answer.status_code == (401 if one.how == "token" else 204)


def closes_the_socket(one: Somebody) -> None:
    with one.socket() as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "bye"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 4501


def shows_the_form_to_sign_in(one: Somebody) -> None:
    for target in ("/classic", "/classic/friends"):
        page = one.request("GET", target).text
        assert 'action="/classic/login"' in page and 'action="/classic/logout"' not in page
    form = {"text": "hello"}
    assert one.request("POST", "/classic/messages", data=form).status_code == 401


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/tokens"): {"label": "a"},
    ("POST", "/api/messages"): {"text": "hello"},
    ("POST", "/api/read"): {"upTo": 1},
    ("PATCH", "/api/me"): {"firstName": "Eve"},
    ("DELETE", "/api/me"): {"password": PASSWORD},
    ("POST", "/api/lab/close"): {"client": "lab-a"},
}
OPEN = {row.path for row in TABLE if row.entrance is not Entrance.SIGNED_IN}
"""For everybody, without a login."""


def addresses() -> list[tuple[str, str]]:
    """Method and path of everything in the API that needs a login."""
    found = [
        (row.method, re.sub(r"{.*}", "somebody", row.path))
        for row in TABLE
        if row.path not in OPEN and not row.is_stream
    ]
    assert len(found) >= 23
    # What would end a login that wrongly still counts comes last: it would hide the others.
    return sorted(found, key=lambda each: each[0] == "DELETE" or each[1] == "/api/logout")


def api_entrance(method: str, path: str) -> Callable[[Somebody], None]:
    body = BODIES.get((method, path), None if method == "GET" else {})
    return partial(refuses, method, path, json=body)


ENTRANCES: dict[str, Callable[[Somebody], None]] = {
    "polling": partial(refuses, "GET", "/poll?wait=0"),
    "long-polling": partial(refuses, "GET", "/poll?after=0&wait=25&client=c"),
    "sse": stops_the_event_source,
    "websocket": closes_the_socket,
    "classic": shows_the_form_to_sign_in,
    **{f"{method} {path}": api_entrance(method, path) for method, path in addresses()},
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("end", ENDS)
def test_a_login_that_has_ended_comes_in_nowhere(
    ended: Callable[[str, str], Somebody], end: str, how: str, entrance: str
) -> None:
    ENTRANCES[entrance](ended(end, how))


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("end", ENDS)
def test_a_socket_is_closed_when_its_login_ends(server: ServerProcess, end: str, how: str) -> None:
    one = somebody(server.url, how)
    with one.socket() as socket:
        one.end(end)
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=10)
        assert socket.close_code == 4501
    one.owner.http.close()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("end", ENDS)
def test_an_event_stream_ends_when_its_login_ends(
    server: ServerProcess, end: str, how: str
) -> None:
    one = somebody(server.url, how)
    address = f"{one.url}/events"
    with httpx.stream("GET", address, headers=one.headers, timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        one.end(end)
        assert any('"bye"' in line and '"retry":false' in line for line in lines)
    one.owner.http.close()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("end", ENDS)
async def test_a_poll_that_waits_is_answered_when_its_login_ends(
    server: ServerProcess, end: str, how: str
) -> None:
    one = await asyncio.to_thread(somebody, server.url, how)
    async with httpx.AsyncClient(base_url=server.url, headers=one.headers, timeout=30) as http:
        head = (await http.get("/poll", params={"wait": 0})).json()["cursor"]
        poll = asyncio.create_task(http.get("/poll", params={"after": head, "wait": 25}))
        async with asyncio.timeout(30):
            while "chatserver_polls_waiting 1.0" not in (await http.get("/metrics")).text:
                await asyncio.sleep(0.005)
        await asyncio.to_thread(one.end, end)
        events = (await poll).json()["events"]
    assert events[-1]["type"] == "bye" and events[-1]["retry"] is False
    one.owner.http.close()


# A page belongs to one account.


@pytest.fixture(scope="module")
def two(server: ServerProcess) -> Iterator[tuple[Somebody, Browser]]:
    """Somebody who is signed in, and the one whose page it is: his friend."""
    one, other = somebody(server.url, "cookie"), Browser(server.url)
    one.owner.befriend(other)
    yield one, other
    one.owner.http.close()
    other.http.close()


@pytest.mark.parametrize(("method", "path"), addresses())
def test_a_page_of_another_account_does_nothing(
    two: tuple[Somebody, Browser], method: str, path: str
) -> None:
    one, other = two
    seen = one.owner.events()
    target = path.replace("somebody", other.id)
    body = BODIES.get((method, path), None if method == "GET" else {})
    answer = one.request(method, target, json=body, headers={"X-Chat-User": other.id})
    problem(answer, 409, "another_account")
    assert "set-cookie" not in answer.headers
    assert one.owner.events() == seen
    assert one.request("GET", "/api/me").json()["user"] == one.owner.user
    assert one.owner.relation_to(other) == "friend"


def test_a_page_of_the_own_account_does_everything(two: tuple[Somebody, Browser]) -> None:
    one, _ = two
    headers = {"X-Chat-User": one.owner.id}
    assert one.request("POST", "/api/messages", json={"text": "a"}, headers=headers).is_success
    assert one.request("GET", "/api/friends", headers=headers).is_success
    assert one.request("GET", f"/poll?wait=0&user={one.owner.id}").is_success
    with one.socket(f"?user={one.owner.id}") as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "hello"


def test_a_stream_of_another_account_is_told_and_does_not_come_back(
    two: tuple[Somebody, Browser],
) -> None:
    one, other = two
    query = f"?user={other.id}&after=0&client=c"
    problem(one.request("GET", f"/poll{query}"), 409, "another_account")
    headers = {"X-Chat-User": other.id}
    problem(one.request("GET", "/poll?wait=0", headers=headers), 409, "another_account")
    assert one.request("GET", f"/events{query}").status_code == 204
    with one.socket(query) as socket:
        bye = json.loads(socket.recv(timeout=20))
        assert (bye["type"], bye["retry"]) == ("bye", False)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 4503


def test_whoever_is_signed_out_hears_that_first(server: ServerProcess) -> None:
    headers = {"X-Chat-User": "somebody"}
    problem(httpx.get(f"{server.url}/api/me", headers=headers), 401, "unauthenticated")
    problem(httpx.get(f"{server.url}/poll?user=a&wait=0"), 401, "unauthenticated")


def test_signing_in_belongs_to_no_account_yet(server: ServerProcess) -> None:
    one = Browser(server.url)
    body = {"email": one.email, "password": PASSWORD}
    headers = {"X-Chat-User": "the one before"}
    assert httpx.post(f"{server.url}/api/login", json=body, headers=headers).status_code == 200
    one.http.close()
