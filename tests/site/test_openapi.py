"""The description of the API: anybody can have it, and what it says is what happens (schemathesis tries)."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatserver.core import fields as rules
from tests.conftest import FAST
from tests.site.conftest import PASSWORD, Browser
from tests.support.attempts import Document, attempt, closed, parameters
from tests.support.process import ServerProcess

UNHURRIED = (*FAST, "--poll-wait-s", "0.05", "--poll-wait-max-s", "0.05")
"""So that what is tried is answered by the verbs and not by their limits, and a poll does not wait for news."""

ENDS_THE_LOGIN = {"post_logout", "delete_me", "delete_tokens_id"}
"""Tried with an account each, or everything after them would be tried by nobody."""
ENDS_THE_OTHERS = {"delete_sessions"}
"""Tried apart, too, or there would be no other session left to end."""
ARGON2 = {"post_register", "post_login"}
"""They cost 35 ms each, and ask for no login: tried once, by whoever is signed in."""
NO_HTTP = {"get_ws"}
"""Signed in or not, schemathesis does not upgrade: once is enough."""
NO_END = {"get_events"}
"""Signed in, its answer has no end."""

NOBODY_GUESSES = {"POST /api/login", "PUT /api/push"}
"""Where no example is right."""
FOR_EVERYBODY = {
    "GET /api/openapi.json",
    "GET /events",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /api/visitor",
}
"""What answers with success where nobody is signed in: an event stream with 204."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("data"), *UNHURRIED) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


@pytest.fixture(scope="module")
def document(server: ServerProcess) -> Document:
    found: Document = httpx.get(f"{server.url}/api/openapi.json", timeout=20).json()
    return found


def operations(document: Document) -> list[Document]:
    return [each for methods in document["paths"].values() for each in methods.values()]


def names(document: Document) -> set[str]:
    return {operation["operationId"] for operation in operations(document)}


def whose(parameter: Document) -> bool:
    """Whether it says whose page asks: a made-up one is 409 before anything else is looked at."""
    return parameter.get("name") == "user" or parameter.get("$ref", "").endswith("/whose")


def with_examples(document: Document, one_id: str, blocked_id: str = "nobody") -> Document:
    """The same description with ids that somebody has, where nobody would guess one."""
    found = copy.deepcopy(document)
    for operation in operations(found):
        for parameter in operation["parameters"]:
            if parameter.get("name") in ("id", "with"):
                blocks = operation["operationId"].endswith("blocks_id")
                parameter["example"] = blocked_id if blocks else one_id
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        given = body.get("schema", {}).get("properties", {})
        for name in given.keys() & {"to", "with"}:
            given[name]["examples"] = [one_id]
    return found


# The document.


def test_anybody_can_have_the_description_and_keep_it_for_a_while(http: httpx.Client) -> None:
    answer = http.get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json()["openapi"].startswith("3.1.")
    head = http.head("/api/openapi.json")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


def test_a_bound_of_the_description_is_that_of_this_server(document: Document) -> None:
    def of(path: str, name: str) -> Any:
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        return body["schema"]["properties"][name]

    assert of("/api/messages", "text")["maxLength"] == 4000
    assert of("/api/register", "firstName")["maxLength"] == rules.NAME_CHARS
    assert of("/api/register", "password")["minLength"] == rules.PASSWORD_CHARS_MIN


def test_every_reference_of_the_description_leads_somewhere(document: Document) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from references(item)

    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


# What is tried.


def for_token(document: Document) -> Document:
    """The description for somebody with a token, closed, without what says whose page asks."""
    found = parameters(closed(document), lambda parameter: not whose(parameter))
    for operation in operations(found):
        operation["security"] = [way for way in operation["security"] if "cookie" not in way]
    return found


def a_token(browser: Browser) -> dict[str, str]:
    made = browser.http.post("/api/tokens", json={"label": "attempts"}).json()
    return {"Authorization": f"Bearer {made['token']}"}


def befriend_another_with_a_double(one: Browser, browser: Callable[[], Browser]) -> None:
    """A friend whose id is no example, so that it lasts, and somebody of the same name who asks for friendship."""
    other, double = browser(), browser()
    one.befriend(other)
    double.http.patch("/api/me", json={"lastName": other.user["lastName"]})
    double.http.put(f"/api/friends/{one.id}")
    assert one.http.get("/api/friends").json()["incoming"][0]["looksLike"] == other.id


def done(found: Counter[tuple[str, int]]) -> set[str]:
    """The operations that were carried out, at least once."""
    return {label for label, status in found if 200 <= status < 300}


@pytest.mark.timeout(600)
def test_signed_in_the_api_does_what_its_description_says(
    server: ServerProcess, browser: Callable[[], Browser], document: Document, tmp_path: Path
) -> None:
    one, friend, stranger = browser(), browser(), browser()
    befriend_another_with_a_double(one, browser)
    one.befriend(friend)
    headers = a_token(one)
    tried = with_examples(for_token(document), friend.id, stranger.id)
    found = attempt(
        tried,
        server.url,
        tmp_path,
        headers,
        names(document) - ENDS_THE_LOGIN - ENDS_THE_OTHERS - NO_HTTP - NO_END,
        "examples,coverage,fuzzing",
    )
    assert httpx.get(f"{server.url}/api/me", headers=headers).status_code == 200
    assert {label for label, _ in found} - done(found) == NOBODY_GUESSES


@pytest.mark.timeout(600)
def test_signed_out_the_api_does_what_its_description_says(
    server: ServerProcess, document: Document, tmp_path: Path
) -> None:
    found = attempt(
        closed(document), server.url, tmp_path, {}, names(document) - ARGON2, "coverage"
    )
    assert len({label for label, _ in found}) == len(names(document) - ARGON2)
    assert done(found) == FOR_EVERYBODY


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(ENDS_THE_LOGIN))
def test_what_ends_a_login_does_what_its_description_says(
    server: ServerProcess,
    browser: Callable[[], Browser],
    document: Document,
    tmp_path: Path,
    name: str,
) -> None:
    one = browser()
    headers = a_token(one)
    token_id = one.http.get("/api/tokens").json()["tokens"][0]["id"]
    tried = with_examples(for_token(document), token_id)
    body = tried["paths"]["/api/me"]["delete"]["requestBody"]["content"]["application/json"]
    body["example"] = {"password": PASSWORD}
    found = attempt(tried, server.url, tmp_path, headers, {name}, "examples,coverage")
    assert {status for _, status in found} >= {204, 401}


@pytest.mark.timeout(600)
def test_what_ends_the_other_sessions_does_what_its_description_says(
    server: ServerProcess, browser: Callable[[], Browser], document: Document, tmp_path: Path
) -> None:
    headers = a_token(browser())
    found = attempt(
        for_token(document), server.url, tmp_path, headers, ENDS_THE_OTHERS, "examples,coverage"
    )
    assert done(found) == {"DELETE /api/sessions"}
