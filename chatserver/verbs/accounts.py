"""Floor 2: accounts. Registering, signing in, profile, password, tokens, signed-in devices, leaving.

The rules for guesses at passwords are here too: failures are counted by account and by address before the
password is looked at, so that many guesses at once are not cheaper than one after another.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatserver.core import fields as rules
from chatserver.core.changes import AccountEnd, FriendChange, ProfileChange
from chatserver.core.errors import (
    SIGNED_OUT,
    BadRequest,
    Conflict,
    Forbidden,
    RateLimited,
    Unauthenticated,
)
from chatserver.core.events import Audience, Draft
from chatserver.core.fields import Fields
from chatserver.core.limits import Limits
from chatserver.core.people import Account, Login, User
from chatserver.core.prices import Buckets
from chatserver.journal.contract import Journal
from chatserver.store.contract import Store
from chatserver.verbs.friendships import friend_drafts
from chatserver.verbs.messages import Delivery, Service
from chatserver.verbs.sessions import TOKEN_LIFE_MAX_S, Sessions

log = logging.getLogger(__name__)

GOODBYES_AT_ONCE = 100
"""Friends that a leaving user is taken from in one append: a bounded transaction."""

_WRONG = "The email address or the password is wrong."


class Accounts:
    """The verbs of accounts. `clock_ms` is milliseconds since 1970, `clock_s` monotonic seconds."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        delivery: Delivery,
        sessions: Sessions,
        service: Service,
        limits: Limits,
        clock_ms: Callable[[], int],
        clock_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._journal = journal
        self._delivery = delivery
        self._sessions = sessions
        self._service = service
        self._clock_ms = clock_ms
        self._clock_s = clock_s
        by_account = limits.sign_in_failures_per_account
        by_address = limits.sign_in_failures_per_address
        self._account_failures = Buckets(by_account / 60, by_account)
        self._address_failures = Buckets(by_address / 60, by_address)
        self._registrations = Buckets(limits.register_rate, limits.register_burst)
        self._own: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    # In.

    async def register(self, fields: Fields, address: str | None) -> User:
        """A new account. `address` is the client's, None for the operator's own command.

        Raises `InvalidField`, `Conflict` where the email address is taken, `RateLimited`.
        """
        email = rules.email(fields.get("email"))
        password = rules.password(fields.get("password"))
        first_name = rules.first_name(fields.get("firstName"))
        last_name = rules.last_name(fields.get("lastName", ""))
        if address is not None:
            wait_s = self._registrations.take(address, self._clock_s())
            if wait_s:
                raise RateLimited("Too many registrations from this address.", wait_s)
        if await self._store.account_by_email(email) is not None:
            raise Conflict("There is an account with this email address already.")
        phc = await self._sessions.hash_password(password)
        color = rules.draw_color(secrets.randbelow)
        user = User(secrets.token_urlsafe(9), first_name, last_name, color)
        # The store has the last word about the address: two may have come this far.
        await self._store.add_account(Account(user, email, phc, self._clock_ms()))
        log.info("registered user %s", user.id)
        return user

    async def sign_in(self, fields: Fields, address: str, label: str) -> tuple[User, Login]:
        """A login for the one who knows the password.

        Raises `Unauthenticated`, the same after the same work whether or not there is such an account;
        `RateLimited` after too many failures of the account or the address.
        """
        email = rules.email(fields.get("email"))
        password = rules.password_given(fields.get("password"))
        async with self._guess(_account_key(email), address) as guess:
            account = await self._store.account_by_email(email)
            phc = account.password if account else None
            if not await self._sessions.password_matches(password, phc) or account is None:
                log.info("failed sign-in to account #%s", _account_key(email)[:12])
                raise Unauthenticated(_WRONG)
            login = await self._sessions.begin(account.user.id, label)
            await self._still_valid(account, login)
            guess.right()
        log.info("user %s signed in", account.user.id)
        return account.user, login

    async def _still_valid(self, account: Account, login: Login) -> None:
        # The password may have been changed, or the account deleted, between reading and signing in; then
        # this login came too late to be revoked with the others.
        now = await self._store.account(account.user.id)
        if now is None or now.password != account.password:
            await self._sessions.end([login.id])
            raise Unauthenticated(_WRONG)

    async def sign_out(self, login: Login) -> None:
        """End the login (or the token) that asks."""
        await self._sessions.end([login.id])

    # Oneself.

    async def me(self, user_id: str) -> dict[str, str]:
        """The own user object, email included."""
        return _own(await self._account(user_id))

    async def change(self, login: Login, fields: Fields) -> dict[str, str]:
        """Change names, colour or password: all that is asked for, or nothing.

        A new password needs `currentPassword` (`Forbidden` where it is wrong) and ends all other logins and
        all tokens.
        """
        password = (
            rules.password(fields["password"]) if fields.get("password") is not None else None
        )
        async with self._lock(login.user_id):
            account = await self._account(login.user_id)
            user = _changed(account.user, fields)
            if password is not None:
                await self._change_password(account, login, password, fields)
            if user != account.user:
                await self._change_profile(user)
            return _own(replace(account, user=user))

    async def _change_password(
        self, account: Account, login: Login, password: str, fields: Fields
    ) -> None:
        await self._check_password(account, fields.get("currentPassword"), "currentPassword")
        await self._store.set_password(
            account.user.id, await self._sessions.hash_password(password)
        )
        kept = login.id if login.kind == "cookie" else None
        await self._sessions.end_all(account.user.id, but=kept)
        log.info("user %s has a new password", account.user.id)

    async def _change_profile(self, user: User) -> None:
        change = ProfileChange(user.id, user.first_name, user.last_name, user.color)
        shown = {"user": user.public()}
        draft = Draft("profile", Audience.FRIENDS, user.id, None, shown, change=change)
        try:
            await self._journal.append(draft)
        finally:
            self._service.forget_user(user.id)

    async def leave(self, user_id: str, fields: Fields) -> None:
        """Delete the account and what it wrote. Raises `Forbidden` where the password is wrong."""
        async with self._lock(user_id):
            account = await self._account(user_id)
            await self._check_password(account, fields.get("password"), "password")
            self._service.begin_leaving(user_id)
            try:
                await self._say_goodbye(account.user)
                await self._sessions.end_all(user_id)
            finally:
                self._service.end_leaving(user_id)
            self._delivery.end_user(user_id)
        log.info("user %s is no more", user_id)

    async def _say_goodbye(self, user: User) -> None:
        """End every relation, then the account, in the journal's order."""
        found = await self._store.friends(user.id)
        others = [other for other, _ in found.friends]
        others += [*found.incoming, *found.outgoing]
        drafts: list[Draft] = []
        for other in others:
            change = FriendChange(user.id, other.id, "none")
            drafts += friend_drafts(user, other, ("none", "none"), change)
        step = 2 * GOODBYES_AT_ONCE
        while len(drafts) > step:
            await self._journal.append(*drafts[:step])
            del drafts[:step]
        shown = {"user": user.public()}
        end = Draft("profile", Audience.SELF, user.id, None, shown, change=AccountEnd(user.id))
        await self._journal.append(*drafts, end)

    # Tokens and devices.

    async def issue_token(self, user_id: str, fields: Fields) -> dict[str, Any]:
        """A new bearer token, shown this once."""
        label = rules.label(fields.get("label"))
        life_s = fields.get("expiresIn")
        if life_s is not None:
            life_s = rules.integer(life_s, "expiresIn", 1, TOKEN_LIFE_MAX_S)
        login, token = await self._sessions.issue_token(user_id, label, life_s)
        log.info("user %s made a token", user_id)
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

    async def _check_password(self, account: Account, given: object, field: str) -> None:
        password = rules.password_given(given, field)
        async with self._guess(_account_key(account.email), None) as guess:
            if not await self._sessions.password_matches(password, account.password):
                raise Forbidden("The password is wrong.")
            guess.right()

    def _guess(self, account_key: str, address: str | None) -> _Guess:
        return _Guess(
            self._account_failures, account_key, self._address_failures, address, self._clock_s
        )

    def _lock(self, user_id: str) -> asyncio.Lock:
        lock = self._own.get(user_id)
        if lock is None:
            lock = self._own[user_id] = asyncio.Lock()
        return lock


class _Guess:
    """One guess at a password: counted as a failure from its beginning, until it turns out right.

    Ends uncounted too where it could not be looked at, for want of the store.
    """

    def __init__(
        self,
        by_account: Buckets,
        account_key: str,
        by_address: Buckets,
        address: str | None,
        clock_s: Callable[[], float],
    ) -> None:
        self._counts = [(by_account, account_key)]
        if address is not None:
            self._counts.append((by_address, address))
        self._clock_s = clock_s

    async def __aenter__(self) -> _Guess:
        now_s = self._clock_s()
        wait_s = max(bucket.wait_s(key, now_s) for bucket, key in self._counts)
        if wait_s:
            raise RateLimited("Too many failed attempts: try again later.", wait_s)
        for bucket, key in self._counts:
            bucket.take(key, now_s)
        return self

    def right(self) -> None:
        """The guess was right: it does not count."""
        for bucket, key in self._counts:
            bucket.give_back(key)

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None and not issubclass(kind, (Unauthenticated, Forbidden)):
            self.right()


def _changed(user: User, fields: Fields) -> User:
    """The user with the public fields that are asked for."""
    known = ("firstName", "lastName", "color", "password")
    if all(fields.get(name) is None for name in known):
        raise BadRequest("Nothing to change: give firstName, lastName, color or password.")
    first_name, last_name, color = (fields.get(name) for name in known[:3])
    return replace(
        user,
        first_name=user.first_name if first_name is None else rules.first_name(first_name),
        last_name=user.last_name if last_name is None else rules.last_name(last_name),
        color=user.color if color is None else rules.color(color),
    )


def _own(account: Account) -> dict[str, str]:
    return {**account.user.public(), "email": account.email}


def _account_key(email: str) -> str:
    """What stands for an email address in counts and logs: not the address itself."""
    return hashlib.sha256(email.casefold().encode()).hexdigest()


def close_connections(delivery: Delivery) -> Callable[[list[str]], None]:
    """What `Sessions` calls when logins end."""
    return lambda login_ids: delivery.end_logins(login_ids, SIGNED_OUT)
