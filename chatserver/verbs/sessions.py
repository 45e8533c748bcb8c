"""Floor 2: who is asking. Session cookies, bearer tokens, password work, and their ends.

A cookie is sealed and names a login; the store's record of that login is what counts, so that ending it acts
at once. Opened cookies and records are remembered, because every poll brings one. No HTTP here beyond the
text of two headers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chatserver.core.bounded import Bounded
from chatserver.core.errors import Conflict, NotFound, Unauthenticated, Unavailable
from chatserver.core.people import Login
from chatserver.store.contract import Store
from chatserver.verbs import keys

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

COOKIE = "chatserver"
SECURE_COOKIE = "__Host-chatserver"
"""Under https: the prefix makes browsers refuse one set by another host or over http (RFC 6265bis, 4.1.3)."""

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

HASHING_WAIT_MAX = 2048
"""Passwords that may wait for a thread: above the burst of registrations that one address may send."""

LABEL_CHARS = 200

_ENDED = "You are signed out."


@dataclasses.dataclass(frozen=True, slots=True)
class _Opened:
    """What a cookie says."""

    login_id: str
    user_id: str
    sealed_at: int


class Sessions:
    """Logins of this process's users.

    `clock_ms` is milliseconds since 1970; `on_end` is told the ids of logins that were ended on purpose,
    after the store and the memory here have forgotten them.
    """

    def __init__(
        self,
        store: Store,
        ring: keys.KeyRing,
        clock_ms: Callable[[], int],
        on_end: Callable[[list[str]], None],
    ) -> None:
        self._store = store
        self._ring = ring
        self._clock_ms = clock_ms
        self._on_end = on_end
        self._cookies: Bounded[str, _Opened] = Bounded(REMEMBERED)
        self._tokens: Bounded[bytes, str] = Bounded(REMEMBERED)
        self._logins: Bounded[str, Login] = Bounded(REMEMBERED)
        self._ended: Bounded[str, bool] = Bounded(REMEMBERED)
        self._used: dict[str, int] = {}
        self._generation = 0
        self._threads = ThreadPoolExecutor(2, "password")
        self._hashing = 0

    # Who is asking.

    def known(self, cookie_header: str | None, authorization: str | None) -> Login | None:
        """The login, if it is in memory. None says nothing: then ask `resolve`."""
        if authorization is not None:
            token = _bearer(authorization)
            login_id = self._tokens.get(keys.token_hash(token)) if token else None
        else:
            opened = self._cookies.get(_cookie_of(cookie_header) or "")
            login_id = opened.login_id if opened else None
        login = self._logins.get(login_id) if login_id else None
        return self._in_use(login) if login else None

    async def resolve(self, cookie_header: str | None, authorization: str | None) -> Login:
        """The login that a request brings; a token wins over a cookie.

        The result's `expires_at` is when it ends if it is not used again. Raises `Unauthenticated`.
        """
        login = self.known(cookie_header, authorization)
        if login is None and authorization is not None:
            login = await self._by_token(_bearer(authorization))
        elif login is None:
            login = await self._by_cookie(_cookie_of(cookie_header))
        login = self._in_use(login) if login else None
        if login is None:
            raise Unauthenticated("Sign in first.")
        return login

    def expires_at(self, login_id: str) -> int | None:
        """When this login ends by time; 0 where it has ended; None for never.

        LIMIT: None too for a login that was pushed out of memory by `REMEMBERED` newer ones; a stream of
        it then ends by its revocation, not by time.
        """
        if self._ended.get(login_id):
            return 0
        login = self._logins.get(login_id)
        return login.expires_at if login else None

    async def _by_token(self, token: str | None) -> Login | None:
        if not token:
            return None
        secret_hash = keys.token_hash(token)

        async def find() -> Login | None:
            return await self._store.login_by_secret(secret_hash)

        login = await self._remember(find)
        if login is not None:
            self._tokens.put(secret_hash, login.id)
        return login

    async def _by_cookie(self, cookie: str | None) -> Login | None:
        opened = self._open(cookie) if cookie else None
        if opened is None or cookie is None:
            return None
        login_id = opened.login_id

        async def find() -> Login | None:
            return await self._store.login(login_id)

        login = self._logins.get(login_id) or await self._remember(find)
        if login is None or login.user_id != opened.user_id or login.kind != "cookie":
            return None
        self._cookies.put(cookie, opened)
        return login

    async def _remember(self, find: Callable[[], Awaitable[Login | None]]) -> Login | None:
        # A login may be ended while the store is read: then what was read may be from before, and
        # remembering it would bring the login back to life.
        while True:
            generation = self._generation
            found = await find()
            if generation == self._generation:
                break
        if found is None:
            return None
        login = _with_end(found)
        self._logins.put(login.id, login)
        return login

    def _in_use(self, login: Login) -> Login | None:
        now_ms = self._clock_ms()
        if login.expires_at is not None and login.expires_at <= now_ms:
            return None
        if now_ms - login.last_used_at >= TOUCH_MS:
            login = _with_end(dataclasses.replace(login, last_used_at=now_ms))
            self._logins.put(login.id, login)
            self._used[login.id] = now_ms
        return login

    # Cookies.

    def cookie(self, login: Login, secure: bool) -> str:
        """The `Set-Cookie` value that signs a browser in; `secure` under https."""
        sealed = self._ring.seal("cookie", f"{login.id} {login.user_id} {self._clock_ms()}")
        return f"{_cookie_name(secure)}={sealed}; {_attributes(secure, COOKIE_LIFE_MS // 1000)}"

    def renewed_cookie(self, cookie_header: str | None, login: Login, secure: bool) -> str | None:
        """A new `Set-Cookie` value where the request's cookie is older than a day."""
        opened = self._cookies.get(_cookie_of(cookie_header) or "")
        if opened is None or opened.login_id != login.id:
            return None
        if self._clock_ms() - opened.sealed_at < COOKIE_RENEW_MS:
            return None
        return self.cookie(login, secure)

    @staticmethod
    def no_cookie(secure: bool) -> str:
        """The `Set-Cookie` value that takes the cookie away."""
        return f"{_cookie_name(secure)}=; {_attributes(secure, 0)}"

    def form_field(self, subject: str) -> str:
        """A secret for a form that only `subject` (a login id, or a form cookie's value) may send."""
        return self._ring.seal("form", subject)

    def form_field_is_of(self, field: str, subject: str) -> bool:
        """Whether `form_field` made `field` for this subject."""
        return bool(subject) and self._ring.open("form", field) == subject

    def _open(self, cookie: str) -> _Opened | None:
        opened = self._cookies.get(cookie)
        if opened is None:
            parts = (self._ring.open("cookie", cookie) or "").split(" ")
            if len(parts) == 3:
                opened = _Opened(parts[0], parts[1], int(parts[2]))
        return opened

    # Logins begin and end.

    async def begin(self, user_id: str, label: str) -> Login:
        """Sign a browser in; `label` says which (its User-Agent)."""
        now_ms = self._clock_ms()
        label = "".join(c for c in label if c.isprintable())[:LABEL_CHARS]
        login = Login(
            _new_id(), user_id, "cookie", label, None, now_ms, now_ms + COOKIE_LIFE_MAX_MS, now_ms
        )
        await self._store.add_login(login)
        login = _with_end(login)
        self._logins.put(login.id, login)
        return login

    async def issue_token(self, user_id: str, label: str, life_s: int | None) -> tuple[Login, str]:
        """A new bearer token's record, and the token: the only time that anybody sees it.

        Raises `Conflict` where the user has too many.
        """
        if len(await self.listed(user_id, "token")) >= TOKENS_MAX:
            raise Conflict(f"You have {TOKENS_MAX} tokens already: delete one first.")
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now_ms = self._clock_ms()
        expires_at = None if life_s is None else now_ms + life_s * 1000
        secret_hash = keys.token_hash(token)
        login = Login(_new_id(), user_id, "token", label, secret_hash, now_ms, expires_at, now_ms)
        await self._store.add_login(login)
        return login, token

    async def listed(self, user_id: str, kind: str) -> list[Login]:
        """The user's living logins of this kind ("cookie" or "token"), newest first."""
        now_ms = self._clock_ms()
        found = [_with_end(login) for login in await self._store.logins(user_id, kind)]
        found = [self._logins.get(login.id) or login for login in found]
        return [one for one in found if one.expires_at is None or one.expires_at > now_ms]

    async def end_one(self, user_id: str, kind: str, login_id: str) -> None:
        """End a login of the user's. Raises `NotFound` where they have none such."""
        if all(login.id != login_id for login in await self.listed(user_id, kind)):
            raise NotFound(
                "There is no such token." if kind == "token" else "There is no such session."
            )
        await self.end([login_id])

    async def end_all(self, user_id: str, but: str | None = None) -> None:
        """End every login of the user's, tokens included; the cookie login `but` stays."""
        cookies = await self._store.logins(user_id, "cookie")
        tokens = await self._store.logins(user_id, "token")
        ids = [login.id for login in cookies if login.id != but]
        await self.end(ids + [login.id for login in tokens])

    async def end(self, login_ids: Iterable[str]) -> None:
        """End these logins: at once here, and for good when this returns."""
        ids = list(login_ids)
        if not ids:
            return
        self._forget(ids)
        await self._store.end_logins(ids)
        # Again: a request may have read the record back before the store had forgotten it.
        self._forget(ids)
        self._on_end(ids)

    def _forget(self, login_ids: list[str]) -> None:
        self._generation += 1
        for login_id in login_ids:
            self._logins.forget(login_id)
            self._used.pop(login_id, None)
            self._ended.put(login_id, True)

    async def flush(self) -> None:
        """Keep when logins were last used, and drop dead ones. To be called now and then, and at the end."""
        used, self._used = self._used, {}
        try:
            if used:
                await self._store.touch_logins(used)
            await self._store.drop_expired_logins(self._clock_ms())
        except Unavailable:
            self._used = used | self._used
            log.warning("the last use of %d logins could not be kept yet", len(used))

    async def close(self) -> None:
        """Flush, and let the threads go."""
        await self.flush()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # Passwords.

    async def hash_password(self, password: str) -> str:
        """The PHC string to keep. Raises `Unavailable` where too many wait."""
        return await self._in_thread(keys.hash_password, password)

    async def password_matches(self, password: str, phc: str | None) -> bool:
        """Whether `phc` was made of `password`; without `phc` the same work, and False."""
        matches = await self._in_thread(keys.password_matches, password, phc or keys.NOBODY)
        return matches and phc is not None

    async def _in_thread(self, work: Callable[..., V], *arguments: str) -> V:
        if self._hashing >= HASHING_WAIT_MAX:
            raise Unavailable("Too many people are signing in at once.", 10)
        self._hashing += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, *arguments)
        finally:
            self._hashing -= 1


def _new_id() -> str:
    return secrets.token_urlsafe(12)


def _with_end(login: Login) -> Login:
    """A cookie login with the time at which it ends unless used again; tokens as they are."""
    if login.kind != "cookie":
        return login
    end = min(login.created_at + COOKIE_LIFE_MAX_MS, login.last_used_at + COOKIE_LIFE_MS)
    return dataclasses.replace(login, expires_at=end)


def _bearer(authorization: str) -> str | None:
    """The token of an Authorization header (RFC 6750, section 2.1); None for any other scheme."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _cookie_of(header: str | None) -> str | None:
    """The session cookie in a Cookie header (RFC 6265, section 4.2.1); the secure one wins."""
    if not header or COOKIE not in header:
        return None
    found = None
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == SECURE_COOKIE:
            return value
        if name == COOKIE and found is None:
            found = value
    return found


def _cookie_name(secure: bool) -> str:
    return SECURE_COOKIE if secure else COOKIE


def _attributes(secure: bool, max_age_s: int) -> str:
    return f"Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
