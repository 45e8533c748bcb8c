"""Many nodes over one stream and one database, with a real nats-server: what is acknowledged stays, once and in one order."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from chatserver.core import vocabulary
from chatserver.core.changes import AccountEnd, BlockChange, FriendChange, PasswordChange
from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Draft
from chatserver.core.visibility import View
from chatserver.journal import jetstream, publisher, stream
from chatserver.journal.contract import Appended, Outrun
from chatserver.journal.envelope import Placed, Subjects
from chatserver.journal.eventlog import Fenced
from chatserver.journal.nats_link import Access, NatsLink
from chatserver.journal.refusal import OrderRefused
from chatserver.journal.stream import Stream
from chatserver.store.contract import StoreRefused
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import DAY_MS, Home, MongoHome, SqliteHome, friend_draft, message, text_of
from tests.support.jetstream import Node, node, nodes, world_of
from tests.support.nats_server import TOKEN, NatsServer
from tests.support.payments import paid

ROUNDS = 100
"""Two turns each."""


async def until(what: Callable[[], object], limit_s: float = 40.0) -> None:
    async with asyncio.timeout(limit_s):
        while not what():
            await asyncio.sleep(0.005)


async def all_have(some: list[Node], seq: int) -> None:
    await until(lambda: all(one.journal.head_seq >= seq for one in some))


async def say_until_it_stands(one: Node, actor: str, text: str) -> Appended:
    """As a client does: again under the same id, until it is answered."""
    async with asyncio.timeout(45):
        while True:
            with suppress(Unavailable):
                draft = message(actor, text, client_id=text)
                return (await one.journal.append(paid(), draft))[0]
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
async def test_the_same_bytes_stand_at_the_same_place_on_every_node(
    store: str, tmp_path: Path, nats: NatsServer, mongo: MongoHome
) -> None:
    home: Home = mongo if store == "mongo" else SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 3) as some:
        worlds = [world_of(one, home.clock) for one in some]
        await worlds[0].join("ann", "bob")
        await worlds[1].befriend("ann", "bob")
        # A change is answered when every node has it, and the store shows it.
        assert await some[2].store.relation("ann", "bob") == "friend"
        said = [worlds[n % 3].say(f"u{n % 7}", str(n), client_id=str(n)) for n in range(90)]
        made = [worlds[n % 3].befriend(f"u{n % 7}", f"v{n}") for n in range(6)]
        _, placed = await asyncio.gather(asyncio.gather(*made), asyncio.gather(*said))
        newest = max(one.journal.head_seq for one in some)
        assert newest >= max(one.seq for one in placed)
        await all_have(some, newest)
        logs = [[(e.seq, e.at_ms, e.payload) for e in one.events] for one in some]
        assert logs[0] == logs[1] == logs[2] and len(logs[0]) == 2 + 90 + 12
        for one in some:
            await one.journal.shown(newest)
        texts = await worlds[2].texts("u3", limit=99)
        assert sorted(texts, key=int) == [str(n) for n in range(90) if n % 7 == 3]
        assert sum(one.projector.repeats for one in some) == 0


async def test_an_id_is_good_for_one_message_on_all_nodes_also_when_the_stream_has_forgotten_it(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 3) as some:
        worlds = [world_of(one, home.clock) for one in some]
        at_once = [one.say("ann", "one", client_id="c") for one in worlds * 3]
        answers = await asyncio.gather(*at_once)
        assert len({answer.seq for answer in answers}) == 1
        assert sum(not answer.duplicate for answer in answers) == 1
        # As after its window: the stream would take it, and the store knows it.
        ids = itertools.count()
        monkeypatch.setattr(publisher.Publisher, "_id", lambda *_: f"forgotten-{next(ids)}")
        await some[1].journal.shown(answers[0].seq)
        again = await worlds[1].say("ann", "one", client_id="c")
        assert (again.seq, again.at_ms, again.duplicate) == (answers[0].seq, answers[0].at_ms, True)
        # Where the store is too far behind to know, nobody is let in who might be a repeat.
        monkeypatch.setattr(jetstream, "LAG_S", -1.0)
        with pytest.raises(Unavailable):
            await worlds[2].say("ann", "two", client_id="d")
        assert not (await worlds[2].say("ann", "without an id")).duplicate
        await all_have(some, again.seq)
        assert len([e for e in some[0].events if text_of(e) == "one"]) == 1


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
async def test_a_message_that_stands_in_the_stream_twice_is_handed_out_once(
    store: str,
    tmp_path: Path,
    nats: NatsServer,
    mongo: MongoHome,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A NATS that was frozen for longer than its window forgets the ids as it reads what had waited in its sockets."""
    home: Home = mongo if store == "mongo" else SqliteHome(tmp_path / "data")

    async def nothing(*_: object) -> dict[tuple[str, str], Appended]:
        return {}

    # Of four attempts the third is refused by the stream, for the sake of the second.
    ids = itertools.chain(("1", "2", "2"), map(str, itertools.count(3)))
    monkeypatch.setattr(publisher.Publisher, "_id", lambda *_: f"forgotten {next(ids)}")
    async with nodes(home, nats.uri, 2) as some:
        worlds = [world_of(one, home.clock) for one in some]
        for one in some:
            monkeypatch.setattr(one.store.log, "find", nothing)  # as where the store is behind
        first = await worlds[0].say("ann", "one", client_id="c")
        for world in (*worlds, worlds[0]):
            again = await world.say("ann", "another text", client_id="c")
            assert (again.seq, again.at_ms, again.duplicate) == (first.seq, first.at_ms, True)
        other = await worlds[0].say("bob", "of somebody else", client_id="c")
        assert not other.duplicate
        put = publisher.Publisher._put

        def put_twice(self: publisher.Publisher, sending: publisher.Sending) -> None:
            put(self, sending)
            put(self, sending)

        monkeypatch.setattr(publisher.Publisher, "_put", put_twice)
        await worlds[1].say("ann", "two")
        monkeypatch.setattr(publisher.Publisher, "_put", put)
        async with node(home, nats.uri) as late:
            monkeypatch.setattr(late.store.log, "find", nothing)
            world = world_of(late, home.clock)
            again = await world.say("ann", "once more", client_id="c")
            assert (again.seq, again.duplicate) == (first.seq, True)
            last = await world.say("ann", "three")
            assert (await late.stream.state()).last_seq - first.seq == 7, "all of it stands there"
            await all_have([*some, late], last.seq)
            assert [text_of(e) for e in late.events if e.type == "message"] == ["three"]
            for one in (*some, late):
                await one.journal.shown(last.seq)
            view = View("ann", {})
            found = await late.journal.replay(view, 0, last.seq, 99)
            assert [text_of(event) for event in found] == ["one", "two", "three"]
        for one in some:
            texts = [text_of(event) for event in one.events if event.type == "message"]
            assert texts == ["one", "of somebody else", "two", "three"]
            assert one.journal.head_seq == one.events[-1].seq == last.seq
            assert one.projector.repeats == 0
        assert await worlds[1].texts("ann") == ["one", "two", "three"]


async def test_nothing_is_lost_or_doubled_when_the_stream_is_killed_in_mid_traffic(
    tmp_path: Path, own_nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, own_nats.uri, 2) as some:
        said = [
            asyncio.create_task(say_until_it_stands(some[n % 2], f"u{n % 20}", str(n)))
            for n in range(300)
        ]
        await until(lambda: len(some[0].events) > 30)
        own_nats.kill()
        assert not all(task.done() for task in said)
        own_nats.start()
        standings = await asyncio.gather(*said)
        await all_have(some, max(each.seq for each in standings))
        for one in some:
            texts = [text_of(event) for event in one.events]
            assert sorted(texts, key=int) == [str(n) for n in range(300)]
            assert [e.seq for e in one.events] == sorted(e.seq for e in one.events)
        places = {text_of(event): event.seq for event in some[0].events}
        assert [places[str(n)] for n in range(300)] == [each.seq for each in standings]


async def test_a_node_that_cannot_prove_that_it_is_fresh_takes_nothing(
    tmp_path: Path, own_nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with node(home, own_nats.uri) as one:
        world = world_of(one, home.clock)
        await world.say("ann", "before")
        own_nats.freeze()
        await until(lambda: not one.journal.fresh)
        assert not one.journal.healthy
        with pytest.raises(Unavailable):
            one.journal.place(paid(), message("ann"), lambda answer: None)
        with pytest.raises(Unavailable):
            await world.texts("ann")
        own_nats.thaw()
        await until(lambda: one.journal.fresh)
        await say_until_it_stands(one, "ann", "after")
        assert await world.texts("ann") == ["before", "after"]


async def test_a_change_waits_for_a_node_that_lags_and_not_for_one_that_is_gone(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 2) as (quick, slow):
        held: list[tuple[object, ...]] = []
        follower = slow.journal._follower
        hand_on = follower._hand_on
        monkeypatch.setattr(follower, "_hand_on", lambda *turn: held.append(turn))
        change = asyncio.create_task(world_of(quick, home.clock).befriend("ann", "bob"))
        await until(lambda: held)
        # What is said after it is shown after it: by then the change was shown, and could have been answered.
        later = await world_of(quick, home.clock).say("cho", "later")
        await quick.journal.shown(later.seq)
        assert not change.done(), "answered before the other node knew of it"
        monkeypatch.setattr(follower, "_hand_on", hand_on)
        for turn in held:
            hand_on(*turn)  # type: ignore[arg-type]
        seq = await change
        assert slow.journal.head_seq > seq
        # One that does not say any more that it is there: it is waited for until it has stopped serving by itself.
        slow.link.publish = lambda *_: False  # type: ignore[method-assign]
        await world_of(quick, home.clock).relate("none", "ann", "bob")


async def test_another_node_shows_the_events_where_the_projector_stops_without_a_word(
    tmp_path: Path, nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 2) as (first, second):
        assert first.projector.active and not second.projector.active
        running = first.projector._running
        assert running is not None
        running.cancel()
        sent = await world_of(second, home.clock).say("ann", "not shown yet")
        await until(lambda: second.projector.active)
        await second.journal.shown(sent.seq)
        await first.journal.shown(sent.seq)
        assert await world_of(first, home.clock).texts("ann") == ["not shown yet"]
        # The first one wakes, and finds that it may not write.
        with pytest.raises(Fenced):
            await first.store.log.project([], sent.seq + 9, first.projector._owner)
        assert await first.store.log.projected() == sent.seq


async def test_of_two_nodes_that_decide_about_a_pair_one_is_first(
    tmp_path: Path, nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 2) as some:

        async def turn(one: Node, n: int) -> bool:
            """Make them friends where they are not, and not where they are, as a verb does."""
            while True:
                guard = await one.journal.guard("ann", "bob")
                now = await one.store.relation("ann", "bob")
                then = "none" if now == "friend" else "friend"
                change = FriendChange("ann", "bob", then)
                drafts = [
                    friend_draft("ann", "bob", then, change),
                    friend_draft("bob", "ann", then),
                ]
                with suppress(Outrun):
                    await one.journal.append(paid(), *drafts, guard=guard)
                    return True

        for n in range(ROUNDS):
            assert await asyncio.gather(*(turn(one, n) for one in some)) == [True, True]
        await all_have(some, max(one.journal.head_seq for one in some))
        for one in some:
            changes = [e.change.relation for e in one.events if isinstance(e.change, FriendChange)]
            # Each decided on what the one before had made: they take turns, without exception.
            assert changes == ["friend", "none"] * ROUNDS
            assert await one.store.relation("ann", "bob") == "none"


@pytest.mark.parametrize("drafts", [1, 2])
async def test_an_attempt_of_its_own_outruns_nobody(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch, drafts: int
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with node(home, nats.uri) as one:
        put, acknowledged = publisher.Publisher._put, publisher.Publisher._acknowledged
        answers: list[bytes] = []

        def put_twice(self: publisher.Publisher, sending: publisher.Sending) -> None:
            put(self, sending)
            put(self, sending)

        def note(self: publisher.Publisher, said: Msg) -> None:
            acknowledged(self, said)
            answers.append(said.data)

        await one.link.unsubscribe(
            next(h for h in one.link._hearings if h.receive == one.journal._publisher._acknowledged)
        )
        await one.link.subscribe(
            f"{one.journal._publisher._inbox}.*", lambda said: note(one.journal._publisher, said)
        )
        held: list[list[Placed]] = []
        hand_on = one.journal._follower._hand_on
        monkeypatch.setattr(one.journal._follower, "_hand_on", held.append)
        monkeypatch.setattr(publisher.Publisher, "_put", put_twice)
        guard = await one.journal.guard("ann")
        change = [vocabulary.notice(PasswordChange("ann", "new", None))] * drafts
        appended = asyncio.create_task(one.journal.append(paid(), *change, guard=guard))
        await until(lambda: held and len(answers) == 2)
        assert b"wrong last sequence" in answers[1]
        # What is asked of the stream now comes back after what the journal has asked about it.
        await one.stream.newest()
        monkeypatch.setattr(one.journal._follower, "_hand_on", hand_on)
        for turn in held:
            hand_on(turn)
        assert [each.seq for each in await appended] == [event.seq for event in one.events]
        assert len(one.events) == drafts


async def test_changes_of_a_pair_that_are_lost_on_the_way_go_again_and_happen_once(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with node(home, nats.uri) as one:
        publish = one.link.publish
        lost: list[str] = []

        def lose_the_end(
            subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
        ) -> bool:
            if headers and "Nats-Batch-Commit" in headers and not lost:
                lost.append(headers["Nats-Batch-Id"])
                return True
            return publish(subject, payload, reply, headers)

        monkeypatch.setattr(one.link, "publish", lose_the_end)
        change = FriendChange("ann", "bob", "friend")
        told = [friend_draft("ann", "bob", "friend", change), friend_draft("bob", "ann", "friend")]
        await one.journal.append(paid(), *told, guard=await one.journal.guard("ann", "bob"))
        assert len(lost) == 1 and len(one.events) == 2
        assert await one.store.relation("ann", "bob") == "friend"


async def test_an_id_that_is_being_stored_is_waited_for(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with node(home, nats.uri) as one:
        sending = one.journal._publisher
        held: list[list[Placed]] = []
        hand_on = one.journal._follower._hand_on
        monkeypatch.setattr(one.journal._follower, "_hand_on", held.append)
        said = asyncio.create_task(world_of(one, home.clock).say("ann", client_id="c"))
        await until(lambda: held)
        # As the leader says that has taken over in the middle of it.
        error = {
            "code": 409,
            "err_code": 10158,
            "description": "duplicate message id is in process",
        }
        reply = f"{sending._inbox}.{held[0][0].number}"
        sending._acknowledged(Msg(Client(), reply, data=json.dumps({"error": error}).encode()))
        hand_on(held[0])
        assert (await said).seq == one.journal.head_seq


async def test_a_stream_whose_places_are_a_month_behind_the_clock_is_resumed(
    mongo: MongoHome, nats: NatsServer
) -> None:
    async with node(mongo, nats.uri) as one:
        world = world_of(one, mongo.clock)
        first = await world.say("ann", "one")
        await world.read("ann", first.seq)
        mongo.clock.now_ms += 30 * DAY_MS
        last = await world.say("ann", "two")
        view = View("ann", {})
        assert await one.journal.backlog(view, first.seq, last.seq, 99) == 2
        found = await one.journal.replay(view, first.seq, last.seq, 99)
        assert [event.payload for event in found] == [e.payload for e in one.events[1:]]


async def test_nothing_of_an_account_is_kept_behind_its_end(
    tmp_path: Path, nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with nodes(home, nats.uri, 2) as (here, there):
        world, other = world_of(here, home.clock), world_of(there, home.clock)
        await world.join("ann", "bob")
        await world.say("ann", "before")
        end = Draft("profile", Audience.FRIENDS, "ann", None, {}, change=AccountEnd("ann"))
        await here.journal.append(paid(), end)
        await other.say("ann", "behind it, from a node that had not heard yet")
        await other.relate("asked", "bob", "ann")
        block = vocabulary.notice(BlockChange("bob", "ann", True))
        await there.journal.append(paid(), block)
        assert not await there.store.blocked("bob", "ann")
        assert await other.texts("ann") == []
        assert await here.store.relation("bob", "ann") == "none"


async def test_a_database_is_opened_by_servers_of_its_own_order_only(
    tmp_path: Path, nats: NatsServer
) -> None:
    home = SqliteHome(tmp_path / "data")
    async with node(home, nats.uri) as one:
        await world_of(one, home.clock).say("ann")
    with pytest.raises(StoreRefused, match=r"is the stream CHAT_[0-9a-f]{12} of NATS"):
        await SqliteStore(home.folder, home.clock).start()
    alone = SqliteStore(home.folder, home.clock, order="any")
    await alone.start()
    assert await alone.log.set_order(0, seen=alone.order) == 0
    await alone.close()
    local = SqliteStore(home.folder, home.clock)
    await local.start()
    await local.close()
    with pytest.raises(StoreRefused, match="chatserver order stream"):
        await SqliteStore(home.folder, home.clock, order="stream").start()


async def test_a_stream_that_cannot_be_the_order_is_a_sentence(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WAIT_S", 0.0)
    link = NatsLink([nats.uri], "test", Access(token=TOKEN))
    await link.connect()
    try:
        gone = Stream(link, Subjects("00000000gone"))
        with pytest.raises(OrderRefused, match="gone from NATS: start once with --nats-new-stream"):
            await gone.open(5, 1)
        await gone.open(5, 1, new=True)
        with pytest.raises(OrderRefused, match="restored from an older backup"):
            await gone.open(9_000_000, 1)
        foreign = {"name": "CHAT_f", "subjects": ["chat.f.>"], "allow_atomic": True}
        await link.request("$JS.API.STREAM.CREATE.CHAT_f", json.dumps(foreign).encode())
        with pytest.raises(OrderRefused, match="made by another program"):
            await Stream(link, Subjects("f")).open(0, 1)
        taken = {"name": "OTHERS", "subjects": ["chat.o.e.>"]}
        await link.request("$JS.API.STREAM.CREATE.OTHERS", json.dumps(taken).encode())
        with pytest.raises(OrderRefused, match="CHAT_o cannot be used .*overlap"):
            await Stream(link, Subjects("o")).open(0, 1)
        names = json.loads((await link.request("$JS.API.STREAM.NAMES", b"{}")).data)["streams"]
        assert "OTHERS" in names and "CHAT_o" not in names, "left alone"
    finally:
        await link.close()
    plain = NatsServer(tmp_path / "plain", jetstream=False)
    plain.start()
    link = NatsLink([plain.uri], "test", Access(token=TOKEN))
    try:
        await link.connect()
        with pytest.raises(OrderRefused, match="turn it on"):
            await Stream(link, Subjects("x")).open(0, 1)
    finally:
        await link.close()
        plain.kill()


async def test_a_user_of_nats_without_rights_is_refused_and_with_them_nothing_is_stored_by_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WAIT_S", 0.0)
    monkeypatch.setattr(stream, "ASK_S", 0.3)
    strict = NatsServer(tmp_path / "strict")
    rights = {"api": ["$JS.API.>", "_INBOX.>"], "talk": ["chat.>", "_INBOX.>"], "all": [">"]}
    strict.rights = {
        "users": [
            {"user": user, "password": "secret", "permissions": {"publish": {"allow": allowed}}}
            for user, allowed in rights.items()
        ]
    }
    strict.start()
    try:

        async def opened(user: str) -> Stream:
            link = NatsLink([strict.uri.replace("//", f"//{user}:secret@")], "test")
            links.append(link)
            await link.connect()
            found = Stream(link, Subjects("1"))
            await found.open(0, 1)
            await found.refuse_without_rights()
            return found

        links: list[NatsLink] = []
        with pytest.raises(OrderRefused, match="grant this user its API"):
            await opened("talk")
        monkeypatch.setattr(stream, "ASK_S", 5.0)
        assert await (await opened("all")).newest_message() == 0
        monkeypatch.setattr(stream, "ASK_S", 0.3)
        with pytest.raises(OrderRefused, match="publish to chat.1.e.rights: grant its user"):
            await opened("api")
    finally:
        for link in links:
            await link.close()
        strict.kill()
