"""What counts the messages of `scripts/faults` notices what it is there for; the faults themselves are run by hand."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest

from scripts.faulting.__main__ import MUST_BE_0
from scripts.faulting.crowd import Crowd, Somebody
from scripts.soaking.model import Sent
from tests.support.clients import Person


class _Nobody:
    id = "ann"


def reader() -> Somebody:
    """Ann, who has one friend."""
    one = Somebody(cast(Person, _Nobody()), 0)
    one.take({"seq": 1, "type": "friend", "relation": "friend", "user": {"id": "bob"}})
    return one


def said(seq: int, author: str, text: str) -> dict[str, Any]:
    return {"seq": seq, "type": "message", "from": {"id": author}, "to": None, "text": text}


@pytest.mark.parametrize(
    ("events", "wrong"),
    [
        ([said(2, "bob", "one"), said(3, "bob", "two"), said(4, "ann", "last")], {}),
        ([said(3, "bob", "two"), said(4, "ann", "last")], {"lost": 1}),
        ([said(2, "bob", "one"), said(3, "bob", "one"), said(4, "ann", "last")], {"doubled": 1}),
        (
            [
                said(2, "bob", "one"),
                said(2, "bob", "one"),
                said(3, "bob", "two"),
                said(4, "ann", ""),
            ],
            {"doubled": 2},
        ),
        (
            [said(3, "bob", "two"), said(2, "bob", "one"), said(4, "ann", "")],
            {"disordered": 1, "lost": 1},
        ),
        ([{"seq": 4, "type": "reset"}], {"resets": 1, "lost": 2}),
        ([said(2, "bob", "one"), said(3, "bob", "two"), said(4, "cho", "")], {"forbidden": 1}),
    ],
)
def test_what_is_wrong_is_counted(events: list[dict[str, Any]], wrong: dict[str, int]) -> None:
    crowd = Crowd("http://nowhere", f"{random.random()}")
    one = reader()
    crowd.people = [one]
    one.sent = [Sent(2, "bob", None), Sent(3, "bob", None)]
    for event in events:
        one.take(event)
    crowd.judge()
    assert {name: crowd.counts[name] for name in MUST_BE_0 if crowd.counts[name]} == wrong


def test_messages_of_one_person_that_stand_in_another_order_are_counted() -> None:
    crowd = Crowd("http://nowhere", "")
    one = reader()
    crowd.people = [one]
    one.sent = [Sent(7, "ann", None), Sent(6, "ann", None)]
    crowd.judge()
    assert crowd.counts["disordered"] == 1
