"""Writing, reading back, read positions, rates; and that a repeat is not a second message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.site.conftest import Browser, problem
from tests.support.process import ServerProcess

Make = Callable[..., Browser]


def texts(one: Browser, **query: object) -> list[str]:
    page = one.http.get("/api/messages", params=query).json()  # type: ignore[arg-type]
    return [message["text"] for message in page["messages"]]


def test_a_message_is_answered_with_its_place_and_shown_to_friends_alone(browser: Make) -> None:
    ann, bob, cho = browser(), browser(), browser()
    ann.befriend(bob)
    ann.befriend(cho)
    answer = bob.http.post("/api/messages", json={"text": "from bob", "clientId": "m1"})
    assert answer.status_code == 201
    told = answer.json()
    assert told.keys() == {"seq", "at", "clientId"} and told["clientId"] == "m1"
    event = ann.http.get("/api/messages").json()["messages"][0]
    assert list(event) == ["seq", "type", "at", "from", "to", "text", "clientId"]
    assert event["from"] == {n: bob.user[n] for n in ("id", "name", "color")}
    assert (event["seq"], event["at"], event["to"]) == (told["seq"], told["at"], None)
    assert texts(bob) == ["from bob"] and texts(cho) == []


def test_a_repeat_gets_the_first_place_on_and_on(browser: Make) -> None:
    ann = browser()
    first = ann.http.post("/api/messages", json={"text": "once", "clientId": "m1"})
    again = ann.http.post("/api/messages", json={"text": "another text", "clientId": "m1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert texts(ann) == ["once"]
    other = browser().http.post("/api/messages", json={"text": "mine", "clientId": "m1"})
    assert other.status_code == 201


def test_a_message_sent_many_times_at_once_is_one(browser: Make) -> None:
    ann = browser()
    body = {"text": "once", "clientId": "m1"}
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: ann.http.post("/api/messages", json=body), range(30)))
    assert sorted(a.status_code for a in answers) == [200] * 29 + [201]
    assert len({a.content for a in answers}) == 1
    assert texts(ann) == ["once"]


def test_a_direct_message_is_for_the_two(browser: Make) -> None:
    ann, bob, cho = browser(), browser(), browser()
    ann.befriend(bob)
    ann.befriend(cho)
    sent = {"text": "psst", "to": bob.id}
    assert ann.http.post("/api/messages", json=sent).status_code == 201
    for one, peer in ((ann, bob), (bob, ann)):
        assert texts(one, **{"with": peer.id}) == ["psst"] and texts(one) == []
    assert [e for e in cho.events() if e["type"] == "message"] == []
    for to in (ann.id, "nobody-at-all", browser().id):
        status, code = (422, "invalid_field") if to == ann.id else (403, "forbidden")
        problem(ann.http.post("/api/messages", json={"text": "x", "to": to}), status, code)


def test_after_an_end_nothing_of_the_other_is_shown_any_more(browser: Make) -> None:
    ann, bob = browser(), browser()
    ann.befriend(bob)
    bob.http.post("/api/messages", json={"text": "to all"})
    bob.http.post("/api/messages", json={"text": "to ann", "to": ann.id})
    ann.http.delete(f"/api/friends/{bob.id}")
    assert texts(ann) == [] and texts(ann, **{"with": bob.id}) == []
    assert texts(bob) == ["to all"]
    repeat = {"text": "to ann", "to": ann.id, "clientId": "late"}
    problem(bob.http.post("/api/messages", json=repeat), 403, "forbidden")


def test_a_repeat_to_somebody_who_is_no_friend_any_more_gets_the_first_answer(
    browser: Make,
) -> None:
    ann, bob = browser(), browser()
    ann.befriend(bob)
    body = {"text": "hi", "to": bob.id, "clientId": "m1"}
    first = ann.http.post("/api/messages", json=body)
    bob.http.delete(f"/api/friends/{ann.id}")
    again = ann.http.post("/api/messages", json=body)
    assert again.status_code == 200 and again.json() == first.json()


def test_history_comes_in_pages_both_ways(browser: Make) -> None:
    ann = browser()
    seqs = [ann.http.post("/api/messages", json={"text": f"m{n}"}).json()["seq"] for n in range(7)]
    newest = ann.http.get("/api/messages", params={"limit": 3}).json()
    assert [m["text"] for m in newest["messages"]] == ["m4", "m5", "m6"] and newest["more"]
    assert newest["seq"] >= seqs[-1]
    assert texts(ann, limit=3, before=seqs[4]) == ["m1", "m2", "m3"]
    oldest = ann.http.get("/api/messages", params={"limit": 3, "before": seqs[1]}).json()
    assert [m["text"] for m in oldest["messages"]] == ["m0"] and not oldest["more"]
    assert texts(ann, limit=3, after=seqs[0]) == ["m1", "m2", "m3"]
    assert texts(ann, after=seqs[-1]) == []


def test_line_separators_and_emoji_come_back_as_they_were_sent(browser: Make) -> None:
    ann = browser()
    text = "a\u2028b\u2029c\n\t\U0001f469\u200d\U0001f4bb <script>&amp;"
    ann.http.post("/api/messages", json={"text": text})
    answer = ann.http.get("/api/messages")
    assert answer.json()["messages"][0]["text"] == text
    assert "\u2028" not in answer.text


def test_read_positions_only_grow_and_count_what_is_new(browser: Make) -> None:
    ann, bob = browser(), browser()
    ann.befriend(bob)
    seqs = [
        bob.http.post("/api/messages", json={"text": "x", "to": ann.id}).json()["seq"]
        for _ in range(3)
    ]
    assert ann.http.get("/api/read").json()["unread"] == [{"with": bob.id, "count": 3}]
    for up_to in (seqs[1], seqs[0], seqs[1]):
        read = ann.http.post("/api/read", json={"with": bob.id, "upTo": up_to})
        assert read.status_code == 204
    state = ann.http.get("/api/read").json()
    assert state["read"] == [{"with": bob.id, "upTo": seqs[1]}]
    assert state["unread"] == [{"with": bob.id, "count": 1}]
    assert bob.http.get("/api/read").json()["peers"] == [{"user": ann.id, "upTo": seqs[1]}]
    for one in (ann, bob):
        told = [e for e in one.events() if e["type"] == "read"]
        assert [(e["user"], e["with"], e["upTo"]) for e in told] == [(ann.id, bob.id, seqs[1])]
    problem(ann.http.post("/api/read", json={"with": "x", "upTo": 1}), 403, "forbidden")


def test_a_list_of_conversations_says_where_each_stands(browser: Make) -> None:
    ann, bob, cho = browser(), browser(), browser()
    ann.befriend(bob)
    ann.befriend(cho)
    bob.http.post("/api/messages", json={"text": "to all"})
    sent = ann.http.post("/api/messages", json={"text": "to bob", "to": bob.id, "clientId": "c"})
    last = [event for event in ann.events() if event["type"] == "message"][-1]
    told = ann.http.get("/api/conversations").json()
    assert told["seq"] >= sent.json()["seq"]
    rows = told["conversations"]
    assert [(row["with"], row["unread"], row["readUpTo"]) for row in rows] == [
        (bob.id, 0, 0),
        (None, 1, 0),
        (cho.id, 0, 0),
    ]
    assert rows[0]["last"] == last and rows[1]["last"]["text"] == "to all"
    assert rows[2]["last"] is None
    ann.http.delete(f"/api/friends/{bob.id}")
    rows = ann.http.get("/api/conversations").json()["conversations"]
    assert [(row["with"], row["last"], row["unread"]) for row in rows] == [
        (None, None, 0),
        (cho.id, None, 0),
    ]


def test_what_one_has_read_of_the_broadcasts_is_ones_own_business(browser: Make) -> None:
    ann, bob = browser(), browser()
    ann.befriend(bob)
    seq = bob.http.post("/api/messages", json={"text": "x"}).json()["seq"]
    ann.http.post("/api/read", json={"upTo": seq})
    assert [e["upTo"] for e in ann.events() if e["type"] == "read"] == [seq]
    assert [e for e in bob.events() if e["type"] == "read"] == []


def test_a_read_position_past_the_head_is_taken_as_the_head(browser: Make) -> None:
    ann = browser()
    seq = ann.http.post("/api/messages", json={"text": "x"}).json()["seq"]
    ann.http.post("/api/read", json={"upTo": 2**53 - 1})
    position = ann.http.get("/api/read").json()["read"][0]["upTo"]
    assert seq <= position < 2**53 - 1


@pytest.fixture
def slow(data: Path) -> Iterator[ServerProcess]:
    """A server where a person may write twice, and then hardly ever."""
    with ServerProcess(data, "--send-rate", "0.001", "--send-burst", "2") as running:
        yield running


def test_writing_too_fast_is_refused_and_a_repeat_costs_nothing(slow: ServerProcess) -> None:
    ann, bob = Browser(slow.url), Browser(slow.url)
    with closing(ann.http), closing(bob.http):
        first = ann.http.post("/api/messages", json={"text": "1", "clientId": "m1"})
        for _ in range(5):
            again = ann.http.post("/api/messages", json={"text": "1", "clientId": "m1"})
            assert (again.status_code, again.json()) == (200, first.json())
        assert ann.http.post("/api/messages", json={"text": "2"}).status_code == 201
        refused = ann.http.post("/api/messages", json={"text": "3", "clientId": "m3"})
        told = problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == str(told["retryAfter"])
        again = ann.http.post("/api/messages", json={"text": "1", "clientId": "m1"})
        assert (again.status_code, again.json()) == (200, first.json())
        assert bob.http.post("/api/messages", json={"text": "1"}).status_code == 201
