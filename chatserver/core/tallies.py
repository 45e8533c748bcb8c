"""What the laboratory page counts: requests and bytes of a reader, headers included, as the server saw them.

Only for clients that ask for it by their name, so that all others pay nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "lab-"
TALLIES_MAX = 2000


@dataclass(slots=True)
class Tally:
    """Totals of one client id."""

    client: str
    transport: str
    requests: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


class Tallies:
    """Tallies by user and client; past TALLIES_MAX the oldest is forgotten."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def count(
        self,
        user_id: str,
        client: str,
        transport: str,
        *,
        requests: int = 0,
        up: int = 0,
        down: int = 0,
    ) -> None:
        """Add to the tally of this client, if it is one of the laboratory's."""
        if not client.startswith(PREFIX):
            return
        key = (user_id, client)
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= TALLIES_MAX:
                del self._tallies[next(iter(self._tallies))]
            tally = self._tallies[key] = Tally(client, transport)
        tally.transport = transport
        tally.requests += requests
        tally.bytes_up += up
        tally.bytes_down += down

    def of(self, user_id: str) -> list[Tally]:
        """The tallies of this user."""
        return [tally for (owner, _), tally in self._tallies.items() if owner == user_id]


def request_bytes(method: str, target: str, headers: Iterable[tuple[str, str]]) -> int:
    """The size of a request's head as it stood on the wire (RFC 9112, sections 2.1 and 3)."""
    return len(method) + len(target) + len("  HTTP/1.1\r\n\r\n") + headers_bytes(headers)


def response_bytes(status: int, reason: str, headers: Iterable[tuple[str, str]]) -> int:
    """The size of an answer's head (RFC 9112, section 4)."""
    return len(f"HTTP/1.1 {status} {reason}\r\n\r\n") + headers_bytes(headers)


def headers_bytes(headers: Iterable[tuple[str, str]]) -> int:
    """The size of header lines; those that came are taken to be written as we write them."""
    return sum(len(name) + len(value) + 4 for name, value in headers)
