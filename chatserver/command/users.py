"""`chatserver user add` and `chatserver user list`: the accounts, by hand."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

from chatserver.command.joining import shown, taking_part
from chatserver.command.output import plain
from chatserver.command.refusal import Refused, refuse_missing_folder
from chatserver.command.settings import from_given


def add(options: argparse.Namespace) -> int:
    """Make an account. Raises `Refused`, and what the registration raises."""
    fields = {
        "email": options.email,
        "password": _password(options.password_stdin),
        "firstName": options.first_name,
        "lastName": options.last_name,
    }

    settings = from_given(options)

    async def register() -> None:
        async with taking_part(settings) as house:
            user = await house.accounts.register(fields, None)
            print(plain(f"{user.id}  {options.email}  {user.name}"))

    asyncio.run(register())
    return 0


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Refused("there is nobody to ask for a password: use --password-stdin.")
    try:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Refused("the two passwords differ.")
    except EOFError:
        raise Refused("no password was given.") from None
    return password


def show(options: argparse.Namespace) -> int:
    """Print the accounts. Raises `Refused`."""
    settings = from_given(options)
    if settings.mongodb is None:
        refuse_missing_folder(settings.data)

    async def print_all() -> None:
        async with shown(settings) as store:
            async for rows in store.archive.records("users", 0):
                for row in rows:
                    names = ("id", "email", "first_name", "last_name")
                    user_id, email, first_name, last_name = (str(row[name]) for name in names)
                    print(plain(f"{user_id}  {email}  {first_name} {last_name}".rstrip()))

    asyncio.run(print_all())
    return 0
