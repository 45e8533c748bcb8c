"""Whether a browser's request comes from a page of ours. Pure: headers in, answer out.

Needed wherever the session cookie would count, above all on WebSocket and SSE: CORS does not guard the
first, and not the sending of the second.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

_DEFAULT_PORT = {"http": "80", "https": "443"}


ORIGIN_CHARS = 300
"""A host has 253 characters at most (RFC 1035, section 2.3.4)."""

_DEVIATIONS = re.compile("[\u00df\u03c2\u200c\u200d]")
"""IDNA 2003, which Python has, maps these; browsers keep them (UTS 46, section 4.3.2)."""

_ORIGIN = re.compile(
    r"(https?)://(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?))(?::([0-9]{0,5}))?/?",
    re.ASCII,
)
"""What may stand there, in small letters. No wildcard, no zone, no space: no page has such an origin."""

_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)
"""A host whose last part is a number is an IPv4 address, and nothing else (URL Standard, "ends in a number checker")."""


def normal_origin(origin: str) -> str | None:
    """`scheme://host:port` in lower case with the port written out; None if it is no http(s) origin.

    Hosts are ASCII, as browsers send them: an internationalised one as `xn--…`, an IPv6 address in its one short form. What
    browsers never send is no origin, or whoever allowed it would wait for it in vain: `127.1`, `*.example.com`.
    """
    if len(origin) > ORIGIN_CHARS or not origin.isascii():
        return None
    found = _ORIGIN.fullmatch(origin.strip(" ").lower())
    if found is None:
        return None
    scheme, bracketed, name, port = found.groups()
    host = name if bracketed is None else _ipv6(bracketed)
    number = int(port or _DEFAULT_PORT[scheme])
    if host is None or number > 65535 or (name and not _is_name_or_ipv4(name)):
        return None
    return f"{scheme}://{host}:{number}"


def _ipv6(written: str) -> str | None:
    """An IPv6 address as browsers write it, in brackets (URL Standard, "IPv6 serializer"); None where it is none."""
    try:
        where = ipaddress.IPv6Address(written)
    except ValueError:
        return None
    if where.ipv4_mapped is not None:  # of which Python writes the end in one way or the other
        first, second = divmod(int(where.ipv4_mapped), 1 << 16)
        return f"[::ffff:{first:x}:{second:x}]"
    return f"[{where.compressed}]"


def _is_name_or_ipv4(host: str) -> bool:
    if _NUMBER.fullmatch(host) is None:
        return True
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


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
