"""Who is asking: session cookies, bearer tokens, and their ends.

A cookie is sealed and names a login; the store's record of that login is what counts, so that ending it acts
at once. Opened cookies and records are remembered, because every poll brings one. No HTTP here beyond the
text of two headers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import weakref
from collections.abc import Callable, Sequence

from chatserver.core import vocabulary
from chatserver.core.bounded import Bounded
from chatserver.core.changes import AccountEnd, LoginsEnd, PasswordChange
from chatserver.core.errors import Conflict, NotFound, Unauthenticated, Unavailable
from chatserver.core.events import Event
from chatserver.core.people import Login
from chatserver.core.prices import free_of_charge
from chatserver.journal.contract import Journal
from chatserver.store.contract import Logins
from chatserver.verbs import cookies as spelling
from chatserver.verbs import keys
from chatserver.verbs.logins import LoginMemory
from chatserver.verbs.sealed import Opened, SealedCookies

log = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
COOKIE_LIFE_MS = 30 * DAY_MS
"""A cookie login ends so long after its last use."""
COOKIE_LIFE_MAX_MS = 400 * DAY_MS
"""And at the latest so long after sign-in: no browser keeps a cookie longer (RFC 6265bis, 5.5)."""
COOKIE_RENEW_MS = DAY_MS
TOUCH_MS = 3600 * 1000
"""A login's last use is kept to the hour: more would be a write for every request."""

TOKENS_MAX = 100
"""Bearer tokens a user may have: far more than anybody's scripts, and a bound."""
TOKEN_LIFE_MAX_S = 10 * 365 * 24 * 3600
TOKEN_PREFIX = "cst_"
"""So that a leaked token is recognised, by people and by scanners."""

REMEMBERED = 100_000
"""Logins and cookies kept in memory: about 50 MB at the most."""

LABEL_CHARS = 200
FIRST_GENERATION = 0
"""Of an account that has just been made: its password was never changed."""

_ENDED = "You are signed out."


Brought = Opened | bytes
"""What a request brings to say who asks: a cookie of ours, or the hash of a token."""


class Sessions:
    """Logins of this process's users. What it remembers of them follows the order.

    `clock_ms` is milliseconds since 1970; `sessions_max` is how many browsers of one user may be signed in.
    """

    def __init__(
        self,
        store: Logins,
        journal: Journal,
        ring: keys.KeyRing,
        clock_ms: Callable[[], int],
        sessions_max: int,
    ) -> None:
        self._sessions_max = sessions_max
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._store = store
        self._journal = journal
        self._ring = ring
        self._clock_ms = clock_ms
        self._cookies = SealedCookies(ring, REMEMBERED)
        self._tokens: Bounded[bytes, str] = Bounded(REMEMBERED)
        self._logins = LoginMemory(REMEMBERED)
        self._used: dict[str, int] = {}

    def follow(self, events: Sequence[Event]) -> None:
        """Let logins end where the order says so: at once, for every request that comes from then on."""
        for event in events:
            if event.change is None:
                continue  # nearly all of them
            match event.change:
                case LoginsEnd(login_ids=login_ids):
                    self._logins.end(login_ids)
                case PasswordChange(user_id=user_id, kept=kept):
                    self._logins.raise_generation(user_id, event.seq, kept)
                case AccountEnd(user_id=user_id):
                    self._logins.raise_generation(user_id, event.seq, None)

    # Who is asking.

    def brought(
        self, cookies: str | None, authorization: str | None, secure: bool = False, port: str = ""
    ) -> Brought | None:
        """What a request brings; a token wins over a cookie.

        `secure`: the request came by https, where only the cookie with the prefix counts: another host of the same
        site, or somebody on the way over http, could have planted the one without.
        """
        if authorization is not None:
            return keys.bearer_hash(authorization) or None
        return self._cookies.first(cookies, secure, port)

    def known(self, brought: Brought | None) -> Login | None:
        """The login, if it is in memory and that can be believed. None says nothing: then ask `resolve`."""
        if brought is None or not self._journal.fresh:
            return None
        if isinstance(brought, bytes):
            login_id = self._tokens.get(brought)
            login = None if login_id is None else self._logins.get(login_id)
        else:
            login = self._logins.get(brought.login_id)
            if login is not None and not brought.is_of(login):
                return None
        return None if login is None else self._in_use(login)

    async def resolve(self, brought: Brought | None) -> Login:
        """The login that a request brings.

        The result's `expires_at` is when it ends if it is not used again. Raises `Unauthenticated`.
        """
        login = self.known(brought)
        if login is None and brought is not None:
            login = self.take(brought, await self._find(brought))
        if login is None:
            raise Unauthenticated("Sign in first.")
        return login

    async def _find(self, brought: Brought) -> Login | None:
        if isinstance(brought, bytes):
            return await self._store.login_by_secret(brought)
        return await self._store.login(brought.login_id)

    def take(self, brought: Brought, found: Login | None) -> Login | None:
        """Remember the login that the store has found for what was brought, and give it back as it is now; None where
        it does not count."""
        # It may have ended while the store was read. Then what was read may be from before, and remembering it
        # would bring the login back to life.
        login = None if found is None else self._logins.put(_with_end(found))
        if login is None:
            return None
        if isinstance(brought, bytes):
            self._tokens.put(brought, login.id)
        elif brought.is_of(login):
            self._cookies.remember(brought)
        else:
            return None
        return self._in_use(login)

    def is_current(self, login: Login) -> bool:
        """Whether a login that was resolved a while ago still counts."""
        now = self._logins.get(login.id) or self._logins.current(login)
        return now is not None and (now.expires_at is None or now.expires_at > self._clock_ms())

    def expires_at(self, login_id: str) -> int | None:
        """When this login ends by time; 0 where it has ended; None for never.

        LIMIT: None too for a login that was pushed out of memory by `REMEMBERED` newer ones; a stream of
        it then ends by its revocation, not by time.
        """
        if self._logins.has_ended(login_id):
            return 0
        login = self._logins.get(login_id)
        return login.expires_at if login else None

    def _in_use(self, login: Login) -> Login | None:
        now_ms = self._clock_ms()
        if login.expires_at is not None and login.expires_at <= now_ms:
            return None
        if now_ms - login.last_used_at < TOUCH_MS:
            return login
        self._used[login.id] = now_ms
        return self._logins.put(_with_end(dataclasses.replace(login, last_used_at=now_ms)))

    # Cookies.

    def earlier(self, cookie_header: str | None, user_id: str) -> str | None:
        """The id of a login of this user, living or not, whose cookie is in the header: this browser has been theirs."""
        for _, value in spelling.all_session_cookies(cookie_header):
            opened = self._cookies.open(value)
            if opened is not None and opened.user_id == user_id:
                return opened.login_id
        return None

    async def end_replaced(self, cookie_header: str | None, login: Login) -> None:
        """End what the browser was signed in with before it got `login`: nobody could sign it out any more."""
        for _, value in spelling.all_session_cookies(cookie_header):
            opened = self._cookies.open(value)
            if opened is None or opened.login_id == login.id:
                continue
            before = await self._store.login(opened.login_id)
            if before is not None and before.user_id == opened.user_id and before.kind == "cookie":
                await self.end(before)

    def is_ours(self, cookie: str) -> bool:
        """Whether this server has set it, and not another one on this host."""
        return self._cookies.open(cookie) is not None

    def cookie(self, login: Login, secure: bool, abroad: bool = False, name: str = "") -> str:
        """The `Set-Cookie` value that signs a browser in; `secure` under https; `abroad` as of `cookies.attributes`;
        `name` where it is another than the usual one."""
        sealed = self._cookies.seal(login, self._clock_ms())
        return f"{name or spelling.cookie_name(secure)}={sealed}; {spelling.attributes(secure, COOKIE_LIFE_MS // 1000, abroad)}"

    def renewed_cookie(
        self, cookies: str | None, login: Login, secure: bool, abroad: bool = False, port: str = ""
    ) -> str | None:
        """A new `Set-Cookie` value where the request's cookie is older than a day."""
        opened = self.brought(cookies, None, secure, port)
        if not isinstance(opened, Opened) or opened.login_id != login.id:
            return None
        if self._clock_ms() - opened.sealed_at < COOKIE_RENEW_MS:
            return None
        name = spelling.name_for(cookies, secure, port, self.is_ours)
        return self.cookie(login, secure, abroad, name)

    no_cookies = staticmethod(spelling.taken_away)

    def away(self, cookies: str | None, host: str, abroad: bool) -> tuple[str, ...]:
        """As `no_cookies`, where those of another server stay. `host`: the request's."""
        port = spelling.port_of(host)
        names = [spelling.cookie_name(secure, port) for secure in (True, False) if port]
        own = [name for name in names if spelling.cookie_named(cookies, name)]
        return spelling.taken_away(abroad, spelling.others(cookies, self.is_ours), own)

    def form_field(self, subject: str) -> str:
        """A secret for a form that only `subject` (a login id, or a form cookie's value) may send."""
        return self._ring.seal("form", subject)

    def form_field_is_of(self, field: str, subject: str) -> bool:
        """Whether `form_field` made `field` for this subject."""
        return bool(subject) and self._ring.open("form", field) == subject

    # Logins begin and end.

    async def begin(self, user_id: str, generation: int, label: str) -> Login:
        """Sign a browser in; `label` says which (its User-Agent).

        `generation` is that of the account whose password was right. One too many ends the oldest. Raises
        `Unauthenticated` where the account has another password by now, or is no more.
        """
        now_ms = self._clock_ms()
        label = "".join(c for c in label[:LABEL_CHARS] if c.isprintable())
        login = Login(
            id=_new_id(),
            user_id=user_id,
            kind="cookie",
            label=label,
            secret_hash=None,
            created_at=now_ms,
            expires_at=now_ms + COOKIE_LIFE_MAX_MS,
            last_used_at=now_ms,
            generation=generation,
        )
        login = await self._add(login)
        await self._end_oldest(user_id)
        return login

    async def _end_oldest(self, user_id: str) -> None:
        living = await self.listed(user_id, "cookie")
        if len(living) > self._sessions_max:
            oldest = sorted(living, key=lambda one: one.created_at)[: -self._sessions_max]
            payment = free_of_charge("the server ends the oldest of too many sessions")
            ids = tuple(one.id for one in oldest)
            await self._journal.append(payment, vocabulary.notice(LoginsEnd(user_id, ids)))

    async def issue_token(self, asker: Login, label: str, life_s: int | None) -> tuple[Login, str]:
        """A new bearer token's record, and the token: the only time that anybody sees it.

        It is of the generation of the login that asks, so what ends that login by a new password ends it
        too; a token makes none that lives longer than itself. Raises `Conflict` where the user has too many, `Unauthenticated` where `asker` has ended.
        """
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now_ms = self._clock_ms()
        ends = [asker.expires_at if asker.kind == "token" else None]
        ends.append(None if life_s is None else now_ms + life_s * 1000)
        login = Login(
            id=_new_id(),
            user_id=asker.user_id,
            kind="token",
            label=label,
            secret_hash=keys.token_hash(token),
            created_at=now_ms,
            expires_at=min((end for end in ends if end is not None), default=None),
            last_used_at=now_ms,
            generation=asker.generation,
        )
        async with self._one_at_a_time(asker.user_id):
            login = await self._add_token(login)
        if not self.is_current(asker):
            # Signed out while it asked: what it asked for does not outlive it.
            await self.end(login)
            raise Unauthenticated(_ENDED)
        return login, token

    async def _add_token(self, login: Login) -> Login:
        """As `_add`. Raises `Conflict` where the user has too many: also of those that came at once, to whichever node."""
        refusal = Conflict(f"You have {TOKENS_MAX} tokens already: delete one first.")
        if len(await self.listed(login.user_id, "token")) >= TOKENS_MAX:
            raise refusal
        login = await self._add(login)
        if len(await self.listed(login.user_id, "token")) > TOKENS_MAX:
            await self.end(login)
            raise refusal
        return login

    async def _add(self, login: Login) -> Login:
        kept = await self._store.add_login(login)
        remembered = self._logins.put(_with_end(login)) if kept else None
        if remembered is None:
            raise Unauthenticated(_ENDED)
        return remembered

    async def listed(self, user_id: str, kind: str) -> list[Login]:
        """The user's living logins of this kind ("cookie" or "token"), newest first."""
        now_ms = self._clock_ms()
        found = (
            self._logins.current(_with_end(login))
            for login in await self._store.logins(user_id, kind)
        )
        return [
            one
            for one in found
            if one is not None and (one.expires_at is None or one.expires_at > now_ms)
        ]

    async def end_one(self, user_id: str, kind: str, login_id: str) -> None:
        """End a login of the user's. Raises `NotFound` where they have none such."""
        for login in await self.listed(user_id, kind):
            if login.id == login_id:
                await self.end(login)
                return
        raise NotFound(
            "There is no such token." if kind == "token" else "There is no such session."
        )

    async def end_others(self, login: Login) -> None:
        """Sign the user out in every browser but the one that asks."""
        for other in await self.listed(login.user_id, "cookie"):
            if other.id != login.id:
                await self.end(other)

    async def end(self, login: Login) -> None:
        """End this login, for good when this returns, unless it has ended: none may be refused. Raises `Unavailable`."""
        async with self._one_at_a_time(login.id):
            if not self._logins.has_ended(login.id):
                payment = free_of_charge("a login was paid for when it began, and ends once")
                end = vocabulary.notice(LoginsEnd(login.user_id, (login.id,)))
                await self._journal.append(payment, end)

    def _one_at_a_time(self, key: str) -> asyncio.Lock:
        """What is held while a login ends, by its id, or while a user's token is made, by theirs."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    async def flush(self) -> None:
        """Keep when logins were last used, and drop dead ones. To be called now and then, and at the end."""
        used, self._used = self._used, {}
        try:
            if used:
                await self._store.touch_logins(used)
            await self._store.drop_expired_logins(self._clock_ms())
            await self._ring.renew()
        except Unavailable:
            self._used = used | self._used
            log.warning("the last use of %d logins could not be kept yet", len(used))

    async def close(self) -> None:
        """Flush."""
        await self.flush()


def _new_id() -> str:
    return secrets.token_urlsafe(12)


def _with_end(login: Login) -> Login:
    """A cookie login with the time at which it ends unless used again; tokens as they are."""
    if login.kind != "cookie":
        return login
    end = min(login.created_at + COOKIE_LIFE_MAX_MS, login.last_used_at + COOKIE_LIFE_MS)
    return dataclasses.replace(login, expires_at=end)
