"""The text of the headers that say who asks: the session cookie, and the bearer token.

A browser keeps the cookies of a host, whatever the port (RFC 6265, section 8.5). So two servers on one host would sign
each other out, if one took the other's cookie away: a server that finds a cookie of its name which is another's uses
the name with its port behind it, and leaves the other's alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from functools import lru_cache

COOKIE = "chatserver"
SECURE_COOKIE = "__Host-chatserver"
"""Under https: the prefix makes browsers refuse one set by another host or over http (RFC 6265bis, 4.1.3)."""

HOSTS_REMEMBERED = 64
"""Nearly everybody asks for the same host."""

_NAME = re.compile(rf"(?:{SECURE_COOKIE}|{COOKIE})(?:-[0-9]{{1,5}})?")

_SEALED = re.compile(r"[0-9a-f]{8}\.[\w-]{40,}", re.ASCII)
"""What a server of this kind sets: anything else under its name was planted by somebody."""


def bearer(authorization: str) -> str | None:
    """The token of an Authorization header (RFC 6750, section 2.1); None for any other scheme."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def cookie_named(header: str | None, name: str) -> str | None:
    """The first cookie of this name in a Cookie header (RFC 6265, section 4.2.1); None where there is none.

    Two headers that somebody on the way has joined by a comma are read, as any list is (RFC 9110, section 5.3). Not for
    a name with the prefix: another host may put a comma, and what looks like that cookie, into the value of one of its own.
    """
    if not header or name not in header:
        return None
    if "," in header and not name.startswith("__"):
        header = header.replace(",", ";")
    for part in header.split(";"):
        found, equals, value = part.strip().partition("=")
        if equals and found == name:
            return value
    return None


def session_cookies(header: str | None, secure: bool, port: str) -> Iterator[str]:
    """What may be the session cookie in a Cookie header; under https only what https can have set."""
    if not header:
        return
    for name in (
        (cookie_name(secure, port), cookie_name(secure)) if port else (cookie_name(secure),)
    ):
        value = cookie_named(header, name)
        if value is not None:
            yield value


def all_session_cookies(header: str | None) -> Iterator[tuple[str, str]]:
    """Name and value of each cookie in a Cookie header that a server of this kind has set, with or without a port."""
    for part in (header or "").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and _NAME.fullmatch(name):
            yield name, value


def cookie_name(secure: bool, port: str = "") -> str:
    """What the session cookie is called; with `port`, beside that of another server on this host."""
    name = SECURE_COOKIE if secure else COOKIE
    return f"{name}-{port}" if port else name


@lru_cache(HOSTS_REMEMBERED)
def port_of(host: str) -> str:
    """The port that a Host header names, as the browser sees it; '' where it names none."""
    port = host.rpartition(":")[2]
    return port if len(port) <= 5 and port.isascii() and port.isdigit() and port != host else ""


def attributes(secure: bool, max_age_s: int, abroad: bool = False) -> str:
    """What stands behind the session cookie's value (RFC 6265bis, section 4.1.2).

    `abroad`: for a page of a named origin of another site, whose requests bring no `Lax` cookie. Its cookie is kept for
    that site's pages alone (`Partitioned`, the draft "Cookies Having Independent Partitioned State"): no third site's
    page has it, and admission refuses their origins besides.
    """
    kept = f"Path=/; Max-Age={max_age_s}; HttpOnly; "
    if abroad:
        return f"{kept}SameSite=None; Secure; Partitioned"
    return f"{kept}SameSite=Lax" + ("; Secure" if secure else "")


def others(header: str | None, is_ours: Callable[[str], bool]) -> frozenset[str]:
    """The names of cookies that another server on this host has set."""
    found = all_session_cookies(header)
    return frozenset(
        name for name, value in found if _SEALED.fullmatch(value) and not is_ours(value)
    )


def name_for(header: str | None, secure: bool, port: str, is_ours: Callable[[str], bool]) -> str:
    """What a browser that has these cookies is to call the session cookie."""
    own, plain = cookie_name(secure, port), cookie_name(secure)
    taken = cookie_named(header, own) or plain in others(header, is_ours)
    return own if taken else plain


def taken_away(
    abroad: bool = False, spared: Container[str] = (), more: Iterable[str] = ()
) -> tuple[str, ...]:
    """The `Set-Cookie` values that take the session cookie away, under both names and under `more`, but not `spared`."""
    names = (SECURE_COOKIE, COOKIE, *more)
    return tuple(
        f"{name}=; {attributes(name.startswith(SECURE_COOKIE), 0, abroad)}"
        for name in names
        if name not in spared
    )
