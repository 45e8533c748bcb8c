"""Notices and generations, on each backend: a login lives only while it is of its account's generation."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chatserver.core.changes import LoginsEnd
from chatserver.core.conversations import Range
from chatserver.core.events import Draft
from chatserver.core.kinds import KINDS, Kept, Kind
from chatserver.core.people import Login
from chatserver.store.archive import FIELDS
from chatserver.store.mongo import database as mongo_db
from tests.store.kit import DAY_MS, Home, MongoHome, json_of, login, opened
from tests.support.payments import paid

ROOT = Path(__file__).resolve().parents[2]

# notices


async def test_a_notice_is_applied_with_its_place_and_shown_to_nobody(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        for id_ in ("c1", "c2"):
            await world.store.add_login(login(id_, "ann"))
        await world.say("ann", "one")
        before = world.journal.head_seq
        events = await world.store.archive.count("events")  # type: ignore[attr-defined]
        seqs = [await world.end_logins("ann", "c1"), await world.change_password("ann", "new")]
        head = world.journal.head_seq
        assert seqs == [before + 1, before + 2] and head == before + 2
        for name in ("ann", "bob"):
            view = await world.view(name)
            assert await world.journal.backlog(view, before, head, 9) == 0
            assert await world.journal.replay(view, before, head, 9) == []
            assert await world.texts(name) == ["one"]
        assert (await world.store.friends("ann")).seq == head
        assert (await world.store.read_state("bob")).seq == head
        assert await world.store.archive.count("events") == events  # type: ignore[attr-defined]
        heard = [event for event in world.events if event.seq > before]
        assert [(event.seq, event.type) for event in heard] == [(seq, "notice") for seq in seqs]
        assert heard[0].change == LoginsEnd("ann", ("c1",))


async def test_a_notice_may_stand_among_events_of_one_batch(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        await world.store.add_login(login("c1", "ann"))
        placed = (world.say("ann", "1"), world.end_logins("ann", "c1"), world.say("ann", "2"))
        first, notice, second = await asyncio.gather(*placed)
        assert (notice, second.seq) == (first.seq + 1, first.seq + 2)
        assert await world.store.login("c1") is None
        assert await world.texts("ann") == ["1", "2"]
        repeats = (world.say("ann", "3", client_id="c"), world.change_password("ann", "new"))
        await asyncio.gather(*repeats)
        assert (await world.say("ann", "3", client_id="c")).duplicate


_DIES_BEHIND_A_NOTICE = """
import asyncio, os, sys
from pathlib import Path
from tests.store.kit import MongoHome, SqliteHome, opened
from tests.support.payments import paid


async def main():
    home = SqliteHome(Path(sys.argv[2])) if sys.argv[1] == "sqlite" else MongoHome(sys.argv[2])
    async with opened(home) as world:
        await world.join("ann")
        await world.say("ann")
        print(await world.change_password("ann", "new"), flush=True)
        os._exit(0)

asyncio.run(main())
"""


async def test_the_place_of_a_notice_is_not_given_out_again_after_a_crash(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_db, "LEASE_S", 1.0)
    where = home.uri if isinstance(home, MongoHome) else str(home.folder)
    command = [sys.executable, "-c", _DIES_BEHIND_A_NOTICE, home.name, where]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seq = int(child.stdout)

    async with opened(home) as world:
        assert world.journal.head_seq == seq
        found = await world.store.account("ann")
        assert found is not None and (found.password, found.generation) == ("new", seq)
        assert (await world.say("ann")).seq == seq + 1


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_how_long_an_event_is_kept_is_what_the_table_of_kinds_says(
    home: Home, kind: Kind
) -> None:
    async with opened(home) as world:
        await world.join("ann")
        fields = {"user": {"id": "ann"}, "relation": "friend"}
        await world.journal.append(paid(), Draft(kind.name, kind.to_all, "ann", None, fields))
        page = await world.store.history("ann", Range())
        assert [event.type for event in page.events] == [kind.name] * (kind.kept is Kept.FOR_GOOD)
        kept = [kind.name] * (kind.kept is not Kept.NEVER)
        assert [event.type for event in await world.replay("ann")] == kept
        world.clock.now_ms += 8 * DAY_MS
        assert await world.journal.drop_passed() == (kind.kept is Kept.PASSING)
        kept = [kind.name] * (kind.kept is Kept.FOR_GOOD)
        assert [event.type for event in await world.replay("ann")] == kept


# the end of logins


async def test_logins_end_for_the_user_whose_they_are(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        for id_, user in (("a1", "ann"), ("a2", "ann"), ("b1", "bob")):
            await world.store.add_login(login(id_, user, secret_hash=id_.encode()))
        await world.end_logins("ann", "a1", "b1", "nothing")
        assert await world.store.login("a1") is None
        assert await world.store.login_by_secret(b"a1") is None
        assert [each.id for each in await world.store.logins("ann", "cookie")] == ["a2"]
        assert await world.store.login("b1") is not None


# generations


async def test_a_change_of_password_keeps_one_login_and_ends_the_others(home: Home) -> None:
    async with opened(home) as world:
        store = world.store
        await world.join("ann", "bob")
        kept, other = login("c1", "ann"), login("c2", "ann")
        token, bobs = login("t1", "ann", "token", secret_hash=b"s"), login("b1", "bob")
        for each in (kept, other, token, bobs):
            assert await store.add_login(each)
        seq = await world.change_password("ann", "$argon2id$new", "c1")
        account = await store.account("ann")
        assert account is not None and account == await store.account_by_email("ann@example.com")
        assert (account.password, account.generation) == ("$argon2id$new", seq)
        assert await store.login("c1") == replace(kept, generation=seq)
        assert await store.login("c2") is None and await store.login_by_secret(b"s") is None
        assert await store.logins("ann", "cookie") == [replace(kept, generation=seq)]
        assert await store.logins("ann", "token") == []
        bob = await store.account("bob")
        assert await store.login("b1") == bobs and bob is not None and bob.generation == 0
        await world.change_password("ann", "$argon2id$newer", "b1")
        assert await store.login("c1") is None
        assert await store.login("b1") == bobs
        await world.change_password("nobody", "x", "b1")
        assert await store.login("b1") == bobs and await store.account("nobody") is None


async def test_a_login_of_an_older_generation_is_refused_and_not_kept(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        count = world.store.archive.count  # type: ignore[attr-defined]
        assert await world.store.add_login(login("before", "ann", secret_hash=b"before"))
        seq = await world.change_password("ann", "new")
        for generation in (0, seq - 1, seq + 1):
            late = login("late", "ann", secret_hash=b"late", generation=generation)
            assert not await world.store.add_login(late)
            assert await count("logins") == 0
        now = login("now", "ann", secret_hash=b"now", generation=seq)
        assert await world.store.add_login(now)
        assert await world.store.login("now") == now
        assert await world.store.login_by_secret(b"now") == now
        for id_ in ("before", "late"):
            assert await world.store.login(id_) is None
            assert await world.store.login_by_secret(id_.encode()) is None


async def test_a_login_of_another_generation_is_not_there_though_it_is_kept(home: Home) -> None:
    """As a crash between two steps may leave it, or a store that was moved in the middle of such a crash."""

    async with opened(home) as world:
        store = world.store
        await world.join("ann")
        seq = await world.change_password("ann", "new")
        for id_, generation in (("old", 0), ("older", seq - 1), ("now", seq)):
            new = login(id_, "ann", secret_hash=id_.encode(), generation=generation)
            record = {name: getattr(new, name) for name in FIELDS["logins"]}
            await store.archive.add("logins", [record])  # type: ignore[attr-defined]
        assert await store.archive.count("logins") == 3  # type: ignore[attr-defined]
        for id_ in ("old", "older"):
            assert await store.login(id_) is None
            assert await store.login_by_secret(id_.encode()) is None
        assert await store.login("now") is not None
        assert await store.login_by_secret(b"now") is not None
        assert [each.id for each in await store.logins("ann", "cookie")] == ["now"]


async def test_no_login_slips_through_a_change_of_password(home: Home) -> None:
    """Logins are made in a loop while the password changes: by a thief who has the old one, or a token."""

    async with opened(home) as world:
        await world.join("ann")
        made = 0
        first = asyncio.Event()

        async def make(generation: int, start: int) -> None:
            nonlocal made
            for n in range(start, start + 8):
                new = login(f"{generation}-{n}", "ann", secret_hash=f"{generation}-{n}".encode())
                made += await world.store.add_login(replace(new, generation=generation))
                first.set()

        async def change(round_: int) -> int:
            if round_ % 2:  # in every other round it comes into the middle of them
                await first.wait()
            return await world.change_password("ann", f"p{round_}")

        generation = 0
        for round_ in range(12):
            makers = (make(generation, start) for start in (0, 100, 200))
            first.clear()
            changing = change(round_)
            old, (generation, *_) = generation, await asyncio.gather(changing, *makers)  # type: ignore[assignment]
            assert await world.store.logins("ann", "cookie") == []
            for n in (*range(8), *range(100, 108), *range(200, 208)):
                assert await world.store.login(f"{old}-{n}") is None
                assert await world.store.login_by_secret(f"{old}-{n}".encode()) is None
        assert made > 0, "every login lost the race: it shows nothing"


async def test_a_login_that_is_kept_is_there_at_every_moment(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        await world.store.add_login(login("c1", "ann", secret_hash=b"s"))
        seen: list[Login | None] = []
        changing = True

        async def look() -> None:
            while changing:
                seen.append(await world.store.login("c1"))
                seen.append(await world.store.login_by_secret(b"s"))
                seen.extend(await world.store.logins("ann", "cookie") or [None])

        lookers = [asyncio.create_task(look()) for _ in range(4)]
        n = 0
        while n < 25 or len(seen) <= 50:
            await world.change_password("ann", f"p{n}", "c1")
            n += 1
        changing = False
        await asyncio.gather(*lookers)
        assert None not in seen


async def test_an_account_that_ends_takes_its_logins_along_whatever_their_generation(
    home: Home,
) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.store.add_login(login("b0", "bob"))
        seq = await world.change_password("bob", "new", "b0")
        await world.store.add_login(login("b1", "bob", "token", secret_hash=b"s", generation=seq))
        await world.end("bob", "ann")
        assert await world.store.login("b0") is None
        assert await world.store.login_by_secret(b"s") is None
        assert await world.store.archive.count("logins") == 0  # type: ignore[attr-defined]
        for generation in (0, seq):
            assert not await world.store.add_login(login("late", "bob", generation=generation))


async def test_a_notice_says_nothing_on_the_wire(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        seq = await world.change_password("ann", "$argon2id$secret", "c1")
        (event,) = world.events
        assert json_of(event) == {"seq": seq, "type": "notice", "at": event.at_ms}
        assert b"secret" not in event.payload
