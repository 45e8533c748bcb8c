"""IP addresses as peers have them and as proxies write them. Pure: text in, address out."""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WRITTEN_CHARS = 100
"""Longer than any way to write one address: 45 characters, a zone, brackets, a port and quotes."""

CUSTOMER_BITS = 64
"""What one customer gets of IPv6: who has a /64 has all of its addresses (RFC 6177)."""

SITE_BITS = 48
"""What a provider gives to a site, and what one IPv4 address has by 6to4: 65,536 times a /64 (RFC 6177; RFC 3056, section 2)."""

SITE_TIMES = 4
"""So many times what one address may have, all of its site may. Whoever has a whole /48 is so no more than four hosts; a mobile
carrier has thousands of customers in one, of whom few sign in at the same time."""

_6TO4 = ipaddress.IPv6Network("2002::/16")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""How a translator writes all of IPv4: one /64 for everybody whose packets it passes on (RFC 6052, section 2.1)."""

_WITHIN = "/48/"
_MAPPED_BITS = 96
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

# An address, or one with a port: `1.2.3.4`, `1.2.3.4:80`, `[::1]`, `[::1]:80`, `::1`.
_WRITTEN = re.compile(
    r"(?P<v4>[0-9.]{7,15})(?::[0-9]{1,5})?"
    r"|\[(?P<bracketed>[0-9a-fA-F:.]{2,45})(?:%[\w.~-]{1,30})?\](?::[0-9]{1,5})?"
    r"|(?P<bare>[0-9a-fA-F:.]{2,45})(?:%[\w.~-]{1,30})?",
    re.ASCII,
)


def address(text: str) -> Address | None:
    """The address in `text`, as a socket or a proxy writes it; None where there is none.

    A port, brackets, quotes (RFC 7239, section 6) and a zone are taken off. `::ffff:1.2.3.4` is 1.2.3.4: the
    same host, seen by a socket that takes both families (RFC 4291, section 2.5.5.2).
    """
    text = text.strip(" \t")
    if len(text) > WRITTEN_CHARS:
        return None
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    try:
        plain = ipaddress.ip_address(found["v4"] or found["bracketed"] or found["bare"])
    except ValueError:
        return None
    if isinstance(plain, ipaddress.IPv6Address) and plain.ipv4_mapped is not None:
        return plain.ipv4_mapped
    return plain


def network(text: str) -> Network:
    """The network in `text`, an IPv4-mapped one as IPv4. Raises ValueError."""
    found = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        plain = found.network_address.ipv4_mapped
        return ipaddress.IPv4Network((str(plain), found.prefixlen - _MAPPED_BITS))
    return found


def bucket_key(where: Address) -> str:
    """Whose bucket an address pays from: its own, or that of its IPv6 /64 (in its site, see `site_of`). Loopback stays itself.

    Where an IPv4 address stands in one of IPv6, as translators and tunnels write it, that host pays, and nobody beside
    it; but it is not trusted as that address is, since who writes it is not known.
    """
    if isinstance(where, ipaddress.IPv4Address) or where.is_loopback or where in _TRANSLATED:
        return str(where)
    if where.teredo is not None:
        return f"teredo {where.teredo[1]}"  # RFC 4380, section 4: server, port and flags are the client's to choose
    first = int(where) >> (128 - SITE_BITS) << (128 - SITE_BITS)
    site = str(ipaddress.IPv6Address(first))
    if where in _6TO4:
        return site
    subnet = int(where) >> (128 - CUSTOMER_BITS) & (1 << (CUSTOMER_BITS - SITE_BITS)) - 1
    return f"{site}{_WITHIN}{subnet:x}"


def site_of(key: str) -> str | None:
    """The site in which a `bucket_key` lies, whatever stands before it; None where it is counted for itself alone."""
    site, within, _ = key.partition(_WITHIN)
    return site if within else None


def site_or_itself(key: str) -> str:
    """The site of a `bucket_key`, or the key where it has none."""
    return key.partition(_WITHIN)[0]


class AddressCounts:
    """How many of something each payer has, by `bucket_key`; all of a site have `SITE_TIMES` as many.

    Or whoever has a /48, which costs little, would have 65,536 times what an address has.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        """How many payers and sites have any."""
        return len(self._counts)

    def of(self, key: str) -> int:
        """How many this one has, or all of a site."""
        return self._counts.get(key, 0)

    def has_enough(self, key: str, most: int) -> bool:
        """Whether this one has `most`, or its site `SITE_TIMES` as many."""
        site = site_of(key)
        return self.of(key) >= most or (site is not None and self.of(site) >= SITE_TIMES * most)

    def add(self, key: str) -> None:
        """One more."""
        for each in _with_site(key):
            self._counts[each] = self.of(each) + 1

    def remove(self, key: str) -> None:
        """One of them has ended."""
        for each in _with_site(key):
            left = self._counts[each] - 1
            if left:
                self._counts[each] = left
            else:
                del self._counts[each]


def _with_site(key: str) -> tuple[str, ...]:
    site = site_of(key)
    return (key,) if site is None else (key, site)
