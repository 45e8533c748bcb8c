"""Whatever is appended is paid for: what a stranger does in a loop makes neither a victim reset nor the database grow."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import chatserver
from chatserver.command.build import now_ms
from chatserver.core.errors import (
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.events import MAX_SEQ
from chatserver.core.limits import Limits
from chatserver.core.people import Login, User
from chatserver.core.prices import Unpaid
from chatserver.http.house import House
from tests.store.kit import message
from tests.verbs.test_accounts import PASSWORD, befriended, opened, person

PACKAGE = Path(chatserver.__file__).parent
TRIES = 2000
Deed = Callable[[House, User, User, int], Coroutine[Any, Any, object]]


async def count(house: House) -> int:
    """Rows that events have in the store."""
    found: int = await house.store.archive.count("events")  # type: ignore[attr-defined]
    return found


async def login_of(house: House, user: User) -> Login:
    known = [one for one in await house.sessions.listed(user.id, "cookie")]
    return known[0] if known else await house.sessions.begin(user.id, 0, "")


async def ask_and_withdraw(house: House, eve: User, victim: User, n: int) -> None:
    await house.friendships.befriend(eve.id, victim.id)
    await house.friendships.unfriend(eve.id, victim.id)


async def ask_and_block(house: House, eve: User, victim: User, n: int) -> None:
    await house.friendships.befriend(eve.id, victim.id)
    await house.friendships.block(eve.id, victim.id)
    await house.friendships.unblock(eve.id, victim.id)


async def read_all_of_it(house: House, eve: User, victim: User, n: int) -> None:
    await house.reads.read(eve.id, {"upTo": MAX_SEQ}, patient=False)


async def rename(house: House, eve: User, victim: User, n: int) -> None:
    await house.accounts.change(await login_of(house, eve), {"firstName": f"Eve{n % 2}"})


async def make_token(house: House, eve: User, victim: User, n: int) -> None:
    login = await login_of(house, eve)
    made = await house.accounts.issue_token(login, {"label": "t"})
    await house.sessions.end_one(eve.id, "token", made["id"])


async def write(house: House, eve: User, victim: User, n: int) -> None:
    await house.messages.send(eve.id, {"text": "hi"})


@pytest.mark.parametrize(
    ("deed", "at_once", "a_second"),
    [
        # Each request and its end are two events, one to each of the two.
        (ask_and_withdraw, 5 * 4, 0.1 * 4),
        (ask_and_block, 5 * 4, 0.1 * 4),
        (read_all_of_it, 0, 0),
        (rename, 10, 5 / 60),
        (make_token, 0, 0),
        (write, 20, 5),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_stranger_in_a_loop_appends_little(
    data: Path, deed: Deed, at_once: int, a_second: float
) -> None:
    """Two thousand tries, by the limits of the contract."""
    async with opened(data) as house:
        victim, eve = await person(house, "victim"), await person(house, "eve")
        mailbox = await house.delivery.mailboxes.open(victim.id)
        began_s, refused = time.monotonic(), 0
        for n in range(TRIES):
            try:
                await deed(house, eve, victim, n)
            except RateLimited as error:
                refused += 1
                assert error.retry_after_s > 0
        most = at_once + (time.monotonic() - began_s) * a_second + 4
        assert await count(house) <= most
        assert len(mailbox.events) <= most / 2, "what reaches the victim"
        # Either the payment is refused, or the deed comes to nothing by itself.
        assert refused > TRIES // 2 or at_once == 0


async def test_asking_many_people_is_bounded_by_the_day(data: Path) -> None:
    async with opened(data, Limits(requests_per_day=5)) as house:
        eve = await person(house, "eve")
        others = [await person(house, f"p{n}") for n in range(7)]
        for other in others[:5]:
            assert await house.friendships.befriend(eve.id, other.id) == "outgoing"
        with pytest.raises(RateLimited) as refusal:
            await house.friendships.befriend(eve.id, others[5].id)
        assert refusal.value.retry_after_s > 3600
        # Asking again what has been asked is no news, and accepting is no request.
        assert await house.friendships.befriend(eve.id, others[0].id) == "outgoing"
        await house.friendships.befriend(others[6].id, eve.id)
        assert await house.friendships.befriend(eve.id, others[6].id) == "friend"


async def test_a_victim_can_decline_and_block_whatever_the_other_does(data: Path) -> None:
    async with opened(data) as house:
        victim, eve = await person(house, "victim"), await person(house, "eve")
        for _ in range(5):
            await house.friendships.befriend(eve.id, victim.id)
            await house.friendships.unfriend(victim.id, eve.id)
        with pytest.raises(RateLimited):
            await house.friendships.befriend(eve.id, victim.id)
        await house.friendships.block(victim.id, eve.id)


async def test_what_changes_nothing_of_a_profile_costs_nothing(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        for _ in range(30):
            await house.accounts.change(login, {"firstName": "ann"})
            with pytest.raises(Exception, match="first name"):
                await house.accounts.change(login, {"firstName": " "})
            await house.accounts.change(login, {"zone": ""})
            # Guesses at the password are counted for themselves.
            with pytest.raises((Forbidden, RateLimited)):
                guess = {"password": "another horse", "currentPassword": "wrong horse"}
                await house.accounts.change(login, guess)
        for n in range(10):
            await house.accounts.change(login, {"firstName": f"Ann{n}"})
        with pytest.raises(RateLimited):
            await house.accounts.change(login, {"firstName": "Anna"})


async def test_nobody_pays_for_what_could_not_be_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked again and again in an outage used up the friend requests of a day."""
    async with opened(data) as house:
        ann, bob = await person(house, "ann"), await person(house, "bob")
        login = await login_of(house, ann)

        async def fail(*_: object, **__: object) -> None:
            raise Unavailable("The server cannot save messages at the moment.")

        with monkeypatch.context() as patch:
            patch.setattr(house.journal, "append", fail)
            for _ in range(100):
                with pytest.raises(Unavailable):
                    await house.friendships.befriend(ann.id, bob.id)
                with pytest.raises(Unavailable):
                    await house.friendships.block(ann.id, bob.id)
                with pytest.raises(Unavailable):
                    await house.accounts.change(login, {"firstName": "Anna"})
        assert await house.friendships.befriend(ann.id, bob.id) == "outgoing"
        await house.friendships.block(ann.id, bob.id)
        await house.accounts.change(login, {"firstName": "Anna"})


async def test_a_login_ends_once_however_often_it_is_ended(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        before = house.journal.head_seq
        await house.sessions.end(login)
        first = house.journal.head_seq
        assert first > before
        await asyncio.gather(*(house.sessions.end(login) for _ in range(50)))
        assert house.journal.head_seq == first
        two = await house.sessions.begin(ann.id, 0, "")
        ends = await asyncio.gather(*(house.sessions.end(two) for _ in range(50)))
        assert len(ends) == 50 and house.journal.head_seq - first < 10**9


async def test_the_oldest_of_too_many_sessions_ends(data: Path) -> None:
    async with opened(data, Limits(sessions_per_user=3, meter=False)) as house:
        await person(house, "ann")
        given = {"email": "ann@example.com", "password": PASSWORD}
        logins = []
        for _ in range(5):
            logins.append((await house.accounts.sign_in(given, "here", ""))[1])
            began_ms = now_ms()
            while (
                now_ms() == began_ms
            ):  # they are told apart by the millisecond in which they began
                await asyncio.sleep(0)
        assert [house.sessions.is_current(one) for one in logins] == [False] * 2 + [True] * 3
        listed = await house.sessions.listed(logins[0].user_id, "cookie")
        assert {one.id for one in listed} == {one.id for one in logins[2:]}


async def test_signing_in_rightly_is_metered_too(data: Path) -> None:
    async with opened(data, Limits(logins_burst=3, sign_in_burst=6, sign_in_rate=0.001)) as house:
        await person(house, "ann")
        right = {"email": "ann@example.com", "password": PASSWORD}
        for _ in range(3):
            await house.accounts.sign_in(right, "here", "")
        with pytest.raises(RateLimited):
            await house.accounts.sign_in(right, "here", "")
        nobody = {"email": "nobody@example.com", "password": PASSWORD}
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await house.accounts.sign_in(nobody, "here", "")
        with pytest.raises(RateLimited, match="this address"):
            await house.accounts.sign_in(nobody, "here", "")


async def test_tokens_are_metered(data: Path) -> None:
    async with opened(data, Limits(logins_burst=3)) as house:
        login = await login_of(house, await person(house, "ann"))
        for _ in range(3):
            made = await house.accounts.issue_token(login, {"label": "t"})
            await house.sessions.end_one(login.user_id, "token", made["id"])
        with pytest.raises(RateLimited):
            await house.accounts.issue_token(login, {"label": "t"})


# Who learns what.


async def test_a_block_is_not_to_be_told_from_there_being_nobody(data: Path) -> None:
    async with opened(data) as house:
        ann, bob = await befriended(house)
        await house.friendships.block(ann.id, bob.id)
        for verb in (house.friendships.befriend, house.friendships.block):
            details = []
            for other in (ann.id, "nobody"):
                with pytest.raises(NotFound) as refusal:
                    await verb(bob.id, other)
                details.append(refusal.value.detail)
            assert details[0] == details[1]
        assert await house.friendships.blocks(bob.id) == []
        await house.friendships.block(ann.id, bob.id)
        await house.friendships.unblock(ann.id, bob.id)
        await house.friendships.block(bob.id, ann.id)


async def test_registering_asks_the_same_work_and_price_of_everybody(data: Path) -> None:
    async with opened(data, Limits(register_burst=4)) as house:
        await person(house, "ann")
        hashed: list[str] = []
        hash_password = house.passwords.hash

        async def note(password: str, payer: str, line: int = 0) -> str:
            hashed.append(payer)
            return await hash_password(password, payer, line)

        house.passwords.hash = note  # type: ignore[method-assign]
        for name in ("ann", "bob", "ann", "cho"):
            fields = {"email": f"{name}@example.com", "password": PASSWORD, "firstName": name}
            try:
                await house.accounts.register(fields, "here")
            except Conflict:
                assert name == "ann"
        assert hashed == ["here"] * 4
        for name in ("ann", "new"):
            fields = {"email": f"{name}@example.com", "password": PASSWORD, "firstName": name}
            with pytest.raises(RateLimited):
                await house.accounts.register(fields, "here")
        assert hashed == ["here"] * 4


async def test_looking_for_email_addresses_is_metered_alike_whether_or_not_they_are_found(
    data: Path,
) -> None:
    async with opened(data, Limits(email_search_burst=4)) as house:
        ann, _ = await person(house, "ann"), await person(house, "bob")
        for query in ("bob@example.com", "nobody@example.com") * 2:
            await house.friendships.find_people(ann.id, query, 20)
        for query in ("bob@example.com", "nobody@example.com"):
            with pytest.raises(RateLimited):
                await house.friendships.find_people(ann.id, query, 20)
        assert await house.friendships.find_people(ann.id, "bob", 20)


async def test_a_browser_that_was_theirs_is_not_locked_out_by_strangers(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        right = {"email": "ann@example.com", "password": PASSWORD}
        _, login = await house.accounts.sign_in(right, "home", "")
        cookie = house.sessions.cookie(login, False).partition(";")[0]
        await house.sessions.end(login)

        async def strangers() -> None:
            for n in range(30):
                with pytest.raises((Unauthenticated, RateLimited)):
                    await house.accounts.sign_in({**right, "password": "wrong"}, f"10.0.{n}.1", "")

        await strangers()
        with pytest.raises(RateLimited):
            await house.accounts.sign_in(right, "a new place", "")
        user, login = await house.accounts.sign_in(right, "a new place", "", cookie)
        assert user.id == ann.id
        change = {"password": "a better horse", "currentPassword": PASSWORD}
        await house.accounts.change(login, change)
        # Somebody else's cookie is no key to this account's bucket.
        eve = await person(house, "eve")
        theirs = house.sessions.cookie(await house.sessions.begin(eve.id, 0, ""), False)
        with pytest.raises(RateLimited):
            await house.accounts.sign_in(right, "a new place 2", "", theirs.partition(";")[0])
        with pytest.raises(Forbidden):
            await house.accounts.leave(login, {"password": "wrong horse"})
        await house.accounts.leave(login, {"password": "a better horse"})


# The kind: whatever is appended.


async def test_a_journal_takes_nothing_without_a_payment(data: Path) -> None:
    """By its type too: `scripts/check` would find these `type: ignore` to be of no use, if it did not refuse the calls."""
    async with opened(data) as house:
        draft = message("ann", "for nothing")
        with pytest.raises(Unpaid):
            await house.journal.append(draft)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            house.journal.place(draft, print)  # type: ignore[call-arg]
        for nothing in (None, True, "paid", draft):
            with pytest.raises(Unpaid):
                await house.journal.append(nothing, draft)  # type: ignore[arg-type]
            with pytest.raises(Unpaid):
                await house.journal.append(nothing, draft, draft)  # type: ignore[arg-type]
            with pytest.raises(Unpaid):
                house.journal.place(nothing, draft, print)  # type: ignore[arg-type]
        assert await count(house) == 0


FREE = {
    "verbs/messages": ["a repeat of a message that is on its way"],
    "verbs/accounts": ["_ENDS_ONCE"],
    "verbs/friendships": ["the end of a friendship was paid for when it was put off"],
    "verbs/sessions": [
        "the server ends the oldest of too many sessions",
        "a login was paid for when it began, and ends once",
    ],
}
"""What nobody pays for, and why. One more is a decision: read `docs/architecture.md`, "Who pays"."""


def test_what_is_free_is_this_and_nothing_else() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name == "free_of_charge" and isinstance(node, ast.Call):
                reason = node.args[0]
                text = reason.value if isinstance(reason, ast.Constant) else ast.unparse(reason)
                module = str(path.relative_to(PACKAGE).with_suffix(""))
                found.setdefault(module, []).append(str(text))
            assert name != "Payment" or path.stem == "prices", "only tills make payments"
    assert found == FREE


async def test_a_token_makes_none_that_outlives_it(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        short, _ = await house.sessions.issue_token(login, "short", 60)
        for life_s in (None, 3600):
            longer, _ = await house.sessions.issue_token(short, "longer", life_s)
            assert longer.expires_at == short.expires_at
        shorter, _ = await house.sessions.issue_token(short, "shorter", 5)
        assert shorter.expires_at is not None and short.expires_at is not None
        assert shorter.expires_at < short.expires_at
