"""The accounts of `--demo`: four people whose friendships show the friend filter at once."""

from __future__ import annotations

import shlex
from pathlib import Path

from chatserver.core.errors import Conflict
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
ASKED = (("dee", "ann"),)


def email(name: str) -> str:
    """The address of a demo account."""
    return f"{name}@example.com"


async def add(store: Store, accounts: Accounts, friendships: Friendships) -> None:
    """Make what is not there yet; what its owners have changed since stays as it is."""
    ids: dict[str, str] = {}
    new: set[str] = set()
    for name, first_name, last_name in PEOPLE:
        account = await store.account_by_email(email(name))
        if account is None:
            fields = {
                "email": email(name),
                "password": PASSWORD,
                "firstName": first_name,
                "lastName": last_name,
            }
            try:
                user = await accounts.register(fields, None)
            except Conflict:
                continue
            ids[name] = user.id
            new.add(name)
        else:
            ids[name] = account.user.id
    for asker, other in FRIENDS + ASKED:
        if asker in ids and other in ids and (asker in new or other in new):
            await friendships.befriend(ids[asker], ids[other])
            if (asker, other) in FRIENDS:
                await friendships.befriend(ids[other], ids[asker])


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
