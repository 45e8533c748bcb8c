"""Prices and turns over HTTP: every refusal says when to come again, and nobody waits behind somebody else's reads."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from scripts.benchmark import seed
from scripts.benchmark.crowd import star
from tests.site.conftest import PASSWORD, Browser, problem
from tests.support.clients import Person, WebSocketReader
from tests.support.process import ServerProcess


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the limits of the contract, but for the registrations of the tests themselves."""
    more = ("--register-burst", "1000")
    with ServerProcess(tmp_path_factory.mktemp("data"), *more) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


@pytest.fixture
def browser(metered: ServerProcess) -> Iterator[Callable[[], Browser]]:
    """Makes people who have registered."""
    made: list[Browser] = []

    def make() -> Browser:
        made.append(Browser(metered.url))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


def refused(answer: httpx.Response) -> int:
    told = problem(answer, 429, "rate_limited")
    assert answer.headers["retry-after"] == str(told["retryAfter"])
    return int(told["retryAfter"])


def test_a_sixth_request_to_one_person_is_refused_for_ten_seconds(
    browser: Callable[[], Browser],
) -> None:
    eve, victim = browser(), browser()
    for _ in range(5):
        assert eve.http.put(f"/api/friends/{victim.id}").json() == {"relation": "outgoing"}
        assert eve.http.delete(f"/api/friends/{victim.id}").status_code == 204
    assert 1 <= refused(eve.http.put(f"/api/friends/{victim.id}")) <= 10
    assert len(victim.events()) == 10


def test_an_eleventh_change_of_the_profile_is_refused(browser: Callable[[], Browser]) -> None:
    ann = browser()
    for n in range(10):
        assert ann.http.patch("/api/me", json={"firstName": f"Ann{n}"}).status_code == 200
    assert 1 <= refused(ann.http.patch("/api/me", json={"firstName": "Anna"})) <= 12


def test_reading_all_of_it_in_a_loop_is_an_event_at_the_most(
    browser: Callable[[], Browser],
) -> None:
    ann = browser()
    ann.http.post("/api/messages", json={"text": "x"})
    for _ in range(300):
        assert ann.http.post("/api/read", json={"upTo": 2**53 - 1}).status_code == 204
    assert [event["type"] for event in ann.events()] == ["message", "read"]


def test_what_a_form_escapes_is_paid_for(browser: Callable[[], Browser]) -> None:
    """Each escape takes 0.4 µs to be read: 64 KB of them were 12 ms, for the price of one request."""
    media = {"Content-Type": "application/x-www-form-urlencoded"}
    answers: dict[str, list[int]] = {"aaaa": [], "a%41": []}
    for part, found in answers.items():
        one, form = browser(), "text=" + 16_000 * part
        for _ in range(150):
            answer = one.http.post("/classic/messages", content=form, headers=media)
            found.append(answer.status_code)
            if answer.status_code == 429:
                break
    assert set(answers["aaaa"]) == {403}, "a form that is not ours"
    assert answers["a%41"][0] == 403 and answers["a%41"][-1] == 429


def test_an_account_has_fifty_sessions(
    metered: ServerProcess, browser: Callable[[], Browser]
) -> None:
    ann = browser()
    for _ in range(50):
        with httpx.Client(base_url=metered.url) as http:
            given = {"email": ann.email, "password": PASSWORD}
            assert http.post("/api/login", json=given).status_code == 200
    assert ann.http.get("/api/me").status_code == 401, "the oldest has ended"
    with httpx.Client(base_url=metered.url) as http:
        http.post("/api/login", json=given)
        assert len(http.get("/api/sessions").json()["sessions"]) == 50


async def test_a_read_frame_does_not_hold_up_the_message_behind_it(metered: ServerProcess) -> None:
    ann = await Person.register(metered.url, "Ann")
    reader = WebSocketReader(metered.url, ann.token)
    await reader.connect()
    for _ in range(20):
        first, second = await ann.send("x"), await ann.send("y")
        began_s = time.monotonic()
        await ann.http.post("/api/read", json={"upTo": first})
        await reader.say(type="read", upTo=second)
        await reader.say(type="send", text="z", clientId=str(second))
        kinds: list[str] = []
        while len(kinds) < 5:
            kind = json.loads(await reader.next_event())["type"]
            kinds += [kind] if kind != "ack" else []
        if kinds == ["message", "message", "read", "message", "read"]:
            break
        # Not held up, where the second in which one position is written was over before the frames were there.
        assert time.monotonic() - began_s > 0.9, kinds
    else:
        raise AssertionError("it was never there within a second")
    assert (await ann.http.get("/api/read")).json()["read"][0]["upTo"] == second


MESSAGES = 20_000
READERS = 50


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server where one person has a thousand friends, who have written a lot."""
    data = tmp_path_factory.mktemp("full")
    seed.fill(data, star(1000), MESSAGES)
    with ServerProcess(data, "--replay-events", "100000") as running:
        yield running


@pytest.mark.parametrize(
    "path", ["/poll?after=0&wait=0", "/api/read", "/api/conversations", "/api/messages?limit=200"]
)
async def test_fifty_costly_reads_of_one_account_slow_nobody_else_down(
    full: ServerProcess, path: str
) -> None:
    """Bounds that a slow machine keeps: the reads of one take many times as long as what the other waits."""
    attacker = {"Authorization": f"Bearer {seed.token(0)}"}
    other = {"Authorization": f"Bearer {seed.token(7)}"}
    limits = httpx.Limits(max_connections=READERS)
    async with (
        httpx.AsyncClient(base_url=full.url, headers=attacker, limits=limits, timeout=60) as crowd,
        httpx.AsyncClient(base_url=full.url, headers=other, timeout=60) as one,
    ):
        await asyncio.gather(one.get("/api/me"), crowd.get("/api/me"))
        began_s = time.monotonic()
        reads = [asyncio.create_task(crowd.get(path)) for _ in range(READERS)]
        waits_s = []
        while not all(task.done() for task in reads):
            asked_s = time.monotonic()
            assert (await one.get("/api/me")).status_code == 200
            waits_s.append(time.monotonic() - asked_s)
        took_s = time.monotonic() - began_s
        assert {task.result().status_code for task in reads} == {200}
    assert sorted(waits_s)[len(waits_s) // 2] < max(0.1, took_s / 10), (took_s, waits_s)
    assert max(waits_s) < max(0.5, took_s / 3), (took_s, waits_s)
