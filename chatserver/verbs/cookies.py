"""The text of the headers that say who asks: the session cookie, and the bearer token."""

from __future__ import annotations

COOKIE = "chatserver"
SECURE_COOKIE = "__Host-chatserver"
"""Under https: the prefix makes browsers refuse one set by another host or over http (RFC 6265bis, 4.1.3)."""


def bearer(authorization: str) -> str | None:
    """The token of an Authorization header (RFC 6750, section 2.1); None for any other scheme."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def cookie_named(header: str | None, name: str) -> str | None:
    """The first cookie of this name in a Cookie header (RFC 6265, section 4.2.1); None where there is none."""
    if not header or name not in header:
        return None
    for part in header.split(";"):
        found, equals, value = part.strip().partition("=")
        if equals and found == name:
            return value
    return None


def session_cookie(header: str | None, secure: bool) -> str | None:
    """The session cookie in a Cookie header; under https only the one that https can have set."""
    return cookie_named(header, cookie_name(secure))


def cookie_name(secure: bool) -> str:
    """What the session cookie is called."""
    return SECURE_COOKIE if secure else COOKIE


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
