"""Session cookies as they come and go: sealed, with what they say within. The text around them is `verbs.cookies`'."""

from __future__ import annotations

from dataclasses import dataclass

from chatserver.core.bounded import Bounded
from chatserver.core.people import Login
from chatserver.verbs import cookies as spelling
from chatserver.verbs.keys import KeyRing


@dataclass(frozen=True, slots=True)
class Opened:
    """What a cookie says."""

    cookie: str
    login_id: str
    user_id: str
    sealed_at: int

    def is_of(self, login: Login) -> bool:
        """Whether this is really a cookie of the login that it names."""
        return login.user_id == self.user_id and login.kind == "cookie"


class SealedCookies:
    """Seals and opens with `ring`; up to `most` that were opened and counted are remembered."""

    def __init__(self, ring: KeyRing, most: int) -> None:
        self._ring = ring
        self._opened: Bounded[str, Opened] = Bounded(most)

    def seal(self, login: Login, now_ms: int) -> str:
        """A cookie of this login."""
        return self._ring.seal("cookie", f"{login.id} {login.user_id} {now_ms}")

    def open(self, cookie: str) -> Opened | None:
        """What it says; None where another server has set it, or nobody."""
        opened = self._opened.get(cookie)
        if opened is None:
            parts = (self._ring.open("cookie", cookie) or "").split(" ")
            if len(parts) == 3:
                opened = Opened(cookie, parts[0], parts[1], int(parts[2]))
        return opened

    def remember(self, opened: Opened) -> None:
        """It names a login that counts, and will come again."""
        self._opened.put(opened.cookie, opened)

    def first(self, header: str | None, secure: bool, port: str) -> Opened | None:
        """The first of ours in a Cookie header, as `verbs.cookies.session_cookies` finds them."""
        for cookie in spelling.session_cookies(header, secure, port):
            opened = self.open(cookie)
            if opened is not None:
                return opened
        return None
