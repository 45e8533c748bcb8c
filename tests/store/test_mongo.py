"""The MongoDB store's own promises: one server at a time, what it does while the database is away."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import FriendChange, LoginsEnd, PasswordChange, ProfileChange
from chatserver.core.conversations import Direct
from chatserver.core.errors import Unavailable
from chatserver.core.events import Draft, encode_event
from chatserver.journal import local
from chatserver.journal.eventlog import Entry
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo import database as mongo_db
from chatserver.store.mongo.changes import apply_change
from chatserver.store.mongo.schema import SCHEMA
from chatserver.store.mongo.store import MongoStore
from tests.store.appender import acknowledged_until_killed
from tests.store.kit import (
    DAY_MS,
    START_MS,
    Clock,
    MongoHome,
    World,
    account,
    friend_draft,
    login,
    opened,
    text_of,
)
from tests.store.mongo_server import NxServer, database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def quick_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_db, "BEAT_S", 0.1)
    monkeypatch.setattr(mongo_db, "LEASE_S", 1.0)
    monkeypatch.setattr(mongo_db, "WATCH_S", 0.02)


async def _refusal(uri: str, wait_s: float = 30.0) -> str:
    store = MongoStore(uri, Clock(), wait_s)
    with pytest.raises(StoreRefused) as refused:
        await store.start()
    assert not store.healthy
    await store.close()
    sentence = str(refused.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


# who may use it


@pytest.mark.usefixtures("quick_lease")
async def test_a_second_server_on_the_same_database_is_refused(mongo: MongoHome) -> None:
    async with opened(mongo) as world:
        second = MongoStore(mongo.uri, Clock())
        with pytest.raises(StoreRefused, match="in use by another chatserver: stop"):
            await second.start()
        await second.close()
        await world.say("ann", "goes on")
    async with opened(mongo) as world:
        assert await world.texts("ann") == ["goes on"]


@pytest.mark.usefixtures("quick_lease")
async def test_a_server_that_died_is_succeeded_when_its_lease_has_run_out(
    mongo: MongoHome, caplog: pytest.LogCaptureFixture
) -> None:
    dead = MongoStore(mongo.uri, mongo.clock)
    await dead.start()
    heart = dead._db._heart
    assert heart is not None
    heart.cancel()
    await asyncio.wait({heart})
    started_s = time.monotonic()
    async with opened(mongo) as world:
        assert time.monotonic() - started_s >= mongo_db.LEASE_S
        await world.say("ann")
        # The dead one wakes up: it has to notice before it writes.
        with pytest.raises(Unavailable, match="taken over"):
            await dead.log.write([])
    await dead.close()
    assert "without a word" in caplog.text and "taken the database over" in caplog.text


async def test_the_database_of_another_program_is_refused_and_left_alone(mongo: MongoHome) -> None:
    async with database(mongo.uri) as db:
        await db["notes"].insert_one({"_id": 1})
    assert "another program" in await _refusal(mongo.uri)
    async with database(mongo.uri) as db:
        assert await db.list_collection_names() == ["notes"]


async def test_a_newer_schema_is_refused(mongo: MongoHome) -> None:
    async with opened(mongo):
        pass
        newer = {"$set": {"version": SCHEMA + 1}}
    async with database(mongo.uri) as db:
        await db["meta"].update_one({"_id": "schema"}, newer)
    assert "newer chatserver" in await _refusal(mongo.uri)


@pytest.mark.parametrize("uri", ["mongodb://", "http://localhost", "nonsense", "mongodb://h:x/y"])
async def test_a_wrong_uri_is_refused_at_once(uri: str) -> None:
    assert "looks like mongodb://" in await _refusal(uri, wait_s=60)


async def test_a_database_that_never_answers_is_refused_in_the_end(own_nx_server: NxServer) -> None:
    uri = own_nx_server.uri(options="?serverSelectionTimeoutMS=100")
    assert "start it, or correct the address" in await _refusal(uri, wait_s=0.3)


async def test_a_server_started_before_its_database_waits_for_it_and_says_again_and_again_for_which(
    own_nx_server: NxServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_db, "SAY_EVERY_S", 0.05)
    store = MongoStore(own_nx_server.uri(options="?serverSelectionTimeoutMS=100"), Clock())
    starting = asyncio.create_task(store.start())
    async with asyncio.timeout(30):
        while caplog.text.count("waiting for the database: ") < 2:
            await asyncio.sleep(0.02)
    assert all(
        f"database: 127.0.0.1:{own_nx_server.port}: " in line and "refused" in line
        for line in caplog.messages
    )
    await asyncio.to_thread(own_nx_server.start)
    await starting
    assert store.healthy
    await store.close()


# the database away

_QUICK = "?serverSelectionTimeoutMS=300&socketTimeoutMS=500&connectTimeoutMS=300"


class Traffic:
    """People who send, and send again with the same id until they are told that it stands."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acknowledged: dict[str, int] = {}
        self.refused = 0
        self.going = True

    async def send(self, name: str) -> None:
        n = 0
        while self.going:
            text = f"{name}-{n}"
            try:
                standing = await self.world.say(name, text, client_id=text)
            except Unavailable:
                self.refused += 1
                await asyncio.sleep(0.02)
                continue
            self.acknowledged[text] = standing.seq
            n += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.acknowledged) < count:
                await asyncio.sleep(0.01)

    async def check(self) -> None:
        """Nothing lost, nothing doubled, everything in order, live and in the history."""
        live = [(text_of(event), event.seq) for event in self.world.events]
        seqs = [seq for _, seq in live]
        assert seqs == sorted(set(seqs))
        texts = [text for text, _ in live]
        assert len(texts) == len(set(texts))
        assert self.acknowledged.items() <= dict(live).items()
        for name in ("ann", "bob"):
            stored = [(text_of(event), event.seq) for event in await self.world.replay(name)]
            assert stored == [each for each in live if each[0].startswith(name)]


async def _under_traffic(server: NxServer, fault: Any) -> Traffic:
    home = MongoHome(server.uri(options=_QUICK))
    traffic: Traffic

    async with opened(home) as world:
        traffic = Traffic(world)
        senders = [asyncio.create_task(traffic.send(name)) for name in ("ann", "bob") * 2]
        await traffic.until(60)
        await fault(traffic)
        await traffic.until(len(traffic.acknowledged) + 60)
        traffic.going = False
        await asyncio.gather(*senders)
        await traffic.check()
        assert world.store.healthy and world.journal.healthy
    async with opened(home) as world:
        kept = {text_of(event) for name in ("ann", "bob") for event in await world.replay(name)}
        assert set(traffic.acknowledged) <= kept
    return traffic


@pytest.fixture
def quick_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_db, "BEAT_S", 0.2)
    monkeypatch.setattr(local, "PROBE_S", 0.1)


@pytest.mark.usefixtures("quick_settling")
async def test_a_database_killed_under_traffic_loses_and_doubles_nothing(
    own_nx_server: NxServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def fault(traffic: Traffic) -> None:
        own_nx_server.kill()
        async with asyncio.timeout(30):
            while traffic.world.journal.healthy or traffic.world.store.healthy:
                await asyncio.sleep(0.01)
        with pytest.raises(Unavailable):
            await traffic.world.store.account("ann")
        await asyncio.to_thread(own_nx_server.start)

    own_nx_server.start()
    assert (await _under_traffic(own_nx_server, fault)).refused > 0
    assert "does not answer" in caplog.text and "answers again" in caplog.text


@pytest.mark.usefixtures("quick_settling")
async def test_a_frozen_database_leaves_no_write_in_doubt(
    own_nx_server: NxServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def fault(traffic: Traffic) -> None:
        own_nx_server.signal(signal.SIGSTOP)
        async with asyncio.timeout(30):
            while traffic.world.journal.healthy:
                await asyncio.sleep(0.01)
            while not traffic.refused:
                await asyncio.sleep(0.01)
        own_nx_server.signal(signal.SIGCONT)

    own_nx_server.start()
    assert (await _under_traffic(own_nx_server, fault)).refused > 0
    assert "does not answer" in caplog.text


async def test_a_slow_database_is_waited_for(own_nx_server: NxServer) -> None:
    async def fault(traffic: Traffic) -> None:
        own_nx_server.signal(signal.SIGSTOP)
        await asyncio.sleep(0.3)
        own_nx_server.signal(signal.SIGCONT)

    own_nx_server.start()
    assert (await _under_traffic(own_nx_server, fault)).refused == 0


# a crash of our own


class Crash(BaseException):
    """As if the process had ended here."""


async def _crash_while_writing(
    home: MongoHome, patch: pytest.MonkeyPatch, step: str, *drafts: Draft
) -> int:
    """Write one entry and end at `step`; the seq at which it began."""
    async with opened(home) as world:
        first = max(world.journal.head_seq + 1, world.clock() * 1000)
        events = [encode_event(d, first + n, world.clock()) for n, d in enumerate(drafts)]

        async def crash(*_: object) -> None:
            raise Crash

        with patch.context() as broken, pytest.raises(Crash):
            broken.setattr(f"chatserver.store.mongo.{step}", crash)
            await world.log.write([Entry(tuple(events))])
    return first


BEFORE_EVENTS = "eventlog.MongoLog._insert"
BEFORE_CHANGES = "eventlog.apply_change"


@pytest.mark.parametrize("step", [BEFORE_EVENTS, BEFORE_CHANGES])
async def test_what_a_crash_left_half_done_is_finished_at_the_next_start(
    mongo: MongoHome, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with opened(mongo) as world:
        await world.join("ann", "bob")
    change = FriendChange("ann", "bob", "friend")
    drafts = [
        friend_draft("ann", "bob", "friend", change),
        friend_draft("bob", "ann", "friend"),
    ]
    seq = await _crash_while_writing(mongo, monkeypatch, step, *drafts)
    async with opened(mongo) as world:
        assert await world.store.relation("ann", "bob") == "friend"
        assert world.journal.head_seq == seq + 1
        for name in ("ann", "bob"):
            assert [e.type for e in await world.replay(name)] == ["friend"]


BETWEEN_CHANGES = "changes._end_older_logins"
BEHIND_CHANGES = "eventlog.MongoLog._keep"


@pytest.mark.parametrize("step", [BEFORE_EVENTS, BEFORE_CHANGES, BETWEEN_CHANGES, BEHIND_CHANGES])
async def test_a_notice_that_a_crash_left_half_done_is_finished_at_the_next_start(
    mongo: MongoHome, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with opened(mongo) as world:
        await world.join("ann")
        for id_ in ("c1", "c2", "c3"):
            await world.store.add_login(login(id_, "ann"))
    ended = vocabulary.notice(LoginsEnd("ann", ("c3",)))
    changed = vocabulary.notice(PasswordChange("ann", "new", "c1"))
    seq = await _crash_while_writing(mongo, monkeypatch, step, ended, changed) + 1
    async with opened(mongo) as world:
        assert world.journal.head_seq == seq
        found = await world.store.account("ann")
        assert found is not None and (found.password, found.generation) == ("new", seq)
        left = await world.store.logins("ann", "cookie")
        assert [(each.id, each.generation) for each in left] == [("c1", seq)]
        assert await world.store.archive.count("logins") == 1  # type: ignore[attr-defined]
        async with database(mongo.uri) as db:
            assert await db["meta"].find_one({"_id": "note"}) is None
        world.clock.now_ms -= DAY_MS
        assert (await world.say("ann")).seq == seq + 1


async def test_a_note_of_the_version_before_is_finished(mongo: MongoHome) -> None:
    """A server that is killed may be followed by a newer one."""
    seq = START_MS * 1000
    fields = {"user_id": "ann", "peer": "bob", "up_to": 7}
    event = {
        "seq": seq,
        "at": START_MS,
        "type": "read",
        "audience": 1,
        "actor": "ann",
        "to": "bob",
        "payload": b"{}",
        "change": {"kind": "ReadChange", "fields": fields},
    }

    async with opened(mongo):
        pass
    async with database(mongo.uri) as db:
        note = {"_id": "note", "entries": [{"client_id": None, "events": [event]}]}
        await db["meta"].insert_one(note)
    async with opened(mongo) as world:
        assert world.journal.head_seq == seq
        assert (await world.store.read_state("ann")).own == {Direct("bob"): 7}


async def test_documents_without_a_generation_are_of_generation_0(mongo: MongoHome) -> None:
    async with opened(mongo) as world:
        await world.join("ann")
        for id_ in ("c1", "c2"):
            await world.store.add_login(login(id_, "ann", secret_hash=id_.encode()))
    async with database(mongo.uri) as db:
        for collection, id_ in (("users", "ann"), ("logins", "c1"), ("logins", "c2")):
            await db[collection].update_one({"_id": id_}, {"$unset": {"generation": 1}})
        await db["meta"].update_one({"_id": "schema"}, {"$set": {"version": 1}})

    async with opened(mongo) as world:
        store = world.store
        found = await store.account("ann")
        assert found is not None and found.generation == 0
        assert await store.login("c1") == login("c1", "ann", secret_hash=b"c1")
        assert len(await store.logins("ann", "cookie")) == 2
        assert await store.add_login(login("c3", "ann"))
        seq = await world.change_password("ann", "new", "c1")
        found = await store.account("ann")
        assert found is not None and (found.password, found.generation) == ("new", seq)
        assert [each.id for each in await store.logins("ann", "cookie")] == ["c1"]
        assert await store.login_by_secret(b"c2") is None
        assert await store.archive.count("logins") == 1  # type: ignore[attr-defined]
        async with database(mongo.uri) as db:
            schema = await db["meta"].find_one({"_id": "schema"})
            assert schema["version"] == SCHEMA


async def test_whoever_was_there_before_is_found_by_the_given_name_in_a_full_name(
    mongo: MongoHome,
) -> None:
    async with opened(mongo) as world:
        await world.join("me")
        await world.store.add_account(account("wang", "王小明"))
    async with database(mongo.uri) as db:
        await db["words"].delete_many({"word": "小明"})
        await db["meta"].update_one({"_id": "schema"}, {"$set": {"version": 2}})
    async with opened(mongo) as world:
        assert [user.id for user, _ in await world.store.search("me", "小明", 9)] == ["wang"]


async def test_an_old_attempt_that_the_server_carries_out_late_changes_nothing(
    mongo: MongoHome,
) -> None:
    async with opened(mongo) as world:
        db = world.store._db  # type: ignore[attr-defined]
        await world.join("ann", "bob")
        since = await world.befriend("ann", "bob")
        await world.rename("ann", "Ann")
        await world.relate("none", "ann", "bob")
        await apply_change(db, FriendChange("ann", "bob", "friend"), since, since)
        await apply_change(db, FriendChange("ann", "bob", "asked"), since, since)
        await apply_change(db, ProfileChange("ann", "Old", "", "#000000"), since, since)
        assert await world.store.relation("ann", "bob") == "none"
        assert (await world.store.users(["ann"]))["ann"].first_name == "Ann"
        again = await world.befriend("ann", "bob")
        await apply_change(db, FriendChange("ann", "bob", "none"), again - 1, again - 1)
        assert (await world.store.friends_since("ann"))[0] == {"bob": again}


async def test_an_old_change_of_password_that_is_carried_out_late_changes_nothing(
    mongo: MongoHome,
) -> None:
    async with opened(mongo) as world:
        db = world.store._db  # type: ignore[attr-defined]
        await world.join("ann")
        await world.store.add_login(login("c1", "ann"))
        first = await world.change_password("ann", "first", "c1")
        second = await world.change_password("ann", "second", "c1")
        await world.store.add_login(login("c2", "ann", generation=second))
        expected = [login(id_, "ann", generation=second) for id_ in ("c1", "c2")]
        late = (PasswordChange("ann", "first", "c1"), PasswordChange("ann", "first", None))
        again = PasswordChange("ann", "second", "c1")
        for change, seq in [*((each, first) for each in late), (again, second), (again, second)]:
            await apply_change(db, change, seq, seq)
            found = await world.store.account("ann")
            assert found is not None and (found.password, found.generation) == ("second", second)
            assert await world.store.logins("ann", "cookie") == expected


@pytest.mark.usefixtures("quick_lease")
async def test_what_was_acknowledged_survives_kill_9_of_the_server(mongo: MongoHome) -> None:
    told = acknowledged_until_killed("mongo", mongo.uri, 100)
    async with opened(mongo) as world:
        stored = {event.seq: text_of(event) for event in await world.replay("ann")}
        for seq, text in told:
            assert stored[seq] == text
        assert len(set(stored.values())) == len(stored)
        assert (await world.say("ann")).seq > max(stored)
