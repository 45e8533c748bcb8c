"""People with browsers, as httpx sees them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.process import ServerProcess

PASSWORD = "correct horse"
_numbers = itertools.count(1)


class Browser:
    """Somebody who has registered: a cookie, and what they know of themselves."""

    def __init__(self, url: str, first_name: str = "Test", **headers: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, headers=headers)
        self.email = f"{uuid.uuid4().hex[:12]}@example.com"
        answer = self.http.post(
            "/api/register",
            json={
                "email": self.email,
                "password": PASSWORD,
                "firstName": first_name,
                "lastName": f"Number{next(_numbers)}",
            },
        )
        assert answer.status_code == 201, answer.text
        self.user: dict[str, Any] = answer.json()["user"]
        self.id: str = self.user["id"]

    def public(self) -> dict[str, Any]:
        return {name: value for name, value in self.user.items() if name not in ("email", "zone")}

    def relation_to(self, other: Browser) -> str:
        found = self.http.get("/api/users", params={"q": other.email}).json()["users"]
        return str(found[0]["relation"]) if found else "hidden"

    def befriend(self, other: Browser) -> None:
        assert self.http.put(f"/api/friends/{other.id}").json() == {"relation": "outgoing"}
        assert other.http.put(f"/api/friends/{self.id}").json() == {"relation": "friend"}

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Every event after this cursor, page by page."""
        found: list[dict[str, Any]] = []
        more = True
        while more:
            answer = self.http.get("/poll", params={"after": after, "wait": 0}).json()
            found += [event for event in answer["events"] if "seq" in event]
            after, more = answer["cursor"], answer["more"]
        return found


@pytest.fixture
def browser(server: ServerProcess) -> Iterator[Callable[..., Browser]]:
    """Makes people who have registered, each with their own cookie."""
    made: list[Browser] = []

    def make(first_name: str = "Test", **headers: str) -> Browser:
        made.append(Browser(server.url, first_name, **headers))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    """Somebody who is signed out."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, which must be this one, whole and well-formed."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= told.keys()
    assert (told["status"], told["code"]) == (status, code)
    assert told["detail"].endswith(".") and "Traceback" not in answer.text
    return told
