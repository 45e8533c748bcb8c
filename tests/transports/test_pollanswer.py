"""The bytes of an answer are made once for all who get the same, and for nobody else."""

from __future__ import annotations

import json
from time import time
from typing import Any

import pytest

from chatserver.core.events import Audience, Event
from chatserver.transports import pollanswer
from chatserver.transports.pollanswer import PollEncoding


def event(seq: int) -> Event:
    payload = json.dumps({"seq": seq}).encode()
    return Event(seq, 0, "message", Audience.FRIENDS, "a", None, payload)


def body(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def test_equal_lists_of_the_same_events_are_one_answer() -> None:
    first, second, encoding = event(1), event(2), PollEncoding()
    one = encoding.of([first, second], 2, 25.0, "")
    assert encoding.of([first, second], 2, 25.0, "") is one
    assert body(one) == {
        "cursor": 2,
        "events": [{"seq": 1}, {"seq": 2}],
        "more": False,
        "timeout": 35_000,
    }


def test_whatever_else_it_says_makes_another_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, encoding = event(1), event(2), PollEncoding()
    encoding.of([first], 1, 25.0, "")
    assert body(encoding.of([first], 3, 25.0, ""))["more"] is True
    assert body(encoding.of([first], 3, 5.0, ""))["timeout"] == 15_000
    assert b"\r\nVary: Origin\r\n" in encoding.of([first], 3, 5.0, "Vary: Origin\r\n")
    assert b"Vary" not in encoding.of([first], 3, 5.0, "")
    assert body(encoding.of([first, second], 3, 5.0, ""))["cursor"] == 2
    assert body(encoding.of([second], 3, 5.0, ""))["events"] == [{"seq": 2}]
    later_s = time() + 1
    monkeypatch.setattr(pollanswer, "time", lambda: later_s)
    monkeypatch.setattr(pollanswer, "http_date", lambda: "a second later")
    assert b"\r\nDate: a second later\r\n" in encoding.of([second], 3, 5.0, "")
