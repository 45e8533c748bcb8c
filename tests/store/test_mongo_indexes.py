"""Every query that the MongoDB store sends is answered by an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import monitoring

from chatserver.core.alerts import Subscription
from chatserver.core.conversations import BROADCASTS, Direct, Range
from chatserver.store.mongo import friendships as mongo_friendships
from chatserver.store.mongo import history as mongo_history
from chatserver.store.mongo import opening as mongo_opening
from chatserver.store.mongo import ranges as mongo_ranges
from tests.store.kit import MongoHome, World, login, opened
from tests.store.mongo_server import database

ROOT = Path(__file__).resolve().parents[2]


class Listener(monitoring.CommandListener):
    """Keeps every query that is sent."""

    def __init__(self) -> None:
        self.most_pairs = 0
        """The most documents of pairs in one answer."""
        self.queries: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        command = event.command
        if event.command_name == "find":
            where, sort = dict(command["filter"]), dict(command.get("sort") or {})
            self._keep(command["find"], where, sort)
        for each in command.get("deletes", ()) if event.command_name == "delete" else ():
            self._keep(command["delete"], dict(each["q"]), {})
        for each in command.get("updates", ()) if event.command_name == "update" else ():
            self._keep(command["update"], dict(each["q"]), {})

    def _keep(self, collection: str, where: dict[str, Any], sort: dict[str, Any]) -> None:
        shape = f"{collection} {sorted(where)} {sorted(sort)}"
        self.queries.setdefault(shape, (collection, where, sort))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        cursor = event.reply.get("cursor", {})
        if ".pairs" in str(cursor.get("ns", "")):
            batch = cursor.get("firstBatch", cursor.get("nextBatch", ()))
            self.most_pairs = max(self.most_pairs, len(batch))

    def failed(self, event: object) -> None:
        """Nothing to keep."""


async def test_every_query_uses_an_index(mongo: MongoHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the server itself explains it."""
    listener = Listener()
    monkeypatch.setitem(mongo_opening.OPTIONS, "event_listeners", [listener])
    async with opened(mongo) as world:
        await _everything(world)
    monkeypatch.setattr(mongo_ranges, "WALK_EVENTS", 0)
    monkeypatch.setattr(mongo_ranges, "RANGE_COST_EVENTS", 0)
    async with opened(mongo) as world:
        await _look_around(world)
    monkeypatch.setattr(mongo_history, "ALONE", 0)
    async with opened(mongo) as world:
        await _look_around(world)

    plans = {}
    async with database(mongo.uri) as db:
        for shape, (collection, where, sort) in listener.queries.items():
            cursor = db[collection].find(where)
            if sort:
                cursor = cursor.sort(list(sort.items()))
            plans[shape] = str((await cursor.explain())["queryPlanner"]["winningPlan"])
    assert len(plans) > 30
    for shape, plan in plans.items():
        collection = shape.split()[0]
        # A handful of documents, read at start; and the newest event is the end of an index.
        if collection != "meta" and shape != "events [] ['seq']":
            assert "COLLSCAN" not in plan and f"SCAN {collection}'" not in plan, f"{shape}: {plan}"


async def test_open_requests_of_strangers_are_not_sent_beyond_what_is_shown(
    mongo: MongoHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    monkeypatch.setitem(mongo_opening.OPTIONS, "event_listeners", [listener])
    monkeypatch.setattr(mongo_friendships, "MAX_INCOMING", 3)
    monkeypatch.setattr(mongo_friendships, "PAIRS_AT_ONCE", 3)
    async with opened(mongo) as world:
        strangers = [f"s{n}" for n in range(12)]
        await world.join("me", "friend", *strangers)
        await world.befriend("me", "friend")
        for each in strangers:
            await world.relate("asked", each, "me")
        listener.most_pairs = 0
        found = await world.store.friends("me")
        assert (len(found.incoming), found.incoming_count, len(found.friends)) == (3, 12, 1)
        assert (await world.store.relation_counts("me"))["incoming"] == 12
        newest = world.journal.head_seq
        friends, _, seen = await world.store.friends_since("me")
        assert (list(friends), seen) == (["friend"], newest)
        await world.store.read_state("me")
        await world.store.standings("me")
        await world.store.in_common("friend", ["me", "s1"])
        assert 0 < listener.most_pairs <= 3


async def _everything(world: World) -> None:
    store = world.store
    await world.join("ann", "bob", "cho")
    await world.relate("asked", "ann", "bob")
    await world.befriend("ann", "bob")
    for to in (None, "bob"):
        await world.say("ann", to=to, client_id=f"c{to}")
        await world.say("ann", to=to, client_id=f"c{to}")
        await world.read("bob", 5, None if to is None else "ann")
    await world.rename("ann", "Ann", "Lind")
    for id_ in ("c1", "c2"):
        await store.add_login(login(id_, "ann", secret_hash=id_.encode()))
    await store.touch_logins({"c1": 1})
    for n in range(2):
        await store.add_subscription(Subscription(f"https://p/{n}", "ann", "c1", "k", "a", n), 1)
    await store.set_wishes("ann", "{}")
    await world.end_logins("ann", "c2")
    await store.drop_expired_logins(1)
    await world.change_password("ann", "x", "c1")
    await store.set_last_seen({"ann": 1})
    await world.block("cho", "ann", True)
    await world.block("cho", "ann", False)
    await world.relate("none", "ann", "bob")
    await world.befriend("ann", "bob")
    await _look_around(world)
    world.clock.now_ms *= 2
    await world.journal.drop_passed()
    await world.relate("asked", "ann", "cho")
    await world.end("cho", "ann")


async def _look_around(world: World) -> None:
    store = world.store
    await store.login("c1")
    await store.login_by_secret(b"c1")
    await store.newcomers(["c1"], [b"c1"], ())
    await store.logins("ann", "cookie")
    await store.account("ann")
    await store.account_by_email("ann")
    await store.users(["ann", "bob"])
    await store.search("cho", "ann li", 5)
    await store.in_common("cho", ["ann", "bob"])
    await store.subscriptions("ann")
    await store.drop_subscription("ann", "https://p/1")
    await store.wishes("ann")
    await store.blocks("cho")
    await store.blocked("cho", "ann")
    await store.friends("ann")
    await store.friends_page("ann", ["bob"], 0, 5)
    await store.friend_names("ann")
    await store.relation_counts("ann")
    await store.relation("ann", "bob")
    await store.find_message("ann", "cNone")
    for conversation in (BROADCASTS, Direct("ann")):
        for before, after in ((None, None), (2**53, None), (None, 0)):
            await store.history("bob", Range(conversation, before, after, 5))
    await store.read_state("bob")
    await store.standings("bob")
    await world.replay("bob")
