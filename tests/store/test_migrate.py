"""Moving data between the stores: nothing is lost or changed, an interruption is no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.alerts import Subscription
from chatserver.core.conversations import Direct, Standings
from chatserver.store.archive import KINDS, Archive, Record, Sum, migrate, total_of
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo import archive as mongo_archive
from chatserver.store.mongo import standings as mongo_standings
from chatserver.store.mongo import unread as mongo_unread
from chatserver.store.mongo.ranges import Doc, read
from chatserver.store.mongo.store import MongoStore
from chatserver.store.sqlite import archive as sqlite_archive
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import DAY_MS, Home, MongoHome, SqliteHome, World, login, opened
from tests.store.mongo_server import NxServer, given_uri


@pytest.fixture(params=["sqlite to mongo", "mongo to sqlite", "sqlite to sqlite"])
def route(request: pytest.FixtureRequest, tmp_path: Path, nx_server: NxServer) -> list[Home]:
    def home(name: str, place: str) -> Home:
        if name == "sqlite":
            return SqliteHome(tmp_path / place)
        return MongoHome(given_uri() or nx_server.uri())

    source, target = request.param.split(" to ")
    return [home(source, "source"), home(target, "target")]


@asynccontextmanager
async def _archive(home: Home, unfinished: bool = False) -> AsyncIterator[Any]:
    if isinstance(home, SqliteHome):
        store: Any = SqliteStore(home.folder, home.clock, unfinished=unfinished)
    else:
        store = MongoStore(home.uri, home.clock, unfinished=unfinished)
    await store.start()
    try:
        yield store.archive
    finally:
        await store.close()


async def _fill(world: World) -> None:
    people = ("ann", "bob", "cho", "dee")
    await world.join(*people)
    await world.befriend("ann", "bob")
    await world.relate("asked", "dee", "ann")
    await world.relate("asked", "bob", "dee")
    await world.befriend("cho", "bob")
    await world.relate("none", "cho", "bob", block=True)
    await world.rename("bob", "Bob", "Bobson")
    await world.read("bob", 7)
    await world.read("ann", 8, "bob")
    world.clock.now_ms += 8 * DAY_MS
    await world.journal.drop_passed()
    await asyncio.gather(
        *(world.say(people[n % 4], f"n{n} \u2028 \x7f", client_id=str(n)) for n in range(120))
    )
    await world.say("ann", "direct", to="bob")
    await world.read("bob", world.journal.head_seq, "ann")
    await world.store.set_last_seen({"ann": 77})
    of: dict[str, Any] = {"generation": await world.change_password("ann", "$argon2id$new")}
    await world.store.add_login(login("c", "ann", expires_at=2**50, **of))
    await world.store.add_login(login("t", "ann", "token", secret_hash=b"\x00\xff", **of))
    await world.store.add_subscription(Subscription("https://p/1", "ann", "c", "k", "a", 5), 20)
    await world.store.set_wishes("ann", '{"text":true}')
    # The newest place is that of a notice, which leaves no event behind.
    await world.end_logins("cho", "nothing")


def _rows(found: Standings) -> list[Any]:
    rows = [(one, one.last and one.last.payload) for one in found.standings]
    return [found.seq, [(one.conversation, last, one.unread) for one, last in rows]]


async def _questions(world: World) -> list[Any]:
    found: list[Any] = [world.journal.head_seq, await world.log.dropped_seq() > 0]
    for who in ("ann", "bob", "cho", "dee"):
        friends = await world.store.friends(who)
        found += [list(friends.friends), list(friends.incoming), list(friends.outgoing)]
        found += [await world.store.read_state(who), await world.store.blocks(who)]
        found += [await world.store.account(who), await world.store.search(who, "bobs", 5)]
        found += [[event.payload for event in await world.replay(who)]]
        found += [_rows(await world.store.standings(who))]
        found += [await world.texts(who), await world.store.find_message(who, "17")]
    found += [await world.store.subscriptions("ann"), await world.store.wishes("ann")]
    found += [await world.store.login("c"), await world.store.login_by_secret(b"\x00\xff")]
    return found


async def test_everything_is_there_after_a_move(route: list[Home]) -> None:
    answers: list[list[Any]] = []

    async def ask(world: World) -> None:
        answers.append(await _questions(world))
        assert (await world.say("ann", "again", client_id="0")).duplicate

    async with opened(route[0]) as world:
        await _fill(world)
    async with opened(route[0]) as world:
        await ask(world)
    steps: list[tuple[str, int, int]] = []
    async with _archive(route[0]) as source, _archive(route[1], unfinished=True) as target:
        found = await migrate(source, target, lambda *step: steps.append(step))
    counts = {kind: each.count for kind, each in found.items()}
    assert counts == {
        "users": 4,
        "friendships": 3,
        "blocks": 1,
        "logins": 2,
        "subscriptions": 1,
        "wishes": 1,
        "reads": 3,
        "events": 122,
    }
    assert {step[0] for step in steps} >= set(KINDS)
    assert all(done <= total for _, done, total in steps)
    route[1].clock.now_ms = route[0].clock.now_ms
    async with opened(route[1]) as world:
        await ask(world)
    assert answers[0] == answers[1]


class Older:
    """An archive as one made it that knew nothing of generations yet."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    async def records(self, kind: str, after_seq: int) -> AsyncIterator[list[Record]]:
        async for records in self._archive.records(kind, after_seq):
            yield [{k: v for k, v in each.items() if k != "generation"} for each in records]


async def test_records_made_before_there_were_generations_can_be_moved(route: list[Home]) -> None:
    async with opened(route[0]) as world:
        await _fill(world)
    async with _archive(route[0]) as source, _archive(route[1], unfinished=True) as target:
        found = await migrate(Older(source), target, _quiet)
        assert found["logins"].count == 2
    async with opened(route[1]) as world:
        account = await world.store.account("ann")
        assert account is not None and account.generation == 0
        assert await world.store.login("c") == login("c", "ann", expires_at=2**50)
        assert await world.store.add_login(login("new", "ann"))


class Interrupted(Exception):
    """The move was broken off."""


class Brittle:
    """An archive that breaks at its n-th `add`, after having written half of the records."""

    def __init__(self, archive: Archive, adds: int) -> None:
        self._archive = archive
        self._adds = adds
        self.added = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    async def add(self, kind: str, records: Sequence[Record]) -> None:
        self._adds -= 1
        if self._adds == 0:
            await self._archive.add(kind, records[: len(records) // 2])
            raise Interrupted
        self.added += len(records)
        await self._archive.add(kind, records)


@pytest.mark.parametrize("adds", [1, 2, 4, 6, 11])
async def test_an_interrupted_move_goes_on(
    route: list[Home], adds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_archive, "CHUNK", 20)
    monkeypatch.setattr(mongo_archive, "CHUNK", 20)
    monkeypatch.setattr(mongo_archive, "READ_EVENTS", 20)

    async with opened(route[0]) as world:
        await _fill(world)
    async with _archive(route[0]) as source, _archive(route[1], unfinished=True) as target:
        with pytest.raises(Interrupted):
            await migrate(source, Brittle(target, adds), _quiet)
    with pytest.raises(StoreRefused, match="run `chatserver migrate` again"):
        async with _archive(route[1]):
            pass
    async with _archive(route[0]) as source, _archive(route[1], unfinished=True) as target:
        rest = Brittle(target, 10_000)
        found = await migrate(source, rest, _quiet)
        assert found["events"].count == 122
        # Kinds that were done are not read again, nor are events that were noted.
        assert rest.added <= 138 - 20 * max(0, adds - 9)
    async with _archive(route[1]):
        pass


async def test_a_target_with_data_is_refused_and_left_alone(route: list[Home]) -> None:
    async with opened(route[0]) as world:
        await _fill(world)
    async with opened(route[1]) as world:
        await world.join("zoe")
    async with _archive(route[0]) as source, _archive(route[1], unfinished=True) as target:
        before = await total_of(target, "users")
        with pytest.raises(StoreRefused, match="holds data already"):
            await migrate(source, target, _quiet)
        assert await total_of(target, "users") == before
    async with _archive(route[1]):
        pass


async def test_a_copy_that_differs_is_told(route: list[Home]) -> None:
    class Forgetful(Brittle):
        async def add(self, kind: str, records: Sequence[Record]) -> None:
            kept = [{**each, "at": 1} if kind == "events" else each for each in records]
            await self._archive.add(kind, kept)

    async with opened(route[0]) as world:
        await _fill(world)
    async with _archive(route[0]) as source, _archive(route[1], unfinished=True) as target:
        with pytest.raises(StoreRefused, match="differs in its events"):
            await migrate(source, Forgetful(target, 0), _quiet)


async def test_a_checksum_depends_on_content_and_not_on_order() -> None:
    class Fixed:
        def __init__(self, *chunks: list[Record]) -> None:
            self.chunks = chunks

        async def records(self, kind: str, after_seq: int) -> AsyncIterator[list[Record]]:
            for chunk in self.chunks:
                yield chunk

    async def total(*chunks: list[Record]) -> Sum:
        return await total_of(Fixed(*chunks), "users")  # type: ignore[arg-type]

    one: Record = {"id": "1", "payload": b"x", "n": None}
    two: Record = {"id": "2", "payload": b"y", "n": 0}
    assert await total([one, two]) == await total([two], [one])
    assert await total([one, two]) != await total([one, one])
    assert await total([one]) != await total([{**one, "payload": b"z"}])


async def test_no_request_counts_what_was_unread_before_the_move(
    tmp_path: Path, mongo: MongoHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 300,000 messages the first reading of them used to take 22 s."""
    monkeypatch.setattr(mongo_unread, "FOLD_EVENTS", 3)
    before = SqliteHome(tmp_path / "before")
    async with opened(before) as world:
        await world.join("ann", "bob", "cho")
        await world.befriend("ann", "bob")
        for n in range(9):
            await world.say("ann", str(n), to="bob")
        await world.befriend("cho", "bob")
        await world.read("bob", world.events[-7].seq, "ann")
        unread = (await world.store.read_state("bob")).unread
        assert unread[Direct("ann")] > 2
    async with _archive(before) as source, _archive(mongo, unfinished=True) as target:
        await migrate(source, target, _quiet)
    found: list[Doc] = []

    async def spy(*arguments: Any) -> list[Doc]:
        docs = await read(*arguments)
        found.extend(docs)
        return docs

    for module in (mongo_unread, mongo_standings):
        monkeypatch.setattr(module, "read", spy)
    async with opened(mongo) as world:
        assert (await world.store.read_state("bob")).unread == unread
        counts = {
            one.conversation: one.unread for one in (await world.store.standings("bob")).standings
        }
        assert counts[Direct("ann")] == unread[Direct("ann")] and found == []
        await world.say("ann", "one more", to="bob")
        now = (await world.store.read_state("bob")).unread[Direct("ann")]
        assert (now, len(found)) == (unread[Direct("ann")] + 1, 1)


def _quiet(kind: str, done: int, total: int) -> None:
    """A progress that nobody reads."""
