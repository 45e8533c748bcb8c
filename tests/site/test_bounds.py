"""Somebody whom thousands have befriended or asked: what they are shown is bounded, and paged."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from chatserver.store.sqlite.opening import FILE
from scripts.benchmark import seed
from scripts.benchmark.crowd import Crowd
from tests.support.process import ServerProcess

FRIENDS, REQUESTS = 5000, 7000


def fill(folder: Path) -> None:
    """User 0 with so many friends and requests."""
    people = FRIENDS + REQUESTS + 1
    friendships = tuple((0, friend) for friend in range(1, FRIENDS + 1))
    seed.fill(folder, Crowd("much befriended", people, (0,) * people, friendships))
    zero = seed.user_id(0)
    askers = [seed.user_id(FRIENDS + 1 + n) for n in range(REQUESTS)]
    with closing(sqlite3.connect(folder / FILE)) as db, db:
        db.executemany(
            "INSERT INTO friendships (user_id, other_id, relation, since) VALUES (?, ?, ?, ?)",
            [(zero, asker, "incoming", seed.FIRST_SEQ + n) for n, asker in enumerate(askers)]
            + [(asker, zero, "outgoing", seed.FIRST_SEQ + n) for n, asker in enumerate(askers)],
        )


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("bounds") / "data"
    fill(folder)
    bearer = {"Authorization": f"Bearer {seed.token(0)}"}
    with (
        ServerProcess(folder) as running,
        httpx.Client(base_url=running.url, timeout=30, headers=bearer) as client,
    ):
        yield client
        assert running.stop() == 0


def test_friends_are_whole_and_requests_bounded(http: httpx.Client) -> None:
    answer = http.get("/api/friends")
    found = answer.json()
    assert len(found["friends"]) == FRIENDS
    assert len(found["incoming"]) == 200 and found["incomingCount"] == REQUESTS
    assert found["incoming"][0]["id"] == seed.user_id(FRIENDS + 1), "the oldest first"
    assert len(answer.content) < 1_000_000


@pytest.mark.parametrize("path", ["/classic", "/classic/friends"])
def test_a_classic_page_shows_fifty_of_a_list_and_leads_to_the_rest(
    http: httpx.Client, path: str
) -> None:
    seen: set[str] = set()
    further: str | None = path
    for _ in range(3):
        assert further is not None
        page = http.get(further).text
        assert len(page) < 150_000
        shown = set(re.findall(r'href="/classic\?with=(u\d+)"', page))
        assert len(shown) == 50 and not shown & seen
        seen |= shown
        link = re.search(r'href="([^"]*friends=\d+)">More<', page)
        further = link and link[1]
    assert f"{REQUESTS} people ask you" in http.get("/classic/friends").text


def test_the_last_page_leads_back_only(http: httpx.Client) -> None:
    page = http.get("/classic/friends", params={"friends": FRIENDS - 20}).text
    assert len(set(re.findall(r"\?with=(u\d+)", page))) == 20
    assert "friends=4930" in page and ">Back<" in page
    assert "friends=5030" not in page
    assert http.get("/classic/friends", params={"friends": "-1"}).status_code == 422
    assert http.get("/classic/friends", params={"friends": 10**9}).status_code == 200
