"""The accounts of `--demo`: four people whose friendships show the friend filter at once."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from chatserver.core.errors import Conflict, Unavailable
from chatserver.store.contract import Store
from chatserver.verbs.accounts import Accounts
from chatserver.verbs.friendships import Friendships

PASSWORD = "demo-password"
PEOPLE = (
    ("ann", "Ann", "Archer"),
    ("bob", "Bob", "Baker"),
    ("cho", "Cho", "Chang"),
    ("dee", "Dee", "Dixon"),
)
FRIENDS = (("ann", "bob"), ("ann", "cho"))
PATIENCE_S, AGAIN_S = 30.0, 0.25
ASKED = (("dee", "ann"),)


def email(name: str) -> str:
    """The address of a demo account."""
    return f"{name}@example.com"


async def add(store: Store, accounts: Accounts, friendships: Friendships) -> None:
    """Make what is not there yet; what its owners have changed since stays as it is."""
    ids: dict[str, str] = {}
    new: set[str] = set()

    async def account_of(name: str, first_name: str, last_name: str) -> None:
        account = await store.account_by_email(email(name))
        if account is not None:
            ids[name] = account.user.id
            return
        new.add(name)
        fields = {"email": email(name), "password": PASSWORD}
        names = {"firstName": first_name, "lastName": last_name}
        with contextlib.suppress(Conflict):
            ids[name] = (await accounts.register(fields | names, None)).id

    for person in PEOPLE:
        await _patiently(partial(account_of, *person))
    for asker, other in FRIENDS + ASKED:
        if asker in ids and other in ids and (asker in new or other in new):
            await _patiently(partial(friendships.befriend, ids[asker], ids[other]))
            if (asker, other) in FRIENDS:
                await _patiently(partial(friendships.befriend, ids[other], ids[asker]))


async def _patiently(do: Callable[[], Awaitable[object]]) -> None:
    """Again and again, where a database or an order that has just been started is slow to answer; each may be repeated."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            await do()
            return
        except Unavailable:
            if time.monotonic() >= until_s:
                raise
            await asyncio.sleep(AGAIN_S)


def welcome(url: str, cookies: Path) -> str:
    """The accounts, and three commands that work when they are pasted one after another.

    `cookies` is the file in which curl keeps the session.
    """
    jar = shlex.quote(str(cookies.resolve()))
    body = f'{{"email": "{email("ann")}", "password": "{PASSWORD}"}}'
    people = "\n".join(f"  {email(name)}" for name, _, _ in PEOPLE)
    headers = "-H 'Content-Type: application/json'"
    return f"""Demo accounts, password {PASSWORD}:
{people}
Ann is a friend of Bob and of Cho; Dee has asked Ann. To be Ann:
  curl -c {jar} {headers} -d '{body}' {url}/api/login
  curl -N -b {jar} {url}/events
  curl -b {jar} {headers} -d '{{"text": "Hello"}}' {url}/api/messages"""
