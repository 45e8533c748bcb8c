"""Whether a browser's request comes from a page of ours. Pure: headers in, answer out.

Needed wherever the session cookie would count, above all on WebSocket and SSE: CORS does not guard the
first, and not the sending of the second.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

_DEFAULT_PORT = {"http": 80, "https": 443}


def normal_origin(origin: str) -> str | None:
    """`scheme://host:port` in lower case with the port written out; None if it is no http(s) origin."""
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


def origin_allowed(
    origin: str | None, fetch_site: str | None, host: str, allowed: Collection[str]
) -> bool:
    """True where the request may use the cookie.

    `origin` and `fetch_site` are the headers `Origin` and `Sec-Fetch-Site` (Fetch, section 3.2; Fetch
    Metadata, section 2.4), `host` is the header `Host`, `allowed` are origins as `normal_origin`
    returns them. A request with neither header comes from a script or an old browser: True (the
    caller asks for JSON, or for a form's secret field, instead).

    An origin is ours when its host and port are the ones that were asked: the scheme is left out of
    the comparison, because behind a proxy that ends TLS the server cannot know it.
    """
    if origin is None:
        return fetch_site != "cross-site"
    normal = normal_origin(origin)
    if normal is None:
        return False
    return normal in allowed or normal == normal_origin(f"{normal.partition(':')[0]}://{host}")
