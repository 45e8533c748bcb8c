"""Whether a browser's request comes from a page of ours. Pure: headers in, answer out.

Needed wherever the session cookie would count, above all on WebSocket and SSE: CORS does not guard the
first, and not the sending of the second.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

_DEFAULT_PORT = {"http": 80, "https": 443}


ORIGIN_CHARS = 300
"""A host has 253 characters at most (RFC 1035, section 2.3.4)."""

_DEVIATIONS = re.compile("[\u00df\u03c2\u200c\u200d]")
"""IDNA 2003, which Python has, maps these; browsers keep them (UTS 46, section 4.3.2)."""


def normal_origin(origin: str) -> str | None:
    """`scheme://host:port` in lower case with the port written out; None if it is no http(s) origin.

    Hosts are ASCII, as browsers send them: an internationalised one as `xn--…`.
    """
    if len(origin) > ORIGIN_CHARS or not origin.isascii():
        return None
    try:
        parts = urlsplit(origin.strip())
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORT or not parts.hostname or parts.username is not None:
        return None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}:{port or _DEFAULT_PORT[scheme]}"


def written_origin(text: str) -> str | None:
    """As `normal_origin`, from what a person writes: a host beyond ASCII is put as browsers send it (RFC 3490).

    None too for a host that browsers would send in another way than Python knows: it is to be written as `xn--…`.
    """
    scheme, separator, rest = text.strip().partition("://")
    if len(text) > ORIGIN_CHARS or _DEVIATIONS.search(text):
        return None
    host, slash, path = rest.partition("/")
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return normal_origin(scheme + separator + ascii_host + slash + path)


def origin_allowed(
    origin: str | None, fetch_site: str | None, host: str, allowed: Collection[str], https: bool
) -> bool:
    """True where the request may use the cookie.

    `origin` and `fetch_site` are the headers `Origin` and `Sec-Fetch-Site` (Fetch, section 3.2; Fetch
    Metadata, section 2.4), `host` is the header `Host`, `allowed` are origins as `normal_origin`
    returns them, `https` says that people are known to come by https. A request with neither header comes from a
    script or an old browser: True (the caller asks for JSON, or for a form's secret field, instead).

    An origin is ours when its host and port are the ones that were asked, and its scheme is https where that is
    known: a page on `http://` of the same host can be anybody's who sits in between. Behind a proxy that ends TLS
    and does not say so, the scheme cannot be known, and either counts.
    """
    if origin is None:
        return fetch_site != "cross-site"
    normal = normal_origin(origin)
    if normal is None:
        return False
    if normal in allowed:
        return True
    scheme = normal.partition(":")[0]
    return (scheme == "https" or not https) and normal == normal_origin(f"{scheme}://{host}")
