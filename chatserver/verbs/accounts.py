"""Accounts: registering, signing in, profile, password, tokens, signed-in devices, leaving."""

from __future__ import annotations

import asyncio
import logging
import secrets
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from chatserver.core import fields as rules
from chatserver.core import vocabulary
from chatserver.core.changes import FriendChange, PasswordChange
from chatserver.core.errors import (
    BadRequest,
    Forbidden,
    InvalidField,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.events import Draft
from chatserver.core.fields import Fields
from chatserver.core.people import Account, Login, User
from chatserver.core.prices import Payment, free_of_charge
from chatserver.journal.contract import Guard, Journal
from chatserver.store import contract
from chatserver.verbs import zones
from chatserver.verbs.decisions import decided
from chatserver.verbs.passwords import OPERATOR, REGISTRATION, Passwords, account_key
from chatserver.verbs.sessions import TOKEN_LIFE_MAX_S, Sessions
from chatserver.verbs.users import Users

log = logging.getLogger(__name__)

GOODBYES_AT_ONCE = 100
"""Friends that a leaving user is taken from in one append: a bounded transaction."""

_ENDS_ONCE = "an account ends once, and what ends with it was paid for when it began"

_WRONG = "The email address or the password is wrong."


class Source(contract.People, contract.Friendships, Protocol):
    """What of the store is needed here."""


class Accounts:
    """The verbs of accounts. `clock_ms` is milliseconds since 1970."""

    def __init__(
        self,
        store: Source,
        journal: Journal,
        users: Users,
        sessions: Sessions,
        passwords: Passwords,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._journal = journal
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._prices = passwords.prices
        self._clock_ms = clock_ms
        self._own: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    # In.

    async def register(self, fields: Fields, address: str | None) -> User:
        """A new account. `address` is the client's, None for the operator's own command.

        Raises `InvalidField`, `RateLimited`, and `Conflict` where the email address is taken: after as much work, and for the
        same price, as where it is not, so that asking for many tells little.
        """
        payment = self._prices.registrations.pay(address) if address is not None else None
        try:
            email = rules.email(fields.get("email"))
            password = rules.password(fields.get("password"))
            first_name = rules.first_name(fields.get("firstName"))
            last_name = rules.last_name(fields.get("lastName", ""))
        except InvalidField:
            if payment is not None:
                payment.give_back()  # nothing was hashed, and nobody was looked up
            raise
        phc = await self._passwords.hash(password, address or OPERATOR, REGISTRATION)
        color = rules.draw_color(secrets.randbelow)
        user = User(secrets.token_urlsafe(9), first_name, last_name, color)
        await self._store.add_account(Account(user, email, phc, self._clock_ms()))
        log.info("registered user %s", user.id)
        return user

    async def sign_in(
        self, fields: Fields, address: str, label: str, cookie_header: str | None = None
    ) -> tuple[User, Login]:
        """A login for the one who knows the password; `cookie_header` may hold an earlier login, also one that has ended.

        Raises `Unauthenticated`, the same after the same work whether or not there is such an account;
        `RateLimited` after too many tries (`Passwords.guess` says whose count).
        """
        email = rules.email(fields.get("email"))
        password = rules.password_given(fields.get("password"))
        self._prices.sign_in_tries.pay(address)
        account = await self._store.account_by_email(email)
        device = self._sessions.earlier(cookie_header, account.user.id) if account else None
        async with self._passwords.guess(email, address, device) as guess:
            phc = account.password if account else None
            if not await self._passwords.matches(password, phc, address) or account is None:
                log.info("failed sign-in to account #%s", account_key(email)[:12])
                raise Unauthenticated(_WRONG)
            self._prices.sign_ins.pay(account.user.id)
            try:
                login = await self._sessions.begin(account.user.id, account.generation, label)
            except Unauthenticated:
                # Another password, or no account any more, since it was read.
                raise Unauthenticated(_WRONG) from None
            guess.right()
        self._passwords.remember_place(email, address)
        log.info("user %s signed in", account.user.id)
        return account.user, login

    async def sign_out(self, login: Login) -> None:
        """End the login (or the token) that asks."""
        await self._sessions.end(login)

    # Oneself.

    async def me(self, user_id: str) -> dict[str, str]:
        """The own user object, email included."""
        return vocabulary.own_user(await self._account(user_id))

    async def change(self, login: Login, fields: Fields) -> dict[str, str]:
        """Change names, colour or password: all that is asked for, or nothing.

        A new password needs `currentPassword` (`Forbidden` where it is wrong) and ends all other logins and
        all tokens. Raises `RateLimited`; a change that changes nothing costs nothing.
        """
        payment = self._prices.profiles.pay(login.user_id)
        try:
            return await self._change(payment, login, fields)
        except (BadRequest, InvalidField, Forbidden, RateLimited, Unavailable):
            payment.give_back()  # a guess at the password is counted for itself
            raise

    async def _change(self, payment: Payment, login: Login, fields: Fields) -> dict[str, str]:
        password = (
            rules.password(fields["password"]) if fields.get("password") is not None else None
        )
        if fields.get("currentPassword") is not None:
            rules.password_given(fields["currentPassword"], "currentPassword")
        async with self._lock(login.user_id):
            decide = partial(self._change_guarded, payment, login, fields, password)
            account = await decided(self._journal, decide, login.user_id)
        if password is not None:
            log.info("user %s has a new password", login.user_id)
        return vocabulary.own_user(account)

    async def _change_guarded(
        self, payment: Payment, login: Login, fields: Fields, password: str | None, guard: Guard
    ) -> Account:
        account = await self._account(login.user_id)
        user = _changed(account.user, fields)
        zone = account.zone if fields.get("zone") is None else zones.zone(fields["zone"])
        drafts = []
        if password is not None:
            change = await self._password_change(account, login, password, fields)
            drafts.append(vocabulary.notice(change))
        if user != account.user:
            drafts.append(vocabulary.profile(user))
        if drafts:
            self._refuse_ended(login)
            await self._journal.append(payment, *drafts, guard=guard)
        elif zone == account.zone:
            payment.give_back()
        if zone != account.zone:
            await self._store.set_zone(login.user_id, zone)
        return replace(account, user=user, zone=zone)

    async def _password_change(
        self, account: Account, login: Login, password: str, fields: Fields
    ) -> PasswordChange:
        current = fields.get("currentPassword")
        await self._check_password(account, login, current, "currentPassword")
        phc = await self._passwords.hash(password, account.user.id)
        return PasswordChange(account.user.id, phc, login.id if login.kind == "cookie" else None)

    def _refuse_ended(self, login: Login) -> None:
        # Checking and hashing a password takes a while, in which the login that asks may have been ended.
        if not self._sessions.is_current(login):
            raise Unauthenticated("You are signed out.")

    async def leave(self, login: Login, fields: Fields) -> None:
        """Delete the account and what it wrote. Raises `Forbidden` where the password is wrong."""
        user_id = login.user_id
        async with self._lock(user_id):
            account = await self._account(user_id)
            await self._check_password(account, login, fields.get("password"), "password")
            self._refuse_ended(login)
            self._users.begin_leaving(user_id)
            try:
                await self._say_goodbye(account.user)
            finally:
                self._users.end_leaving(user_id)
        log.info("user %s is no more", user_id)

    async def _say_goodbye(self, user: User) -> None:
        """End every relation, then the account, in the journal's order."""
        found = await self._store.friends(user.id)
        while len(found.incoming) < found.incoming_count:  # only the oldest are listed
            await self._append_in_steps(_goodbyes(user, found.incoming))
            found = await self._store.friends(user.id)
        friends = [other for other, _ in found.friends]
        drafts = _goodbyes(user, [*friends, *found.incoming, *found.outgoing])
        await self._append_in_steps([*drafts, vocabulary.account_end(user)])

    async def _append_in_steps(self, drafts: list[Draft]) -> None:
        step = 2 * GOODBYES_AT_ONCE
        for at in range(0, len(drafts), step):
            await self._journal.append(free_of_charge(_ENDS_ONCE), *drafts[at : at + step])

    # Tokens and devices.

    async def issue_token(self, asker: Login, fields: Fields) -> dict[str, Any]:
        """A new bearer token, shown this once. Raises `RateLimited`."""
        label = rules.label(fields.get("label"))
        life_s = fields.get("expiresIn")
        if life_s is not None:
            life_s = rules.integer(life_s, "expiresIn", 1, TOKEN_LIFE_MAX_S)
        self._prices.tokens.pay(asker.user_id)
        login, token = await self._sessions.issue_token(asker, label, life_s)
        log.info("user %s made a token", asker.user_id)
        return {
            "id": login.id,
            "token": token,
            "label": login.label,
            "expiresAt": login.expires_at,
        }

    async def tokens(self, user_id: str) -> list[dict[str, Any]]:
        """The user's tokens, without their secrets."""
        return [
            {
                "id": token.id,
                "label": token.label,
                "createdAt": token.created_at,
                "expiresAt": token.expires_at,
                "lastUsedAt": token.last_used_at,
            }
            for token in await self._sessions.listed(user_id, "token")
        ]

    async def devices(self, login: Login) -> list[dict[str, Any]]:
        """The browsers that are signed in; `current` is the one that asks."""
        return [
            {
                "id": one.id,
                "createdAt": one.created_at,
                "lastUsedAt": one.last_used_at,
                "userAgent": one.label,
                "current": one.id == login.id,
            }
            for one in await self._sessions.listed(login.user_id, "cookie")
        ]

    # Passwords.

    async def _account(self, user_id: str) -> Account:
        account = await self._store.account(user_id)
        if account is None:
            raise Unauthenticated("This account is no more.")
        return account

    async def _check_password(
        self, account: Account, login: Login, given: object, field: str
    ) -> None:
        password = rules.password_given(given, field)
        async with self._passwords.guess_again(login) as guess:
            if not await self._passwords.matches(password, account.password, account.user.id):
                raise Forbidden("The password is wrong.")
            guess.right()

    def _lock(self, user_id: str) -> asyncio.Lock:
        lock = self._own.get(user_id)
        if lock is None:
            lock = self._own[user_id] = asyncio.Lock()
        return lock


def _goodbyes(user: User, others: Sequence[User]) -> list[Draft]:
    drafts = []
    for other in others:
        change = FriendChange(user.id, other.id, "none")
        drafts += vocabulary.friend(user, other, ("none", "none"), change)
    return drafts


def _changed(user: User, fields: Fields) -> User:
    """The user with the public fields that are asked for."""
    known = ("firstName", "lastName", "color", "password", "zone")
    if all(fields.get(name) is None for name in known):
        raise BadRequest("Nothing to change: give firstName, lastName, color, password or zone.")
    first_name, last_name, color = (fields.get(name) for name in known[:3])
    return replace(
        user,
        first_name=user.first_name if first_name is None else rules.first_name(first_name),
        last_name=user.last_name if last_name is None else rules.last_name(last_name),
        color=user.color if color is None else rules.color(color),
    )
