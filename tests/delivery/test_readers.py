"""Who reads: readers attach by login and mailbox, and end each for its reason."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.changes import AccountEnd
from chatserver.core.errors import (
    CUT_OFF,
    RESTARTING,
    SIGNED_OUT,
    SUPERSEDED,
    TOO_MANY,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.events import Audience, Draft
from chatserver.delivery.readers import CUT_OFF_S, RETURN_RATE
from tests.delivery.kit import LIMITS, opened
from tests.store.kit import login
from tests.support.payments import paid


async def test_an_older_reader_of_the_same_client_is_superseded(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        other = await place.reader("ann", client="other")
        older = await place.reader("ann", client="page")
        newer = await place.reader("ann", client="page")
        assert older.endings == [SUPERSEDED]
        assert place.delivery.readers.of("ann") == [other, newer]


async def test_readers_without_a_name_do_not_supersede_each_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        probes = [await place.reader("ann") for _ in range(2)]
        assert place.delivery.readers.of("ann") == probes


async def test_one_more_than_there_may_be_ends_the_oldest(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        probes = [await place.reader("ann") for _ in range(LIMITS.readers_per_user + 1)]
        assert [probe.endings for probe in probes] == [[TOO_MANY], [], [], []]


async def test_a_login_that_ends_takes_its_readers_and_no_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        going, staying = await place.reader("ann", "one"), await place.reader("ann", "two")
        await place.end_logins("ann", "one")
        assert (going.endings, staying.endings) == ([SIGNED_OUT], [])


async def test_a_new_password_ends_every_reader_but_those_of_the_login_that_is_kept(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        going, kept = await place.reader("ann", "one"), await place.reader("ann", "two")
        bobs = await place.reader("bob", "one of bob's")
        await place.change_password("ann", "phc", kept="two")
        assert (going.endings, kept.endings, bobs.endings) == ([SIGNED_OUT], [], [])


async def test_the_end_of_an_account_ends_all_of_its_readers(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        anns, bobs = await place.reader("ann"), await place.reader("bob")
        change = AccountEnd("ann")
        await place.journal.append(
            paid(), Draft("profile", Audience.FRIENDS, "ann", None, {}, None, change)
        )
        assert (anns.endings, bobs.endings) == ([SIGNED_OUT], [])


async def test_nobody_attaches_by_a_login_that_ended_after_it_was_looked_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        place.logins.ended.add("old")
        with pytest.raises(Unauthenticated):
            await place.reader("ann", "old")
        assert not place.delivery.readers.all and not place.presence.is_online("ann")


async def test_what_has_gone_is_in_no_index_any_more(tmp_path: Path) -> None:
    """Else each connection that ever was would be kept, and ended again with its login."""
    async with opened(tmp_path) as place:
        readers = place.delivery.readers
        probe = await place.reader("ann", "one", client="page")
        readers.detach(probe)
        readers.detach(probe)
        assert not readers.all and not readers._by_login and readers.of("ann") == []
        await place.end_logins("ann", "one")
        assert probe.endings == []


async def test_a_poll_that_comes_back_with_another_login_ends_with_that_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        readers = place.delivery.readers
        probe = await place.reader("ann", "one", client="page", stream=False)
        readers.change_login(probe, login("two", "ann"))
        await place.end_logins("ann", "one")
        assert probe.endings == []
        await place.end_logins("ann", "two")
        assert probe.endings == [SIGNED_OUT]
        place.logins.ended.add("three")
        with pytest.raises(Unauthenticated):
            readers.change_login(probe, login("three", "ann"))


async def test_draining_sends_everybody_away_and_takes_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        probes = [await place.reader(name) for name in ("ann", "bob")]
        await place.delivery.readers.drain()
        assert [probe.endings for probe in probes] == [[RESTARTING]] * 2
        with pytest.raises(Unavailable) as refused:
            await place.reader("ann")
        assert refused.value.retry_after_s and refused.value.retry_after_s > 0


async def test_many_are_sent_away_some_in_each_turn(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        probes = [await place.reader(name) for name in ("ann", "bob", "ann", "bob")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("chatserver.delivery.readers.ENDS_A_TURN", 1)
            draining = asyncio.create_task(place.delivery.readers.drain())
            ended = []
            while not draining.done():
                await asyncio.sleep(0)
                ended.append(sum(len(probe.endings) for probe in probes))
        assert ended[:4] == [1, 2, 3, 4]


async def test_those_who_are_sent_away_are_told_different_times(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        readers = place.delivery.readers
        times = {readers.return_ms() for _ in range(100)}
        assert len(times) > 10 and min(times) >= 200 and max(times) <= 1000
        readers.all = {number: None for number in range(RETURN_RATE * 10)}  # type: ignore[misc]
        assert max(readers.return_ms() for _ in range(100)) > 2000, "more readers take longer"
        said = json.loads(readers.bye(RESTARTING).payload)
        assert said["reason"] == "restarting" and said["reconnectIn"] >= 200
        readers.all = {}


async def test_one_client_of_a_user_is_cut_as_a_bad_network_would(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        one, other = (
            await place.reader("ann", client="one"),
            await place.reader("ann", client="other"),
        )
        place.delivery.readers.cut("ann", "one")
        assert (one.cuts, other.cuts) == (1, 0)
        assert place.delivery.readers.live_bytes("ann") == {"one": (1, 2), "other": (1, 2)}


async def test_a_stream_makes_its_user_present_and_a_poll_does_not_count_as_one(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        await place.reader("bob", stream=False)
        assert not place.presence.is_online("bob")
        probe = await place.reader("ann")
        assert place.presence.is_online("ann")
        place.delivery.readers.detach(probe)
        place.delivery.attendance.expire(place.now_s + LIMITS.offline_grace_s)
        assert not place.presence.is_online("ann")


async def test_a_client_that_stopped_polling_waits_for_none_but_the_others_next_poll(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        going = await place.reader("ann", client="one", stream=False)
        staying = await place.reader("ann", client="two", stream=False)
        place.delivery.attendance.polled("ann", 55.0)
        staying.due_s = place.now_s + 30
        place.delivery.readers.detach(going)
        place.delivery.readers.poll_left(going.mailbox)
        assert place.presence.expire(place.now_s + 29) == []
        assert place.presence.expire(place.now_s + 30) == ["ann"]


class Order:
    """A journal that is fresh or not, as the test says."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal
        self.fresh = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


async def test_a_node_that_is_cut_off_takes_nobody_in_and_sends_its_readers_to_the_others(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        order = Order(place.journal)
        readers = place.delivery.readers
        readers._journal = order
        ann = await place.reader("ann")
        order.fresh = False
        with pytest.raises(Unavailable, match="cut off"):
            readers.refuse_while_draining()
        for seconds in (0.0, CUT_OFF_S - 0.1):
            readers.turn(place.now_s + seconds)
        await asyncio.sleep(0)
        assert ann.endings == []
        order.fresh = True
        readers.turn(place.now_s + CUT_OFF_S)
        order.fresh = False
        readers.turn(place.now_s + CUT_OFF_S + 1)
        await asyncio.sleep(0)
        assert ann.endings == [], "it was fresh in between"
        readers.turn(place.now_s + 2 * CUT_OFF_S + 1)
        await asyncio.sleep(0)
        assert ann.endings == [CUT_OFF]
        bye = json.loads(readers.bye(CUT_OFF).payload)
        assert bye["retry"] is True and 1_000 <= bye["reconnectIn"] <= 10_000
        assert not readers.draining
