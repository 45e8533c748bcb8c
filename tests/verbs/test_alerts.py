"""Whom a message calls: wishes, and who is online somewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import orjson
import pytest

from chatserver.core.alerts import NO_WISHES, Subscription, Wishes, wishes_of
from chatserver.core.errors import InvalidField, Unavailable
from chatserver.core.events import Audience, Event
from chatserver.verbs import alerts
from chatserver.verbs.alerts import Alerts, Outcome

PAYLOAD = orjson.dumps({"from": {"id": "ann", "name": "Ann"}, "text": "hello"})


def said(seq: int, to: str | None = "bob") -> Event:
    audience = Audience.PAIR if to else Audience.FRIENDS
    return Event(seq, 1, "message", audience, "ann", to, PAYLOAD)


class House:
    """Alerts with paper around: bob is ann's friend since 5, and has one browser."""

    def __init__(self, online: bool = False) -> None:
        kept = Subscription("https://push.example.com/1", "bob", "c", "k", "a", 1)
        self.store: Any = AsyncMock()
        self.store.subscribers.return_value = {"bob", "cho"}
        self.store.friends_since.return_value = ({"bob": 5, "ann": 5}, 100, 100)
        self.store.subscriptions.return_value = [kept]
        self.store.wishes.return_value = None
        self.store.read_position.return_value = 0
        self.sender: Any = AsyncMock(local=False, key="key")
        self.sender.send.return_value = Outcome.SENT
        sessions: Any = AsyncMock()
        sessions.listed.return_value = [SimpleNamespace(id="c")]
        presence: Any = MagicMock()
        presence.is_online.return_value = online
        self.alerts = Alerts(
            self.store, sessions, presence, MagicMock(), self.sender, lambda: 3_600_000
        )
        self.alerts.waits_s = (0.0, 0.01)

    async def hear(self, *events: Event) -> list[dict[str, Any]]:
        """The calls that have been made when these have led to theirs."""
        await self.alerts.start()
        await self.follow(*events)
        return [orjson.loads(each.args[1]) for each in self.sender.send.await_args_list]

    async def follow(self, *events: Event) -> None:
        """Until nobody is to be called any more."""
        self.alerts.follow(events)
        while self.alerts._tasks:
            await asyncio.gather(*self.alerts._tasks)


async def test_friends_alone_are_called_and_for_what_they_may_see() -> None:
    assert [each["seq"] for each in await House().hear(said(6))] == [6]
    assert await House().hear(said(5)) == []
    assert await House().hear(said(6, "cho")) == []
    assert [each["with"] for each in await House().hear(said(6, None))] == [None]


async def test_a_burst_calls_once_with_the_newest() -> None:
    assert [each["seq"] for each in await House().hear(said(6), said(7), said(8))] == [8]


async def test_a_burst_that_takes_all_the_room_silences_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was to be called when there was no room used to wait for a call that never came, for good."""
    monkeypatch.setattr(alerts, "WAITING_MAX", 3)
    house = House()
    assert await house.hear(*map(said, range(6, 16))) == []
    assert house.alerts.counts["dropped"] >= 7
    assert [each["seq"] for each in await house.hear(said(16))] == [16]


async def test_whose_push_service_does_not_answer_keeps_nobody_else_from_being_called() -> None:
    """All rooms used to be theirs, for as long as each of their browsers had its tries."""
    house = House()
    friends = [f"f{n}" for n in range(2 * alerts.AT_ONCE)]
    since = dict.fromkeys(("ann", "bob", "cho", *friends), 5)
    house.store.friends_since.return_value = (since, 100, 100)
    kept = house.store.subscriptions.return_value[0]
    house.store.subscriptions.side_effect = lambda user: [replace(kept, user_id=user)]
    called, hangs = asyncio.Event(), []

    async def send(subscription: Subscription, payload: bytes, topic: str) -> Outcome:
        if subscription.user_id == "bob":
            called.set()
            return Outcome.SENT
        hangs.append(topic)
        await asyncio.Event().wait()
        raise AssertionError

    house.sender.send.side_effect = send
    await house.alerts.start()
    house.alerts.follow([replace(said(6, "cho"), actor=each) for each in friends])
    while not hangs:
        await asyncio.sleep(0)
    house.alerts.follow([said(7)])
    async with asyncio.timeout(30):
        await called.wait()
    assert len(hangs) == 1, "one at a time"
    await house.alerts.close()


async def test_a_call_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "CALL_S", 0.01)
    house = House()

    async def send(*_: object) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    house.sender.send.side_effect = send
    await house.alerts.start()
    async with asyncio.timeout(30):
        await house.follow(said(6))
    assert house.alerts.counts["failed"] == 1
    house.sender.send.side_effect = None
    await house.follow(said(7))
    assert house.alerts.counts["sent"] == 1


async def test_a_muted_conversation_calls_nobody_and_the_text_comes_where_it_is_wanted() -> None:
    house = House()
    wishes = Wishes(text=True, muted=("",))
    house.store.wishes.return_value = orjson.dumps(wishes.as_fields()).decode()
    assert [(each["with"], each["text"]) for each in await house.hear(said(6), said(7, None))] == [
        ("ann", "hello")
    ]
    house.store.wishes.return_value = None
    assert ["text" in each for each in await house.hear(said(8, None))] == [True, False]


async def test_who_is_no_friend_any_more_when_the_call_is_made_calls_nobody() -> None:
    house = House()
    house.store.friends_since.side_effect = [({"bob": 5}, 100, 100), ({}, 100, 100)]
    assert await house.hear(said(6)) == []


@pytest.mark.parametrize("asked", ["friends_since", "wishes"])
async def test_a_store_that_does_not_answer_costs_one_call_and_no_more(asked: str) -> None:
    house = House()
    getattr(house.store, asked).side_effect = Unavailable("away", 1.0)
    assert await house.hear(said(6)) == []
    getattr(house.store, asked).side_effect = None
    assert [each["seq"] for each in await house.hear(said(7))] == [7]


@pytest.mark.parametrize(("outcome", "calls"), [(Outcome.FAILED, 2), (Outcome.GONE, 1)])
async def test_a_subscription_ends_where_its_service_knows_it_no_more_not_where_it_fails(
    outcome: Outcome, calls: int
) -> None:
    house = House()
    house.sender.send.return_value = outcome
    await house.alerts.start()
    for seq in (6, 7):
        await house.follow(said(seq))
    assert house.sender.send.await_count == house.alerts.counts[outcome.value] == calls
    dropped = [each.args[1] for each in house.store.drop_subscription.await_args_list]
    assert dropped == (["https://push.example.com/1"] if outcome is Outcome.GONE else [])


async def test_of_several_nodes_one_calls() -> None:
    house = House()
    house.alerts.active = lambda: False
    assert await house.hear(said(6)) == []


async def test_what_was_not_called_before_the_end_is_not_called_any_more() -> None:
    house = House()
    house.alerts.waits_s = (60.0, 60.0)
    await house.alerts.start()
    house.alerts.follow([said(6)])
    while not house.alerts._waiting:
        await asyncio.sleep(0)
    await house.alerts.close()
    assert not house.alerts._tasks and not house.sender.send.await_count


async def test_who_is_online_is_called_only_for_what_stays_unread() -> None:
    house = House(online=True)
    house.store.read_position.return_value = 6
    assert await house.hear(said(6)) == []
    assert [each["seq"] for each in await House(online=True).hear(said(6))] == [6]


async def test_quiet_hours_are_of_the_day_where_the_account_is() -> None:
    for zone, quiet in (("UTC", True), ("Asia/Shanghai", False)):
        house = House()
        wishes = Wishes(quiet_from=60, quiet_to=120, zone=zone)
        house.store.wishes.return_value = orjson.dumps(wishes.as_fields()).decode()
        assert (await house.hear(said(6)) == []) is quiet


def test_quiet_hours_may_pass_midnight_and_equal_ends_are_none() -> None:
    night = Wishes(quiet_from=22 * 60, quiet_to=7 * 60)
    assert [night.is_quiet(at) for at in (0, 419, 420, 1319, 1320, 1439)] == [
        *(True, True, False),
        *(False, True, True),
    ]
    assert not any(NO_WISHES.is_quiet(at) for at in range(1440))


async def test_the_end_of_a_login_by_time_ends_its_subscription() -> None:
    house = House()
    house.alerts._sessions.listed.return_value = []  # type: ignore[attr-defined]
    assert await house.hear(said(6)) == []
    house.store.drop_subscription.assert_awaited_once_with("bob", "https://push.example.com/1")
    house.store.reset_mock()
    house.alerts.follow([said(7)])
    assert not house.store.subscriptions.await_count


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"text": 1}, "text"),
        ({"quietFrom": 1440}, "quietFrom"),
        ({"quietTo": -1}, "quietTo"),
        ({"zone": "x" * 65}, "zone"),
        ({"muted": "x"}, "muted"),
        ({"muted": [1]}, "muted"),
        ({"muted": ["x"] * 1001}, "muted"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(fields: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidField) as refused:
        wishes_of(fields)
    assert refused.value.field == name


def test_what_is_not_given_stays() -> None:
    before = Wishes(True, 1, 2, "UTC", ("", "ann"))
    assert wishes_of({}, before) == before
    assert wishes_of({"muted": ["ann", "ann"]}, before).muted == ("ann",)
