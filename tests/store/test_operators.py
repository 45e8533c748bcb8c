"""Nothing that a client writes becomes an operator of MongoDB, on any endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chatserver.site.api.table import TABLE
from tests.support.bodies import BODIES
from tests.support.clients import Person, WebSocketReader
from tests.support.process import ServerProcess

BACKENDS = ("mongodb",)

OPERATORS: list[Any] = [
    {"$gt": ""},
    {"$ne": None},
    {"$where": "sleep(1000)"},
    {"$regex": ".*"},
    {"a.b": 1},
    {"$expr": {"$function": {"body": "function(){}", "args": [], "lang": "js"}}},
    [{"$gt": ""}],
]
GOOD: dict[str, Any] = {
    "email": "ann@example.com",
    "password": "demo-password",
    "currentPassword": "demo-password",
    "firstName": "Ann",
    "lastName": "Archer",
    "color": "#0000aa",
    "text": "hello",
    "to": None,
    "clientId": "c1",
    "label": "a",
    "expiresIn": 60,
    "with": None,
    "upTo": 1,
    "quietFrom": None,
    "quietTo": None,
    "zone": "UTC",
    "muted": [],
    "endpoint": "https://push.example.com/x",
    "p256dh": "A",
    "auth": "A",
    "client": "lab-x",
}
EMPTY = {
    ("POST", "/api/logout"),
    ("DELETE", "/api/tokens/([^/]+)"),
    ("DELETE", "/api/sessions/([^/]+)"),
    ("DELETE", "/api/sessions"),
    ("PUT", "/api/friends/([^/]+)"),
    ("DELETE", "/api/friends/([^/]+)"),
    ("PUT", "/api/blocks/([^/]+)"),
    ("DELETE", "/api/blocks/([^/]+)"),
}
"""Those whose body says nothing."""


@pytest.fixture
def ann(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as http:
        body = {"email": "ann@example.com", "password": "demo-password"}
        assert http.post("/api/login", json=body).status_code == 200
        yield http


def refused(answer: httpx.Response) -> None:
    assert answer.json()["code"] in {"bad_request", "invalid_field"}, answer.text
    assert answer.status_code in (400, 422)


def test_these_are_all_endpoints_that_take_a_body() -> None:
    taken = {
        (row.method, row.pattern)
        for row in TABLE
        if row.reads_body and not row.path.startswith("/api/lab/")
    }
    assert taken == {each for each in BODIES if not each[1].startswith("/api/lab/")} | EMPTY


@pytest.mark.parametrize("endpoint", BODIES, ids=" ".join)
def test_an_operator_in_a_field_is_refused(ann: httpx.Client, endpoint: tuple[str, str]) -> None:
    for field in BODIES[endpoint]:
        for operator in OPERATORS:
            body = {each: GOOD[each] for each in BODIES[endpoint]} | {field: operator}
            refused(ann.request(*endpoint, json=body))
    assert ann.get("/api/me").json()["user"]["email"] == "ann@example.com"


@pytest.mark.parametrize(
    "endpoint", [*BODIES, *sorted(EMPTY - {("POST", "/api/logout")})], ids=" ".join
)
def test_a_body_that_is_an_operator_is_refused(
    ann: httpx.Client, endpoint: tuple[str, str]
) -> None:
    method, path = endpoint[0], endpoint[1].replace("([^/]+)", "$where")
    for body in (
        {"$where": "1"},
        {"$gt": ""},
        {"email.$gt": "", "a.b": {"$ne": 1}},
        [{"$gt": ""}],
        "$where",
    ):
        refused(ann.request(method, path, json=body))
    assert ann.get("/api/me").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/friends/%7B%22$gt%22:%22%22%7D",
        "/api/friends/$where",
        "/api/users?q[$gt]=",
        "/api/users?q=$where",
        "/api/users?q=%7B%22$gt%22:%22%22%7D",
        "/api/messages?with=$gt",
        "/api/messages?with[$ne]=",
    ],
)
def test_in_an_address_an_operator_is_a_word_like_others(ann: httpx.Client, path: str) -> None:
    answer = ann.put(path, json={}) if "/friends/" in path else ann.get(path)
    if "/friends/" in path:
        assert answer.json()["code"] == "not_found"
    else:
        told = answer.json()
        assert told.get("users", []) == [], "nobody is found by it"


async def test_an_operator_in_a_frame_is_refused(server: ServerProcess) -> None:
    person = await Person.sign_in(server.url, "bob@example.com", "demo-password")
    for kind, fields in (("send", BODIES["POST", "/api/messages"]), ("read", ("with", "upTo"))):
        reader = WebSocketReader(server.url, person.token)
        await reader.connect()
        for field in fields:
            frame = {"type": kind, **{each: GOOD[each] for each in fields}}
            await reader.say(**(frame | {field: {"$gt": ""}}))
            error = await reader.next_signal("error")
            assert error["code"] in {"bad_request", "invalid_field"}, json.dumps(error)
        await reader.say(**{"type": kind, "text": "x", "upTo": 1, "$where": "1"})
        error = await reader.next_signal("error")
        assert error["code"] == "bad_request", json.dumps(error)
        await reader.drop()


async def test_such_words_are_kept_as_they_are_written(server: ServerProcess) -> None:
    async with asyncio.timeout(40):
        person = await Person.register(server.url, "$where.a")
        for text in ("$where", "a.b", '{"$gt": ""}', "\u0001$".strip("\u0001")):
            seq = await person.send(text, client_id=f"$set.{text}"[:64])
            assert await person.send(text, client_id=f"$set.{text}"[:64]) == seq
        page = (await person.http.get("/api/messages")).json()
        assert [each["text"] for each in page["messages"]] == ["$where", "a.b", '{"$gt": ""}', "$"]
        found = (await person.http.get("/api/me")).json()["user"]
        assert found["firstName"] == "$where.a"
