"""SQLite and MongoDB do the same things in any order, and are asked the same questions: they must agree.

A plain model in Python is the third: two stores that are wrong in the same way would agree as well.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chatserver.core.conversations import Conversation, Range, conversation_with
from chatserver.core.events import Audience, Event
from chatserver.core.kinds import FOR_GOOD
from chatserver.core.visibility import shows
from chatserver.journal.local import LocalJournal
from chatserver.store.mongo import history as mongo_history
from chatserver.store.mongo import ranges as mongo_ranges
from chatserver.store.mongo import standings as mongo_standings
from chatserver.store.mongo import unread as mongo_unread
from chatserver.store.sqlite import history as sqlite_history
from chatserver.store.sqlite import ranges as sqlite_ranges
from chatserver.store.sqlite import replay as sqlite_replay
from chatserver.store.sqlite import unread as sqlite_unread
from tests.store.kit import Home, MongoHome, SqliteHome, World, account, login
from tests.store.mongo_server import NxServer, given_uri

PEOPLE = ("ann", "bob", "cho", "dee")
people = st.sampled_from(PEOPLE)
pairs = st.tuples(people, people).filter(lambda pair: pair[0] != pair[1])
client_ids = st.one_of(st.none(), st.sampled_from(["1", "2", "a:b"]))
login_ids = st.sampled_from(["l1", "l2", "l3"])
names = st.sampled_from(["Ann", "Anna Lind", "Bo O'Neil", "Zo\u00eb", "ANNE-marie", "\U0001f600"])


class Agreement(RuleBasedStateMachine):
    """Every rule is done to both worlds; every answer is compared."""

    server: NxServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="agreement"))
        uri = given_uri() or self.server.uri()
        self.homes: list[Home] = [SqliteHome(self.folder), MongoHome(uri)]
        self.worlds: list[World] = []
        self.ended: set[str] = set()
        self.seqs = [0]
        self.before: list[Event] = []
        """What was handed out before the last restart."""
        self.loop.run_until_complete(self._open())
        self.both(lambda world: world.join(*PEOPLE))

    async def _open(self) -> None:
        for home in self.homes:
            store, log = home.make()
            await store.start()
            journal = LocalJournal(log, home.clock)
            world = World(store, log, journal, home.clock)
            await journal.start([world.batches.append])
            self.worlds.append(world)

    async def _close(self) -> None:
        self.before += self.worlds[0].events
        for world in self.worlds:
            await world.journal.close()
            await world.store.close()
        self.worlds.clear()

    def teardown(self) -> None:
        for who in PEOPLE:
            self.all_else_agrees(who)
            self.unread(who)
            self._whole_replay(who)
            for other in (None, *PEOPLE):
                self._whole_history(who, other)
        self.loop.run_until_complete(self._close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def both(self, call: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
        """What both worlds answer; or the name of what both raise."""
        answers = []
        for world in self.worlds:
            try:
                answers.append(self.loop.run_until_complete(call(world)))
            except Exception as error:
                answers.append(type(error).__name__)
        assert answers[0] == answers[1]
        return answers[0]

    # what happens

    @rule(who=people, to=st.none() | people, client_id=client_ids)
    def say(self, who: str, to: str | None, client_id: str | None) -> None:
        if to != who and who not in self.ended:
            self.seqs.append(self.both(lambda world: world.say(who, "x", to, client_id)).seq)

    @rule(pair=pairs, to_one=st.booleans())
    def say_around_a_beginning(self, pair: tuple[str, str], to_one: bool) -> None:
        """What is said before two are friends is not shown afterwards: too seldom met by chance alone."""
        self.say(pair[0], pair[1] if to_one else None, None)
        self.relate(pair, "friend", False)
        self.say(pair[0], pair[1] if to_one else None, None)

    @rule(
        pair=pairs,
        relation=st.sampled_from(["friend", "friend", "asked", "none"]),
        block=st.booleans(),
    )
    def relate(self, pair: tuple[str, str], relation: str, block: bool) -> None:
        if not self.ended & set(pair):
            block = block and relation == "none"
            self.seqs.append(self.both(lambda world: world.relate(relation, *pair, block)))

    @rule(who=people, name=names)
    def rename(self, who: str, name: str) -> None:
        if who not in self.ended:
            self.both(lambda world: world.rename(who, name))

    @rule(who=people, peer=st.none() | people, back=st.integers(0, 9))
    def read(self, who: str, peer: str | None, back: int) -> None:
        if peer != who and who not in self.ended:
            up_to = self.seqs[max(0, len(self.seqs) - 1 - back)]
            self.both(lambda world: world.read(who, up_to, peer))

    @rule(pair=pairs, blocked=st.booleans())
    def set_block(self, pair: tuple[str, str], blocked: bool) -> None:
        if not self.ended & set(pair):
            self.both(lambda world: world.block(*pair, blocked))

    @rule(
        who=people,
        id_=login_ids,
        expires=st.sampled_from([None, 5]),
        stale=st.sampled_from([False, False, True]),
    )
    def sign_in(self, who: str, id_: str, expires: int | None, stale: bool) -> None:
        for each in PEOPLE:
            self.sign_out(each, [id_])
        secret = id_.encode() if expires is None else None

        async def add(world: World) -> bool:
            found = await world.store.account(who)
            generation = found.generation if found is not None and not stale else 1
            new = login(id_, who, secret_hash=secret, expires_at=expires, generation=generation)
            return await world.store.add_login(new)

        self.both(add)

    @rule(who=people, ids=st.lists(login_ids, max_size=2, unique=True))
    def sign_out(self, who: str, ids: list[str]) -> None:
        self.seqs.append(self.both(lambda world: world.end_logins(who, *ids)))

    @rule(who=people, password=st.sampled_from(["p", "q"]), kept=st.none() | login_ids)
    def change_password(self, who: str, password: str, kept: str | None) -> None:
        self.seqs.append(self.both(lambda world: world.change_password(who, password, kept)))

    @rule()
    def drop_expired(self) -> None:
        self.both(lambda world: world.store.drop_expired_logins(5))

    @precondition(lambda self: len(self.ended) < 2)
    @rule(pair=pairs)
    def end(self, pair: tuple[str, str]) -> None:
        if not self.ended & set(pair):
            self.ended.add(pair[0])
            self.both(lambda world: world.end(*pair))

    @rule(name=people)
    def register(self, name: str) -> None:
        self.both(lambda world: world.store.add_account(account(f"{name}2", name)))
        self.both(lambda world: world.store.add_account(account(name)))

    @rule(ms=st.sampled_from([1, 5000, -60_000]))
    def time_passes(self, ms: int) -> None:
        for world in self.worlds:
            world.clock.now_ms += ms

    @rule()
    def restart(self) -> None:
        self.loop.run_until_complete(self._close())
        self.loop.run_until_complete(self._open())

    # what is asked

    @rule(
        who=people,
        other=st.none() | people,
        before=st.booleans(),
        n=st.integers(0, 9),
        limit=st.integers(1, 4),
    )
    def history(self, who: str, other: str | None, before: bool, n: int, limit: int) -> None:
        seq = self.seqs[max(0, len(self.seqs) - 1 - n)]
        up_to, after = (seq, None) if before else (None, seq)
        found = self.both(lambda world: _page(world, who, other, up_to, after, limit))
        assert set(found[0]) <= set(self._whole_history(who, other))

    def _whole_history(self, who: str, other: str | None) -> list[bytes]:
        """A whole conversation: both stores agree, with each other and with the rule."""
        whole, more, _ = self.both(lambda world: _page(world, who, other, None, None, 10_000))
        assert not more
        if not self.ended:
            ruled = self.loop.run_until_complete(self._history_by_rule(who, other))
            assert whole[len(whole) - len(ruled) :] == ruled
        assert isinstance(whole, list)
        return whole

    async def _history_by_rule(self, who: str, other: str | None) -> list[bytes]:
        """A conversation by the rule alone, of what was handed out since the last restart."""
        world = self.worlds[0]
        view = await world.view(who)
        return [
            event.payload
            for event in world.events
            if event.type in FOR_GOOD
            and (event.to is None if other is None else {event.actor, event.to} == {who, other})
            and shows(view, event.seq, event.audience, event.actor, event.to)
        ]

    @rule(who=people, n=st.integers(0, 9), limit=st.integers(1, 50))
    def replay(self, who: str, n: int, limit: int) -> None:
        after = self.seqs[max(0, len(self.seqs) - 1 - n)]
        found = self.both(lambda world: _replay(world, who, after, limit))
        count = self.both(lambda world: _backlog(world, who, after, limit))
        assert count == len(found)
        assert found == self._whole_replay(who, after)[:limit]

    def _whole_replay(self, who: str, after: int = 0) -> list[bytes]:
        """All that is shown: both stores agree, with each other and with the rule."""
        whole = self.both(lambda world: _replay(world, who, after, 10_000))
        if not self.ended:
            ruled = self.loop.run_until_complete(self._replay_by_rule(who, after))
            assert whole[len(whole) - len(ruled) :] == ruled
        assert isinstance(whole, list)
        return whole

    async def _replay_by_rule(self, who: str, after: int) -> list[bytes]:
        """The same by the rule alone, over what was handed out since the last restart."""
        world = self.worlds[0]
        view = await world.view(who)
        return [
            event.payload
            for event in world.events
            if event.seq > after and shows(view, event.seq, event.audience, event.actor, event.to)
        ]

    @rule(who=people)
    def unread(self, who: str) -> None:
        """Kept in two ways by the stores, and here counted anew from the rule."""
        found = self.both(lambda world: world.store.read_state(who))
        view = self.loop.run_until_complete(self.worlds[0].view(who))
        ruled: Counter[Conversation] = Counter()
        for event in [*self.before, *self.worlds[0].events]:
            talk = conversation_with(None if event.to is None else event.actor)
            if (
                event.type in FOR_GOOD
                and event.actor != who
                and shows(view, event.seq, event.audience, event.actor, event.to)
                and event.seq > found.own.get(talk, 0)
            ):
                ruled[talk] = min(ruled[talk] + 1, 4)
        assert found.unread == dict(ruled)

    @rule(
        who=people,
        query=st.sampled_from(["a", "an", "lind a", "neil", "zoe", "Bo", "ann@example.com", ""]),
    )
    def search(self, who: str, query: str) -> None:
        self.both(lambda world: world.store.search(who, query, 3))

    @rule(who=people)
    def all_else_agrees(self, who: str) -> None:
        """Of one person, since it is most of what all this costs; of everybody at the end."""
        self.both(lambda world: _state(world, who))


async def _page(
    world: World, who: str, other: str | None, before: int | None, after: int | None, limit: int
) -> Any:
    page = await world.store.history(who, Range(conversation_with(other), before, after, limit))
    return [event.payload for event in page.events], page.more, page.seq


async def _replay(world: World, who: str, after: int, limit: int) -> list[bytes]:
    view = await world.view(who)
    found = await world.journal.replay(view, after, world.journal.head_seq, limit)
    assert all(isinstance(event.audience, Audience) for event in found)
    return [event.payload for event in found]


async def _backlog(world: World, who: str, after: int, cap: int) -> int | None:
    return await world.journal.backlog(await world.view(who), after, world.journal.head_seq, cap)


async def _state(world: World, who: str) -> Any:
    store = world.store
    friends = await store.friends(who)
    found: list[Any] = [world.journal.head_seq, await world.log.dropped_seq()]
    found += [
        list(friends.friends),
        list(friends.incoming),
        list(friends.outgoing),
        friends.seq,
        friends.incoming_count,
    ]
    found += [await store.friends_since(who), await store.read_state(who)]
    found += [
        [
            (one.conversation, one.last and one.last.payload, one.unread, one.read_up_to)
            for one in (await store.standings(who)).standings
        ]
    ]
    found += [await store.blocks(who), await store.logins(who, "cookie"), await store.account(who)]
    found += [await store.find_message(who, "1")]
    found += [await store.read_position(who, conversation_with(p)) for p in (None, "ann")]
    found += [dict(await store.relation_counts(who)), await store.requests(who)]
    found += [await store.friends_page(who, ["bob"], 1, 2), sorted(await store.friend_names(who))]
    found += [await store.relation(who, other) for other in PEOPLE if other != who]
    found += [await store.login_by_secret(b"l1")]
    return found


@pytest.mark.parametrize("walk", [True, False], ids=["walking", "ranges"])
@pytest.mark.timeout(400)
def test_both_stores_agree_whatever_happens(
    nx_server: NxServer, walk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once with the ways for short ranges, once with those for long ones."""
    if not walk:
        monkeypatch.setattr(sqlite_replay, "WALK_EVENTS", 0)
        monkeypatch.setattr(sqlite_ranges, "RANGE_EVENTS", 2)
        monkeypatch.setattr(mongo_ranges, "WALK_EVENTS", 0)
        monkeypatch.setattr(mongo_history, "ALONE", 2)
        monkeypatch.setattr(mongo_history, "ACTORS", 2)
        monkeypatch.setattr(sqlite_history, "LOOK_EVENTS", 1)
        monkeypatch.setattr(sqlite_history, "RANGE_COST_EVENTS", 0)
        monkeypatch.setattr(mongo_ranges, "RANGE_COST_EVENTS", 0)
        monkeypatch.setattr(mongo_ranges, "READ_EVENTS", 3)
        monkeypatch.setattr(mongo_unread, "READ_EVENTS", 3)
    for unread in (sqlite_unread, mongo_unread):
        monkeypatch.setattr(unread, "MAX_UNREAD", 4)
    monkeypatch.setattr(mongo_history, "MAX_UNREAD", 4)
    monkeypatch.setattr(mongo_standings, "KEEP_EVENTS", 2)
    monkeypatch.setattr(mongo_standings, "TAIL_EVENTS", 5)
    monkeypatch.setattr(mongo_unread, "FOLD_EVENTS", 2)
    monkeypatch.setattr(mongo_unread, "MOVED_FRIENDS", 2)
    Agreement.server = nx_server
    run_state_machine_as_test(
        Agreement,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
