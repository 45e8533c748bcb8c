"""What a node takes on, refuses and answers on the way into the stream, where something around it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.events import Event
from chatserver.journal import jetstream, waiting
from chatserver.journal import nodes as node_beats
from chatserver.journal.contract import Appended
from tests.store.kit import SqliteHome, message, text_of
from tests.support.jetstream import node, nodes
from tests.support.nats_server import NatsServer
from tests.support.payments import paid


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits for no other node: there is none, or the test does."""
    monkeypatch.setattr(node_beats, "MEET_S", 0.0)


async def test_a_place_is_answered_once_to_each_who_asked_for_it(
    tmp_path: Path, nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with node(SqliteHome(tmp_path / "data"), nats.uri) as one:
        answers: list[Appended | Unavailable] = []
        answered = asyncio.Event()

        def fails(answer: Appended | Unavailable) -> None:
            raise RuntimeError("a mistake of ours")

        def last(answer: Appended | Unavailable) -> None:
            answers.append(answer)
            answered.set()

        for answer in (answers.append, fails, last):
            one.journal.place(paid(), message("ann", "hi", client_id="c"), answer)
        assert one.journal.is_placed("ann", "c") and not one.journal.is_placed("bob", "c")
        async with asyncio.timeout(30):
            await answered.wait()
        first, second = answers
        assert isinstance(first, Appended) and isinstance(second, Appended)
        assert (first.seq, first.duplicate, second.duplicate) == (second.seq, False, True)
        assert not one.journal.is_placed("ann", "c")
        assert caplog.text.count("somebody failed on being answered") == 1
    caplog.clear()


async def test_a_node_knows_the_others_and_one_that_has_left_no_more(
    tmp_path: Path, nats: NatsServer
) -> None:
    async with nodes(SqliteHome(tmp_path / "data"), nats.uri, 2) as some:
        one, other = (each.journal for each in some)
        async with asyncio.timeout(30):
            while one.others() != [other.node] or other.others() != [one.node]:
                await asyncio.sleep(0.005)
            await other.close()
            while one.others():
                await asyncio.sleep(0.005)


async def test_with_too_much_on_its_way_the_next_is_refused(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(SqliteHome(tmp_path / "data"), nats.uri) as one:
        monkeypatch.setattr(jetstream, "MAX_WAITING", 3)
        says = (one.journal.append(paid(), message(f"u{n}", str(n))) for n in range(5))
        found = await asyncio.gather(*says, return_exceptions=True)
        assert [isinstance(each, Unavailable) for each in found] == [False] * 3 + [True] * 2
        monkeypatch.setattr(jetstream, "MAX_WAITING_BYTES", 0)
        with pytest.raises(Unavailable, match="too much to do"):
            await one.journal.append(paid(), message("ann", "one more"))
        monkeypatch.undo()
        await one.journal.append(paid(), message("ann", "and on"))


async def test_where_the_store_cannot_say_what_is_a_repeat_only_that_is_refused(
    tmp_path: Path, nats: NatsServer
) -> None:
    async with node(SqliteHome(tmp_path / "data"), nats.uri) as one:
        find = one.store.log.find

        async def away(keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Appended]:
            raise Unavailable("not now")

        one.store.log.find = away  # type: ignore[method-assign]
        with_id = one.journal.append(paid(), message("ann", "hi", client_id="c"))
        without = one.journal.append(paid(), message("bob", "hi"))
        found = await asyncio.gather(with_id, without, return_exceptions=True)
        assert isinstance(found[0], Unavailable) and isinstance(found[1], list)
        one.store.log.find = find  # type: ignore[method-assign]
        again = await one.journal.append(paid(), message("ann", "hi", client_id="c"))
        assert not again[0].duplicate


async def test_a_repeat_of_what_this_node_does_not_come_to_is_told_to_come_again(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(SqliteHome(tmp_path / "data"), nats.uri) as one:
        monkeypatch.setattr(waiting, "CAUGHT_UP_S", 0.01)
        ahead = Appended(one.journal.head_seq + 1_000_000, 1, False)

        async def find(keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Appended]:
            return dict.fromkeys(keys, ahead)

        one.store.log.find = find  # type: ignore[method-assign]
        with pytest.raises(Unavailable, match="behind the order"):
            await one.journal.append(paid(), message("ann", "hi", client_id="c"))


async def test_who_waits_for_a_store_that_hangs_is_answered_when_the_node_stops(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream, "CLOSE_S", 0.0)
    async with node(SqliteHome(tmp_path / "data"), nats.uri) as one:
        asked = asyncio.Event()

        async def hangs(keys: Sequence[tuple[str, str]]) -> Any:
            asked.set()
            await asyncio.Event().wait()

        one.store.log.find = hangs  # type: ignore[method-assign]
        looked_up = asyncio.create_task(
            one.journal.append(paid(), message("ann", "1", client_id="c"))
        )
        await asked.wait()
        behind = asyncio.create_task(one.journal.append(paid(), message("bob", "2")))
        await asyncio.sleep(0)
        await one.journal.close()
        async with asyncio.timeout(30):
            for task in (looked_up, behind):
                with pytest.raises(Unavailable):
                    await task


async def test_a_follower_that_fails_takes_nothing_from_the_others(
    tmp_path: Path, nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with node(SqliteHome(tmp_path / "data"), nats.uri) as one:

        def fails(events: Sequence[Event]) -> None:
            raise RuntimeError("a mistake of ours")

        one.journal._followers = [fails, *one.journal._followers]
        await one.journal.append(paid(), message("ann", "hi"))
        assert [text_of(event) for event in one.events] == ["hi"]
        assert caplog.text.count("a follower failed on the events up to") == 1
    caplog.clear()
