"""SQLite and MongoDB do the same things in any order, and are asked the same questions: they must agree.

A plain model in Python is the third: two stores that are wrong in the same way would agree as well.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
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

from chatserver.core.events import Audience
from chatserver.core.visibility import shows
from chatserver.journal.local import LocalJournal
from chatserver.store.mongo import finding as mongo_find
from chatserver.store.sqlite import finding as sqlite_find
from tests.store.kit import Home, MongoHome, SqliteHome, World, account, login
from tests.store.mongo_server import NxServer, given_uri

PEOPLE = ("ann", "bob", "cho", "dee")
people = st.sampled_from(PEOPLE)
pairs = st.tuples(people, people).filter(lambda pair: pair[0] != pair[1])
client_ids = st.one_of(st.none(), st.sampled_from(["1", "2", "a:b"]))
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
        self.loop.run_until_complete(self._open())
        self.both(lambda world: world.join(*PEOPLE))

    async def _open(self) -> None:
        for home in self.homes:
            store, log = home.make()
            await store.start()
            journal = LocalJournal(log, home.clock)
            world = World(store, log, journal, home.clock)
            await journal.start(world.batches.append)
            self.worlds.append(world)

    async def _close(self) -> None:
        for world in self.worlds:
            await world.journal.close()
            await world.store.close()
        self.worlds.clear()

    def teardown(self) -> None:
        self.both(_state)
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
            self.both(lambda world: world.store.set_block(*pair, blocked))

    @rule(who=people, id_=st.sampled_from(["l1", "l2", "l3"]), expires=st.sampled_from([None, 5]))
    def sign_in(self, who: str, id_: str, expires: int | None) -> None:
        self.both(lambda world: world.store.end_logins([id_]))
        secret = id_.encode() if expires is None else None
        new = login(id_, who, secret_hash=secret, expires_at=expires)
        self.both(lambda world: world.store.add_login(new))

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
        span = (seq, None) if before else (None, seq)
        found = self.both(lambda world: _page(world, who, other, *span, limit))
        newest = self.both(lambda world: _page(world, who, other, None, None, 200))
        assert set(found[0]) <= set(newest[0])

    @rule(who=people, n=st.integers(0, 9), limit=st.integers(1, 50))
    def replay(self, who: str, n: int, limit: int) -> None:
        after = self.seqs[max(0, len(self.seqs) - 1 - n)]
        found = self.both(lambda world: _replay(world, who, after, limit))
        count = self.both(lambda world: _backlog(world, who, after, limit))
        assert count == len(found)
        if not self.ended:
            assert found == self.loop.run_until_complete(self._model(who, after))[:limit]

    async def _model(self, who: str, after: int) -> list[bytes]:
        """The same by the rule alone, over what was handed on since the last restart."""
        world = self.worlds[0]
        view = await world.view(who)
        everything = await world.journal.replay(view, after, world.journal.head_seq, 10_000)
        live = [
            event.payload
            for event in world.events
            if event.seq > after and shows(view, event.seq, event.audience, event.actor, event.to)
        ]
        assert [event.payload for event in everything][len(everything) - len(live) :] == live
        return [event.payload for event in everything]

    @rule(
        who=people,
        query=st.sampled_from(["a", "an", "lind a", "neil", "zoe", "Bo", "ann@example.com", ""]),
    )
    def search(self, who: str, query: str) -> None:
        self.both(lambda world: world.store.search(who, query, 3))

    @rule()
    def all_else_agrees(self) -> None:
        self.both(_state)


async def _page(
    world: World, who: str, other: str | None, before: int | None, after: int | None, limit: int
) -> Any:
    page = await world.store.history(who, other, before, after, limit)
    return [event.payload for event in page.events], page.more, page.seq


async def _replay(world: World, who: str, after: int, limit: int) -> list[bytes]:
    view = await world.view(who)
    found = await world.journal.replay(view, after, world.journal.head_seq, limit)
    assert all(isinstance(event.audience, Audience) for event in found)
    return [event.payload for event in found]


async def _backlog(world: World, who: str, after: int, cap: int) -> int | None:
    return await world.journal.backlog(await world.view(who), after, world.journal.head_seq, cap)


async def _state(world: World) -> Any:
    store = world.store
    found: list[Any] = [world.journal.head_seq, await world.log.dropped_seq()]
    for who in PEOPLE:
        friends = await store.friends(who)
        found += [
            list(friends.friends),
            list(friends.incoming),
            list(friends.outgoing),
            friends.seq,
        ]
        found += [await store.friends_since(who), await store.read_state(who)]
        found += [
            await store.blocks(who),
            await store.logins(who, "cookie"),
            await store.account(who),
        ]
        found += [await store.find_message(who, "1")]
    found += [await store.relation(a, b) for a in PEOPLE for b in PEOPLE if a != b]
    found += [await store.login_by_secret(b"l1")]
    return found


@pytest.mark.parametrize("walk", [True, False], ids=["walking", "lanes"])
@pytest.mark.timeout(180)
def test_both_stores_agree_whatever_happens(
    nx_server: NxServer, walk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once with the ways for short ranges, once with those for long ones."""
    if not walk:
        monkeypatch.setattr(sqlite_find, "WALK_EVENTS", 0)
        monkeypatch.setattr(sqlite_find, "LANE_EVENTS", 2)
        monkeypatch.setattr(mongo_find, "WALK_EVENTS", 0)
        monkeypatch.setattr(mongo_find, "ALONE", 2)
        monkeypatch.setattr(mongo_find, "ACTORS", 2)
        monkeypatch.setattr(sqlite_find, "LOOK_EVENTS", 1)
        monkeypatch.setattr(sqlite_find, "LANE_COST_EVENTS", 0)
        monkeypatch.setattr(mongo_find, "LANE_COST_EVENTS", 0)
        monkeypatch.setattr(mongo_find, "READ_EVENTS", 3)
    Agreement.server = nx_server
    run_state_machine_as_test(
        Agreement,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
