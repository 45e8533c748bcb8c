"""Who is here: told to friends and to nobody else, and kept for later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from chatserver.core.changes import AccountEnd
from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Draft, Signal
from chatserver.core.presence import Presence
from chatserver.delivery import attendance as attendance_module
from chatserver.delivery.attendance import HELD_S, Attendance
from tests.delivery.kit import LIMITS, Probe, opened
from tests.store.kit import START_MS
from tests.support.payments import paid

GRACE_S = LIMITS.offline_grace_s


def said(probe: Probe) -> list[tuple[str, bool]]:
    """Who came and went, as this reader was offered it."""
    found = [json.loads(signal.payload) for signal in probe.signals]
    return [(one["user"], one["online"]) for one in found]


async def test_friends_are_told_who_comes_and_goes_and_strangers_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("ann", "bob")
        ann, cho = await place.reader("ann"), await place.reader("cho")
        bob = await place.reader("bob")
        second = await place.reader("bob")
        for probe in (bob, second):
            place.delivery.readers.detach(probe)
        place.delivery.attendance.expire(place.now_s + GRACE_S)
        assert said(ann) == [("bob", True), ("bob", False)]
        assert said(cho) == []


async def test_the_whole_presence_names_friends_who_are_here_and_no_strangers(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("ann", "bob")
        ann, _, _ = [await place.reader(name) for name in ("ann", "bob", "cho")]
        whole = place.delivery.attendance.whole(ann.mailbox)
        assert json.loads(whole.payload) == {"type": "presence", "online": ["bob"]}


async def test_new_friends_hear_that_the_other_is_here(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        ann, bob, cho = [await place.reader(name) for name in ("ann", "bob", "cho")]
        await place.befriend("ann", "bob")
        await place.befriend("ann", "cho")
        place.delivery.readers.detach(bob)
        assert said(bob) == [("ann", True)]
        assert said(ann) == [("bob", True), ("cho", True)]
        assert said(cho) == [("ann", True)]


async def test_whose_account_has_ended_is_offline_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("ann", "bob")
        ann, _ = await place.reader("ann"), await place.reader("bob")
        change = AccountEnd("bob")
        await place.journal.append(
            paid(), Draft("profile", Audience.FRIENDS, "bob", None, {}, None, change)
        )
        assert said(ann) == [("bob", True), ("bob", False)]
        assert not place.presence.is_online("bob")
        await place.befriend("ann", "cho")
        await place.journal.append(
            paid(), Draft("profile", Audience.FRIENDS, "cho", None, {}, None, AccountEnd("cho"))
        )
        assert len(said(ann)) == 2, "who was not here does not go"


async def test_a_poll_brings_one_online_until_its_next_was_due(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("ann", "bob")
        ann = await place.reader("ann")
        attendance = place.delivery.attendance
        attendance.polled("bob", 25.0)
        attendance.polled("bob", 25.0)
        attendance.poll_left("bob", [])
        attendance.expire(place.now_s + GRACE_S)
        assert said(ann) == [("bob", True), ("bob", False)]


async def test_when_people_were_last_seen_is_kept_as_they_go_and_at_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("ann", "bob")
        await place.befriend("ann", "cho")
        attendance = place.delivery.attendance
        attendance.polled("bob", 0.0)
        attendance.polled("cho", 500.0)
        place.clock.now_ms = START_MS + 5000
        attendance.expire(place.now_s + GRACE_S)
        place.clock.now_ms = START_MS + 9000
        await attendance.close()
        found = await place.store.friends("ann")
        seen = {user.id: seen for user, seen in found.friends}
        assert seen == {"bob": START_MS + 5000, "cho": START_MS + 9000}


class Away:
    """A store that cannot be written."""

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        raise Unavailable("not now")


class Silence:
    """Signals that nobody hears."""

    def publish(self, signal: Signal, to: str | None = None) -> None: ...


async def test_a_store_that_is_away_costs_a_line_and_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attendance = Attendance(Presence(0.0), Silence(), Away(), lambda: 100.0, lambda: START_MS)
    attendance.polled("ann", 0.0)
    attendance.expire(101.0)
    await asyncio.sleep(0)
    attendance.polled("ann", 0.0)
    await attendance.close()
    assert caplog.text.count("could not keep when") == 2


async def test_a_herd_hears_of_itself_at_once_when_it_is_there_or_a_second_later() -> None:
    crowded, now_s = True, 100.0
    told: list[tuple[str, bool]] = []

    class Told:
        def publish(self, signal: Signal, to: str | None = None) -> None:
            told.append((signal.about, b'"online":true' in signal.payload))

    attendance = Attendance(
        Presence(0.0), Told(), Away(), lambda: now_s, lambda: START_MS, lambda: crowded
    )
    attendance.stream_opened("ann")
    attendance.stream_opened("bob")
    attendance.polled("cho", 0.0)
    attendance.expire(now_s)
    assert told == [("cho", False)], "who has gone again is not told of as having come"
    attendance._look_at_held()
    assert told == [("cho", False)]
    now_s += HELD_S
    attendance._look_at_held()
    assert told == [("cho", False), ("ann", True), ("bob", True)]
    attendance.stream_opened("dan")
    crowded = False
    attendance._look_at_held()
    attendance.stream_opened("eve")
    assert told[3:] == [("dan", True), ("eve", True)]


async def test_a_large_herd_is_told_of_in_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance_module, "TOLD_A_TURN", 2)
    crowded, now_s = True, 100.0
    told: list[str] = []

    class Told:
        def publish(self, signal: Signal, to: str | None = None) -> None:
            told.append(signal.about)

    attendance = Attendance(
        Presence(0.0), Told(), Away(), lambda: now_s, lambda: START_MS, lambda: crowded
    )
    for number in range(5):
        attendance.stream_opened(f"u{number}")
    now_s += HELD_S
    attendance._look_at_held()
    attendance.stream_opened("late")
    counts = []
    while len(told) < 6:
        counts.append(len(told))
        await asyncio.sleep(0)
    assert counts == [2, 4], "though the herd has not ended: they have waited long enough"
    assert told == [*(f"u{number}" for number in range(5)), "late"]
