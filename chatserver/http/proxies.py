"""Where a request comes from, and whether by https, where proxies stand in front of the server.

What a proxy says is `X-Forwarded-For` and `X-Forwarded-Proto`, two lists to which each proxy appends what it saw. They
are read from the right, hop by hop: the peer says the last entry, and an entry counts as long as the one who said it
is trusted. `Forwarded` (RFC 7239) is not read: a proxy that writes one of the two passes the other on as the client
wrote it, so whoever reads both believes the client.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Sequence

from tornado.httputil import HTTPHeaders

from chatserver.core.addresses import Address, Network, address, bucket_key
from chatserver.core.origin import normal_origin

log = logging.getLogger(__name__)

SHARES = 1024
"""Buckets that the clients of a silent proxy pay from, one drawn for each request.

With one bucket for all, one attacker locks everybody out; with none, nothing is limited. 1,024 of them take 341 failed
sign-ins a second and 102 registrations, more passwords than the server can hash (about 57 a second): so nobody can
empty them, and there is a bound.
"""

HOPS_MAX = 16
"""Entries that are looked at, from the right: more proxies do not stand in a row, and each costs some 5 us."""

PROXIES_REMEMBERED = 100
"""Trusted proxies that were warned of; a network may hold more, which then warn again with others."""

FORWARDING = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-originating-ip",
        "x-remote-ip",
        "x-remote-addr",
        "x-proxyuser-ip",
        "x-envoy-external-address",
        "true-client-ip",
        "client-ip",
        "cf-connecting-ip",
        "cf-ray",
        "fastly-client-ip",
        "fly-client-ip",
        "x-amzn-trace-id",
        "x-azure-clientip",
        "cdn-loop",
    }
)
"""What proxies add, beside everything that begins with `X-Forwarded-`."""


def is_forwarded(headers: HTTPHeaders) -> bool:
    """Whether a request has a header by which a proxy says that it has passed it on."""
    names = (name.lower() for name in headers)
    return any(name in FORWARDING or name.startswith("x-forwarded") for name in names)


class Proxies:
    """Whom to believe. `origins` are those of the settings: one of https says how people come."""

    def __init__(self, trusted: Sequence[Network] = (), origins: Collection[str] = ()) -> None:
        self._trusted = tuple(trusted)
        self._https_origin = any(origin.startswith("https:") for origin in origins)
        self._origins = frozenset(origins)
        self._warned: set[str] = set()

    def is_trusted(self, where: Address) -> bool:
        """Whether this is one of the proxies of the settings."""
        return any(where in network for network in self._trusted)

    def speaks_for_many(self, peer: str) -> bool:
        """Whether the address at the other end is one of them: what many ask comes over its connections."""
        where = address(peer)
        return where is not None and self.is_trusted(where)

    def client(self, peer: str, headers: HTTPHeaders) -> str:
        """Whose bucket a request pays from: a key for limits, never the address of a trusted proxy that was asked.

        `peer` is the address at the other end of the connection.
        """
        where = address(peer)
        if where is None:
            return peer  # a socket without addresses
        if not self.is_trusted(where):
            return bucket_key(where)
        found = self._walk(headers)[0]
        if found is not None:
            return bucket_key(found)
        self._warn(str(where))
        return f"behind {where} #{random.randrange(SHARES)}"

    def https(self, headers: HTTPHeaders) -> bool:
        """Whether the client speaks https, as far as can be known. The peer does not matter: see below.

        A trusted proxy's word counts; where there is none, an https origin in the settings says how people come. So does one
        of the very host that was asked, whatever the proxy says, unless `http://` of it is named too: of two proxies in a
        row the inner one often says http, and its site's cookies were neither `Secure` nor safe from a sibling host.
        Whoever is no proxy and lies here, is given and asked for another cookie than he would have, and harms
        nobody else.
        """
        protos = _entries(headers, "X-Forwarded-Proto") if self._trusted else []
        if not protos:
            return self._https_origin
        hop = self._walk(headers)[1] if len(protos) > 1 else 0
        # The entry of the hop at which the client stands; a proxy that overwrites leaves only one.
        said = protos[-1 - min(hop, len(protos) - 1)].lower()
        return said in ("https", "wss") or self._is_named_https(headers.get("Host", ""))

    def _is_named_https(self, host: str) -> bool:
        if not self._https_origin or normal_origin(f"https://{host}") not in self._origins:
            return False
        return normal_origin(f"http://{host}") not in self._origins

    def _walk(self, headers: HTTPHeaders) -> tuple[Address | None, int]:
        """The client as the trusted proxies say, and how many of them stand behind the peer."""
        found: Address | None = None
        hop = -1
        for written in reversed(_entries(headers, "X-Forwarded-For")[-HOPS_MAX:]):
            where = address(written)
            if where is None:
                # The one who wrote this is trusted and knows no address: his own must not stand for it.
                return None, max(0, hop)
            found, hop = where, hop + 1
            if not self.is_trusted(where):
                break
        return found, max(0, hop)

    def _warn(self, proxy: str) -> None:
        if proxy not in self._warned:
            if len(self._warned) >= PROXIES_REMEMBERED:
                self._warned.clear()
            self._warned.add(proxy)
            log.warning(
                "the trusted proxy %s does not say in X-Forwarded-For where requests come from: "
                "its clients share their limits",
                proxy,
            )


def _entries(headers: HTTPHeaders, name: str) -> list[str]:
    """The entries of a list, those of several headers in order (RFC 9110, 5.3); empty ones do not count (5.6.1)."""
    if name not in headers:
        return []
    entries = (entry.strip(" \t") for line in headers.get_list(name) for entry in line.split(","))
    return [entry for entry in entries if entry]
