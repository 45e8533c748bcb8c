"""Several nodes on one line that can lose what is said: whose users are where, and which reader of a client is the newest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chatserver.core import vocabulary
from chatserver.core.conversations import Broadcasts
from chatserver.core.errors import SUPERSEDED, TOO_MANY
from chatserver.core.events import Signal
from chatserver.delivery import neighbours
from chatserver.delivery.neighbours import BEAT_S, KEPT_S, LOST_S
from chatserver.journal.nats_signals import NatsSignals, Talk
from tests.delivery.kit import LIMITS, Place, Probe, opened

GRACE_S = LIMITS.offline_grace_s


class Bus:
    """What carries the talk: in order, when the test says so, and not to whom it cuts off."""

    def __init__(self) -> None:
        self.ears: list[Callable[[Any], None]] = []
        self.cut_off: set[Callable[[Any], None]] = set()
        self.said: list[bytes] = []
        self.loses: Callable[[list[Any]], bool] = lambda said: False

    def publish(self, subject: str, payload: bytes) -> None:
        self.said.append(payload)

    async def subscribe(self, subject: str, receive: Callable[[Any], None]) -> None:
        self.ears.append(receive)

    def deliver(self) -> None:
        while self.said:
            payload = self.said.pop(0)
            if not self.loses(json.loads(payload)):
                for ear in self.ears:
                    if ear not in self.cut_off:
                        ear(SimpleNamespace(data=payload))


class Nodes:
    """Places that share a bus; in each Ann and Bob are friends."""

    def __init__(self, bus: Bus, places: list[Place], talks: list[Talk]) -> None:
        self.bus = bus
        self.places = places
        self.talks = talks

    def pass_time(self, seconds: float) -> None:
        """In steps of a beat, everything delivered after each."""
        for _ in range(round(seconds / BEAT_S)):
            for place in self.places:
                place.now_s += BEAT_S
                place.delivery.attendance.expire(place.now_s)
                place.neighbours.turn(place.now_s)
            self.bus.deliver()


@asynccontextmanager
async def nodes(folder: Path, count: int) -> AsyncIterator[Nodes]:
    bus = Bus()
    async with AsyncExitStack() as stack:
        places: list[Place] = []
        talks: list[Talk] = []
        for number in range(count):
            talk = Talk(bus, "nodes", f"node{number}")
            await talk.start()
            place = await stack.enter_async_context(opened(folder / str(number), talk=talk))
            await place.befriend("ann", "bob")
            places.append(place)
            talks.append(talk)
        yield Nodes(bus, places, talks)


def receive_at(place: Place) -> Callable[[Signal, str | None], None]:
    """Signals as a node takes them in (`command.build`)."""

    def receive(signal: Signal, to: str | None) -> None:
        place.neighbours.keep(signal, to)
        place.hub.signal(signal, to)

    return receive


def said(probe: Probe) -> list[tuple[str, bool]]:
    found = [json.loads(signal.payload) for signal in probe.signals]
    return [(one["user"], one["online"]) for one in found if one["type"] == "presence"]


async def test_a_friend_on_another_node_comes_and_goes(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        ann = await one.reader("ann")
        bob = await other.reader("bob")
        it.bus.deliver()
        assert said(ann) == [("bob", True)]
        assert json.loads(other.delivery.attendance.whole(bob.mailbox).payload)["online"] == ["ann"]
        other.delivery.readers.detach(bob)
        it.pass_time(GRACE_S + 2)
        assert said(ann) == [("bob", True), ("bob", False)]


async def test_a_node_that_comes_later_learns_who_is_there_and_one_that_dies_takes_its_users_along(
    tmp_path: Path,
) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        it.bus.cut_off.add(it.bus.ears[1])
        await one.reader("ann")
        bob = await other.reader("bob")
        it.bus.deliver()
        assert said(bob) == []
        it.bus.cut_off.clear()
        it.pass_time(2)
        assert said(bob) == [("ann", True)]
        it.places.remove(one)  # it says no more
        it.pass_time(LOST_S + GRACE_S - 2)
        assert said(bob) == [("ann", True)]
        it.pass_time(6)
        assert said(bob) == [("ann", True), ("ann", False)]


async def test_a_node_that_says_goodbye_is_not_waited_for(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        await one.reader("ann")
        bob = await other.reader("bob")
        it.bus.deliver()
        one.neighbours.leave()
        it.bus.deliver()
        it.places.remove(one)
        it.pass_time(GRACE_S - 1)
        assert said(bob) == [("ann", True)]
        it.pass_time(2)
        assert said(bob) == [("ann", True), ("ann", False)]


async def test_a_whole_list_of_which_a_part_is_lost_is_asked_for_again(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(neighbours, "WHOLE_PART", 2)
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        people = ["ann", *(f"u{number}" for number in range(6))]
        for name in people:
            one.delivery.attendance.stream_opened(name)
        it.bus.said.clear()  # nobody heard of them one by one
        lost: list[int] = []

        def loses(words: list[Any]) -> bool:
            if words[2] == "whole" and words[3] == 2 and not lost:
                lost.append(1)
                return True
            return False

        it.bus.loses = loses
        it.pass_time(4)
        assert lost
        assert all(other.presence.is_online(name) for name in people)


async def test_a_clients_newest_reader_ends_its_older_one_on_another_node(tmp_path: Path) -> None:
    async with nodes(tmp_path, 3) as it:
        readers = []
        for place in (*it.places, it.places[0]):
            readers.append(await place.reader("ann", client="page"))
            it.bus.deliver()
        other = await it.places[1].reader("ann", client="another")
        it.bus.deliver()
        assert [reader.endings for reader in readers] == [[SUPERSEDED]] * 3 + [[]]
        assert other.endings == []


async def test_of_two_readers_that_come_at_once_one_stays(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        for _ in range(5):
            both = [await place.reader("ann", client="page") for place in it.places]
            it.bus.deliver()
            assert sorted(len(reader.endings) for reader in both) == [0, 1]


async def test_a_clock_that_is_behind_ends_no_newer_reader(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        it.places[0].clock.now_ms += 3_600_000
        older = await it.places[0].reader("ann", client="page")
        it.bus.deliver()
        newer = await it.places[1].reader("ann", client="page")
        it.bus.deliver()
        assert (older.endings, newer.endings) == ([SUPERSEDED], [])


async def test_a_client_that_polls_elsewhere_keeps_its_place_here(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        here = await one.reader("ann", client="page", stream=False)
        stream = await one.reader("ann", client="other page")
        it.bus.deliver()
        for client in ("page", "other page"):
            await other.reader("ann", client=client, stream=False)
        it.bus.deliver()
        assert (here.moves, here.endings) == (1, [])
        assert stream.moves == 1, "a stream ends by it (`transports.reader`)"


async def test_typing_is_heard_on_every_node_and_kept_for_a_poll_that_comes_next(
    tmp_path: Path,
) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        for place in it.places:
            await place.delivery.mailboxes.open("bob")
        voice, _ = [
            NatsSignals(talk, receive_at(place))
            for talk, place in zip(it.talks, it.places, strict=True)
        ]
        bob = await other.reader("bob")
        typing = vocabulary.typing("ann", Broadcasts())
        voice.publish(typing)
        it.bus.deliver()
        assert [signal.payload for signal in bob.signals] == [typing.payload]
        poll = await other.reader("bob", client="page", stream=False)
        other.neighbours.catch_up(poll)
        cho = await other.reader("cho", client="page", stream=False)
        other.neighbours.catch_up(cho)
        assert [signal.payload for signal in poll.signals] == [typing.payload]
        assert cho.signals == []
        one.neighbours.handed(poll)
        it.bus.deliver()
        assert poll.offers_elsewhere == 1
        again = await other.reader("bob", client="page", stream=False)
        other.neighbours.catch_up(again)
        assert again.signals == [], "another node has told it"
        other.now_s += KEPT_S
        late = await other.reader("bob", client="late", stream=False)
        other.neighbours.catch_up(late)
        assert late.signals == [], "it stands no longer"


async def test_a_node_that_is_not_fresh_passes_nothing_on_and_says_who_is_there_once_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        ann, bob = await one.reader("ann"), await one.reader("bob")
        it.bus.deliver()
        ann.signals.clear()
        with monkeypatch.context() as patch:
            patch.setattr(type(one.journal), "fresh", False)
            one.delivery.readers.detach(bob)
            one.hub.signal(vocabulary.typing("bob", Broadcasts()), None)
            it.pass_time(GRACE_S + 2)
            one.delivery.readers.turn(one.now_s)
            assert ann.signals == [], "whether they are friends still is not known here"
        one.delivery.readers.turn(one.now_s)
        await asyncio.sleep(0)
        assert [json.loads(signal.payload) for signal in ann.signals] == [
            {"type": "presence", "online": []}
        ]
        one.delivery.readers.turn(one.now_s)
        await asyncio.sleep(0)
        assert len(ann.signals) == 1, "said once"


async def test_the_bound_of_readers_is_one_for_all_nodes(tmp_path: Path) -> None:
    async with nodes(tmp_path, 3) as it:
        limit = LIMITS.readers_per_user
        readers: list[Probe] = []
        for number in range(limit + 4):
            readers.append(await it.places[number % 3].reader("ann"))
            it.bus.deliver()
        assert [reader.endings for reader in readers[:4]] == [[TOO_MANY]] * 4
        assert [reader.endings for reader in readers[4:]] == [[]] * limit
        # Where one has gone, there is room for one, and no other goes.
        place = it.places[(limit + 3) % 3]
        place.delivery.readers.detach(readers.pop())
        it.bus.deliver()
        readers.append(await it.places[0].reader("ann"))
        it.bus.deliver()
        assert [reader.endings for reader in readers[4:]] == [[]] * limit


async def test_a_client_that_polls_at_every_node_is_one_reader(tmp_path: Path) -> None:
    async with nodes(tmp_path, 3) as it:
        first = await it.places[0].reader("ann")
        for number in range(LIMITS.readers_per_user - 1):
            for place in it.places:
                poll = await place.reader("ann", client=f"page {number}", stream=False)
                it.bus.deliver()
                place.neighbours.polled(poll)
                it.bus.deliver()
        assert first.endings == []
        await it.places[1].reader("ann")
        it.bus.deliver()
        assert first.endings == [TOO_MANY]


async def test_readers_of_a_node_that_is_gone_count_no_more(tmp_path: Path) -> None:
    async with nodes(tmp_path, 3) as it:
        one, other, gone = it.places
        mine = [await one.reader("ann")]
        await other.reader("bob")
        for user in ("ann", "bob"):
            for _ in range(LIMITS.readers_per_user - 1):
                await gone.reader(user)
        it.bus.deliver()
        gone.neighbours.leave()
        it.bus.deliver()
        it.bus.cut_off.add(it.bus.ears[2])
        for _ in range(LIMITS.readers_per_user - 1):
            mine.append(await other.reader("ann"))
            it.bus.deliver()
        assert [reader.endings for reader in mine] == [[]] * LIMITS.readers_per_user


async def test_what_is_said_again_and_again_is_said_once_a_beat(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        it.pass_time(2)
        assert len(one.neighbours) == len(other.neighbours) == 1  # type: ignore[arg-type]
        for _ in range(3):
            one.neighbours.turn(one.now_s)
        assert it.bus.said == []
        await one.reader("ann")
        it.bus.said.clear()
        heard: list[Any] = []
        it.bus.loses = lambda words: heard.append(words[2:4]) or True  # type: ignore[func-returns-value]
        for node_id, expected in (
            ("node1", []),
            ("node0", [["whole", 0]]),
            ("node0", [["whole", 0]]),
        ):
            it.bus.ears[0](SimpleNamespace(data=json.dumps([1, "node1", "ask", node_id])))
            it.bus.deliver()
            assert heard == expected, "where it is asked itself, and once for all who ask at once"


async def test_a_client_without_a_name_is_no_other_nodes_concern(tmp_path: Path) -> None:
    async with nodes(tmp_path, 2) as it:
        one, other = it.places
        poll = await one.reader("ann", stream=False)
        there = await other.reader("ann", stream=False)
        it.bus.deliver()
        one.neighbours.polled(poll)
        one.neighbours.handed(poll)
        assert it.bus.said == []
        assert (there.moves, there.offers_elsewhere, there.endings) == (0, 0, [])
        one.neighbours.keep(vocabulary.presence("bob", True, 0), None)
        one.neighbours.catch_up(poll)
        assert poll.signals == [], "only what is typed is kept"
