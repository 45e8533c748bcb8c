"""The local journal's own rules: its bounds, and what it does when its log fails under it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import BlockChange
from chatserver.core.errors import Unavailable
from chatserver.core.events import Draft, Event
from chatserver.journal import local, pacing, waiting
from chatserver.journal.contract import Answer, Appended, Guard, Outrun, settle
from chatserver.journal.eventlog import Entry, InDoubt
from chatserver.journal.local import LocalJournal
from chatserver.store.sqlite.database import Database
from chatserver.store.sqlite.eventlog import SqliteLog
from tests.store.kit import Clock, message, text_of
from tests.support.payments import paid


class FaultyLog(SqliteLog):
    """A real log; `faults` says of the coming writes how each goes wrong.

    `lost`: not written, and known. `doubt-before`, `doubt-after`: unknown, and not (or indeed) written.
    """

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.faults: list[str] = []
        self.writes = 0

    async def write(self, batch: Sequence[Entry]) -> Sequence[Appended | None]:
        self.writes += 1
        keys = [entry.client_id for entry in batch if entry.client_id is not None]
        assert len(keys) == len(set(keys)), "the log was given a repeat within one batch"
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "doubt-after":
            await super().write(batch)
        if fault.startswith("doubt"):
            raise InDoubt("The server cannot save messages at the moment.")
        if fault == "lost":
            raise Unavailable("The server cannot save messages at the moment.")
        return [
            # What a retried batch wrote the first time is its own, not a repeat.
            None if was is not None and was.seq == entry.events[0].seq else was
            for entry, was in zip(batch, await self._again(batch), strict=True)
        ]

    async def _again(self, batch: Sequence[Entry]) -> Sequence[Appended | None]:
        """Write the batch; where it is there already, say so instead of failing on its key."""
        if await self.last_seq() >= batch[-1].events[-1].seq:
            return [None] * len(batch)
        return await super().write(batch)


class Scene:
    """A journal over a faulty log in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.db = Database(folder, 300)
        self.log = FaultyLog(self.db)
        self.journal = LocalJournal(self.log, Clock())
        self.events: list[Event] = []

    async def __aenter__(self) -> Scene:
        await self.db.start()
        await self.journal.start([self.events.extend])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.close()
        await self.db.close()

    def place(self, text: str) -> asyncio.Future[Appended]:
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self.journal.place(paid(), message("ann", text), partial(settle, future))
        return future

    async def say(self, text: str, client_id: str | None = None) -> Appended:
        return (await self.journal.append(paid(), message("ann", text, None, client_id)))[0]

    def change(self) -> Draft:
        return vocabulary.notice(BlockChange("ann", "bob", True))

    async def block(self) -> None:
        await self.journal.append(paid(), self.change())

    async def guard(self) -> Guard:
        return await self.journal.guard("ann", "bob")

    async def until_healthy(self) -> None:
        async with asyncio.timeout(30):
            while not self.journal.healthy:
                await asyncio.sleep(0.01)

    async def until_heard(self, heard: Sequence[object], count: int) -> None:
        async with asyncio.timeout(30):
            while len(heard) < count:
                await asyncio.sleep(0.01)

    @property
    def texts(self) -> list[str]:
        return [text_of(event) for event in self.events]


async def test_a_batch_that_failed_is_told_and_the_next_one_goes_through(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Scene(tmp_path) as scene:
        scene.log.faults = ["lost"]
        outcome = await asyncio.gather(
            *(scene.say(str(n), str(n)) for n in range(3)), return_exceptions=True
        )
        assert all(type(each) is Unavailable for each in outcome)
        assert not scene.journal.healthy and scene.events == []
        assert not (await scene.say("again", "0")).duplicate
        assert scene.journal.healthy and scene.texts == ["again"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_health_comes_back_without_an_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "PROBE_S", 0.02)

    async with Scene(tmp_path) as scene:
        scene.log.faults = ["lost"]
        with pytest.raises(Unavailable):
            await scene.say("lost")
        assert not scene.journal.healthy
        await scene.until_healthy()
    assert "again" in caplog.text


@pytest.mark.parametrize("fault", ["doubt-before", "doubt-after"])
async def test_a_batch_in_doubt_is_settled_before_anything_later(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "SETTLE_S", (0.02, 0.02))

    async with Scene(tmp_path) as scene:
        scene.log.faults = [fault, "lost", "doubt-before"]
        with pytest.raises(Unavailable):
            await scene.say("first", "c")
        assert scene.events == [] and not scene.journal.healthy
        with pytest.raises(Unavailable):
            await scene.say("second")
        await scene.until_healthy()
        assert scene.texts == ["first"], "a durable event was not handed on"
        assert (await scene.say("first", "c")).duplicate
        await scene.say("third")
        assert scene.texts == ["first", "third"]
    assert "made durable" in caplog.text


async def test_what_waits_behind_a_batch_in_doubt_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "SETTLE_S", (0.02, 0.02))
    monkeypatch.setattr(local, "MAX_BATCH", 1)

    async with Scene(tmp_path) as scene:
        scene.log.faults = ["doubt-after"]
        outcome = await asyncio.gather(
            *(scene.say(str(n)) for n in range(3)), return_exceptions=True
        )
        assert all(isinstance(each, Unavailable) for each in outcome)
        await scene.until_healthy()
        await scene.say("last")
        assert scene.texts == ["0", "last"]
    assert "made durable" in caplog.text


async def test_whose_change_was_not_written_is_held_up_by_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its place is one that the head never comes to: whoever decides anew about the two would wait for it in vain."""
    monkeypatch.setattr(waiting, "CAUGHT_UP_S", 0.05)
    async with Scene(tmp_path) as scene:
        scene.log.faults = ["lost"]
        with pytest.raises(Unavailable):
            await scene.block()
        await scene.journal.append(paid(), scene.change(), guard=await scene.guard())
    assert "made durable" in caplog.text


async def test_a_change_that_was_in_doubt_and_is_there_outruns_what_was_decided_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "SETTLE_S", (0.02, 0.02))
    async with Scene(tmp_path) as scene:
        early = await scene.guard()
        scene.log.faults = ["doubt-after"]
        with pytest.raises(Unavailable):
            await scene.block()
        await scene.until_healthy()
        with pytest.raises(Outrun):
            await scene.journal.append(paid(), scene.change(), guard=early)
    assert "made durable" in caplog.text


async def test_what_was_refused_behind_a_batch_in_doubt_takes_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "SETTLE_S", (0.02, 0.02))
    monkeypatch.setattr(local, "MAX_BATCH", 1)
    monkeypatch.setattr(local, "MAX_WAITING_BYTES", 3000)
    async with Scene(tmp_path) as scene:
        scene.log.faults = ["doubt-before"]
        calls = (scene.say(text) for text in ("x", "y" * 2500, "z" * 3000))
        outcome = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in outcome)
        await scene.until_healthy()
        await scene.say("and on")
    assert "made durable" in caplog.text


async def test_too_many_waiting_appends_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_WAITING", 5)

    async with Scene(tmp_path) as scene:
        calls = (scene.say(str(n)) for n in range(9))
        outcome = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) is Appended for each in outcome] == [True] * 5 + [False] * 4
        assert scene.texts == list("01234")
        await scene.say("5")


async def test_too_many_waiting_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_WAITING_BYTES", 3000)

    async with Scene(tmp_path) as scene:
        calls = (scene.say("x" * 1000) for n in range(5))
        outcome = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) is Appended for each in outcome] == [True] * 3 + [False] * 2
        await scene.say("and on")


async def test_who_asks_again_when_answered_is_one_append_with_the_next_who_does(
    tmp_path: Path,
) -> None:
    """The log would refuse both, where each came to it (see `FaultyLog`)."""
    async with Scene(tmp_path) as scene:
        answers: list[object] = []

        def place(answer: Answer) -> None:
            scene.journal.place(paid(), message("ann", "hi", None, "1"), answer)

        def ask_again(answer: object) -> None:
            answers.append(answer)
            place(answers.append)

        place(ask_again)
        place(ask_again)
        await scene.until_heard(answers, 4)
        assert [each.duplicate for each in answers if isinstance(each, Appended)] == [
            False,
            True,
            True,
            True,
        ]
        assert scene.texts == ["hi"]


async def test_a_repeat_on_its_way_never_reaches_the_log(tmp_path: Path) -> None:
    async with Scene(tmp_path) as scene:
        calls = (scene.say(str(n), "same") for n in range(4))
        standings = await asyncio.gather(*calls)
        assert [standing.duplicate for standing in standings] == [False, True, True, True]
        assert scene.texts == ["0"] and not scene.journal._by_client


async def test_a_batch_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_BATCH", 4)

    async with Scene(tmp_path) as scene:
        await asyncio.gather(*(scene.say(str(n)) for n in range(10)))
        assert scene.log.writes >= 3 and len(scene.texts) == 10


async def test_a_place_is_given_without_waiting(tmp_path: Path) -> None:
    async with Scene(tmp_path) as scene:
        futures = [scene.place(str(n)) for n in range(3)]
        seqs = [(await future).seq for future in reversed(futures)]
        assert seqs == sorted(seqs, reverse=True) and scene.texts == list("012")


async def test_who_wants_to_hear_is_told_once_and_just_before_the_follower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "SETTLE_S", (0.02, 0.02))
    heard: list[tuple[object, int]] = []

    async with Scene(tmp_path) as scene:
        for fault in ("", "lost", "doubt-after"):
            scene.log.faults = [fault]
            before = len(heard)
            scene.journal.place(
                paid(),
                message("ann", "x"),
                lambda answer: heard.append((answer, len(scene.events))),
            )
            assert len(heard) == before, "not from inside the call"
            await scene.until_heard(heard, before + 1)
        await scene.until_healthy()
        await scene.say("and on")
        assert len(scene.events) == 3
    (placed, before), (lost, _), (doubted, _) = heard
    assert isinstance(placed, Appended) and before == 0
    assert isinstance(lost, Unavailable) and isinstance(doubted, Unavailable)
    assert "made durable" in caplog.text


async def test_somebody_who_fails_on_being_answered_takes_nobody_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(answer: object) -> None:
        raise RuntimeError("a fault of the caller")

    async with Scene(tmp_path) as scene:
        scene.journal.place(paid(), message("ann", "0"), fails)
        await scene.say("1")
        assert scene.texts == ["0", "1"]
    assert caplog.text.count("failed on being answered") == 1


async def test_what_is_to_be_read_when_a_batch_is_due_goes_with_it(tmp_path: Path) -> None:
    async with Scene(tmp_path) as scene:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        read: list[asyncio.Future[Appended]] = []

        def readable() -> None:
            read.append(scene.place(theirs.recv(9).decode()))

        asyncio.get_running_loop().add_reader(theirs, readable)
        first = scene.place("first")
        ours.send(b"in kernel")
        await first
        await read[0]
        assert scene.log.writes == 1
        asyncio.get_running_loop().remove_reader(theirs)
        ours.close()
        theirs.close()


async def test_what_comes_shortly_after_a_write_goes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "APART_S", 0.3)

    async with Scene(tmp_path) as scene:
        await scene.say("first")
        futures = []
        for number in range(5):
            futures.append(scene.place(str(number)))
            await asyncio.sleep(0)  # each in a turn of its own
        await asyncio.gather(*futures)
        assert scene.log.writes == 2


async def test_with_a_clock_that_is_wrong_nothing_is_taken_and_nothing_has_a_place(
    tmp_path: Path,
) -> None:
    async with Scene(tmp_path) as scene:
        clock = scene.journal._clock_ms
        scene.journal._clock_ms = lambda: 2**53  # some hundred thousand years on
        with pytest.raises(Unavailable, match="clock is wrong"):
            await scene.say("too late", "c")
        scene.journal._clock_ms = clock
        assert not (await scene.say("in time", "c")).duplicate and scene.texts == ["in time"]


async def test_what_is_on_its_way_is_known_and_what_stands_is_not_asked_for_here(
    tmp_path: Path,
) -> None:
    async with Scene(tmp_path) as scene:
        saying = asyncio.create_task(scene.say("hi", "c"))
        await asyncio.sleep(0)
        assert scene.journal.is_placed("ann", "c") and not scene.journal.is_placed("bob", "c")
        await saying
        assert not scene.journal.is_placed("ann", "c")


async def test_a_database_that_is_still_away_when_it_is_looked_at_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "PROBE_S", 0.01)
    async with Scene(tmp_path) as scene:
        probe, probes = scene.log.probe, list[bool]()

        async def away_twice() -> None:
            probes.append(scene.journal.healthy)
            if len(probes) < 3:
                raise Unavailable("not yet")
            await probe()

        scene.log.probe = away_twice  # type: ignore[method-assign]
        scene.log.faults = ["lost"]
        with pytest.raises(Unavailable):
            await scene.say("lost")
        await scene.until_healthy()
        assert probes == [False] * 3
    assert caplog.text.count("made durable again") == 1


async def test_a_writer_that_ends_tells_everybody_who_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a mistake of ours: a log that raises what it must not."""
    async with Scene(tmp_path) as scene:

        async def fails(batch: Sequence[Entry]) -> Sequence[Appended | None]:
            raise RuntimeError("a mistake of ours")

        scene.log.write = fails  # type: ignore[method-assign]
        answers = await asyncio.gather(
            *(scene.say(str(n), "c") for n in range(2)), return_exceptions=True
        )
        assert [type(each) for each in answers] == [Unavailable] * 2
        assert not scene.journal.healthy
        with pytest.raises(Unavailable):
            await scene.say("one more")
    assert caplog.text.count("the journal has stopped for good") == 1
    caplog.clear()


async def test_what_is_old_is_dropped_by_itself_also_after_a_round_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "DROP_EVERY_S", 0.0)
    caplog.set_level("INFO")
    asked: list[int] = []
    drop = SqliteLog.drop_passing

    async def away_once(self: SqliteLog, before_ms: int, limit: int) -> int:
        asked.append(before_ms)
        if len(asked) == 1:
            raise Unavailable("not now")
        return 3 if len(asked) == 2 else await drop(self, before_ms, limit)

    monkeypatch.setattr(SqliteLog, "drop_passing", away_once)
    async with Scene(tmp_path) as scene:
        async with asyncio.timeout(30):
            while "dropped 3 events" not in caplog.text:
                await asyncio.sleep(0.001)
        assert scene.journal.healthy


async def test_a_follower_that_fails_does_not_stop_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db = Database(tmp_path, 300)
    await db.start()
    journal = LocalJournal(SqliteLog(db), Clock())

    def fails(events: Sequence[Event]) -> None:
        raise RuntimeError("a fault of the follower")

    await journal.start([fails])
    for n in range(2):
        assert not (await journal.append(paid(), message("ann", str(n))))[0].duplicate
    await journal.close()
    await db.close()
    assert caplog.text.count("a follower failed") == 2


async def test_whoever_waits_for_the_followers_goes_on_when_they_are_there(tmp_path: Path) -> None:
    async with Scene(tmp_path) as scene:
        await scene.journal.caught_up(scene.journal.head_seq)
        first = await scene.say("first")
        waiting = asyncio.create_task(scene.journal.caught_up(first.seq + 1))
        further = asyncio.create_task(scene.journal.caught_up(first.seq + 1000))
        await asyncio.sleep(0)
        await scene.say("second")
        await asyncio.wait_for(waiting, 30)
        assert scene.texts == ["first", "second"] and not further.done()
        further.cancel()


async def test_a_wait_for_the_followers_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "CAUGHT_UP_S", 0.02)
    async with Scene(tmp_path) as scene:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(scene.journal.caught_up(2**53), 30)
