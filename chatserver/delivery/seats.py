"""Who pays for a connection: its address until it signs in, then its user; and how many there may be in all."""

from __future__ import annotations

import socket
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Self

from chatserver.core.addresses import AddressCounts
from chatserver.core.errors import RateLimited, Unavailable
from chatserver.core.limits import Limits

YOUNG_S = 5.0
"""A connection younger than this does not make room for another: its request may be under way."""

SILENT_S = 1.0
"""As `YOUNG_S`, where nothing has been asked: the request may be on its way."""

AGAIN_S = 5.0
"""When somebody who was refused should come again."""


class Seat:
    """One connection's place among all, from being accepted until its socket is closed."""

    __slots__ = ("address", "asked", "asker", "end", "owed", "since_s", "user_id")

    def __init__(self, address: str | None, since_s: float) -> None:
        self.address = address
        """Whose bucket it pays from before sign-in; None: from nobody's."""
        self.user_id: str | None = None
        self.asker: str | None = None
        """The user who has asked last, also where there was no room among the user's and the address still pays."""
        self.asked = False
        """Whether anything has come over it."""
        self.since_s = since_s
        self.owed: Callable[[str], None] | None = None
        """Has a user pay for the request that is being answered, for which the address has paid."""
        self.end: Callable[[], object] | None = None
        """Ends the connection at once. Whoever holds the socket sets it; it is kept until sign-in only."""


class Seats:
    """All connections of this process. `clock_s` is monotonic seconds."""

    def __init__(self, limits: Limits, clock_s: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        """Connections refused or ended for want of room, by reason: `address`, `all`, `gave way`."""
        self.full_at_s: float | None = None
        """When somebody was last refused for want of room in all."""
        self._limits = limits
        self._clock_s = clock_s
        self._all = 0
        self._addresses = AddressCounts()
        self._users: dict[str, int] = {}
        # Oldest first. Not a dict: taking the first out again and again is quadratic there.
        self._signed_out: OrderedDict[Seat, None] = OrderedDict()

    def __len__(self) -> int:
        """How many connections there are."""
        return self._all

    @property
    def signed_out(self) -> int:
        """How many of them nobody has signed in on."""
        return len(self._signed_out)

    def of_address(self, address: str) -> int:
        """How many this address pays for, or all of a site."""
        return self._addresses.of(address)

    def of_user(self, user_id: str) -> int:
        """How many this user pays for."""
        return self._users.get(user_id, 0)

    def take(self, address: str | None) -> Seat:
        """A seat paid for by `address`; None is for peers that speak for many, such as proxies: they count in all only.

        Raises `RateLimited` where the address has enough, and `Unavailable` where there is no room in all.
        """
        most = self._limits.connections_per_address
        if address is not None and self._addresses.has_enough(address, most):
            self.counts["address"] += 1
            raise RateLimited("Too many connections come from this address.", AGAIN_S)
        now_s = self._clock_s()
        if self._all >= self._limits.connections and not self.make_room():
            self.counts["all"] += 1
            self.full_at_s = now_s
            raise Unavailable("The server has no room for more connections.", AGAIN_S)
        seat = Seat(address, now_s)
        self._all += 1
        self._signed_out[seat] = None
        if address is not None:
            self._addresses.add(address)
        return seat

    def make_room(self) -> bool:
        """End the oldest connection on which nobody has signed in, as nginx does with its idle ones. False where there
        is none, or it may be at work."""
        oldest = next(iter(self._signed_out), None)
        if oldest is None or oldest.end is None:
            return False
        if self._clock_s() - oldest.since_s < (YOUNG_S if oldest.asked else SILENT_S):
            return False
        self.counts["gave way"] += 1
        oldest.end()
        return self._all < self._limits.connections

    def sign_in(self, seat: Seat, user_id: str) -> None:
        """Let the user pay from now on, where there is room among the user's."""
        before = self._users.get(user_id, 0)
        if before >= self._limits.connections_per_user:
            return
        self._leave_address(seat)
        seat.user_id = user_id
        self._users[user_id] = before + 1

    def leave(self, seat: Seat) -> None:
        """The connection is closed. Once only."""
        self._all -= 1
        if seat.user_id is None:
            self._leave_address(seat)
        else:
            _count_down(self._users, seat.user_id)

    def _leave_address(self, seat: Seat) -> None:
        seat.end = None  # or the two would hold each other, and wait for the garbage collector
        seat.since_s = 0.0  # nobody asks any more, and a number of one's own is 32 bytes
        del self._signed_out[seat]
        if seat.address is not None:
            self._addresses.remove(seat.address)


def _count_down(counts: dict[str, int], key: str) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]


Kind = tuple[int, int, int]
"""Family, type and protocol of a socket."""


def kind_of(sock: socket.socket) -> Kind:
    """What a socket that this one accepts is, too; as plain numbers, which the enumerations of `socket` are slow to become."""
    return int(sock.family), int(sock.type), sock.proto


class SeatedSocket(socket.socket):
    """An accepted socket that keeps its seat until it is closed, whoever holds it meanwhile."""

    __slots__ = ("_seats", "seat")

    seat: Seat
    """Set by `take`."""

    def __init__(self, kind: Kind, fd: int) -> None:
        """Take the descriptor over. It has no seat yet."""
        super().__init__(*kind, fd)
        self.setblocking(False)
        self._seats: Seats | None = None

    @classmethod
    def of(cls, accepted: socket.socket, seats: Seats, seat: Seat) -> Self:
        """Take `accepted` over; it is of no use afterwards."""
        sock = cls(kind_of(accepted), accepted.detach())
        sock.take(seats, seat)
        return sock

    def take(self, seats: Seats, seat: Seat) -> None:
        """This is its seat."""
        self._seats = seats
        self.seat = seat

    def close(self) -> None:
        """Close, and give the seat free. Idempotent."""
        seats, self._seats = self._seats, None
        if seats is not None:
            seats.leave(self.seat)
        super().close()

    def sign_in(self, user_id: str) -> None:
        """Somebody has signed in over this connection, and pays for it."""
        seat = self.seat
        seat.asker = user_id
        owed = seat.owed
        if owed is not None:
            seat.owed = None
            owed(user_id)
        if self._seats is not None and seat.user_id is None:
            self._seats.sign_in(seat, user_id)


def sign_in(sock: Any, user_id: str) -> None:
    """As `SeatedSocket.sign_in`, for whatever a stream has for a socket."""
    if isinstance(sock, SeatedSocket):
        sock.sign_in(user_id)


def seat_of(sock: Any) -> Seat | None:
    """The seat of whatever a stream has for a socket."""
    return sock.seat if isinstance(sock, SeatedSocket) else None


def held_by(sock: Any, end: Callable[[], object]) -> None:
    """Somebody else holds the socket now: `end` ends the connection, should it have to give way."""
    if isinstance(sock, SeatedSocket) and sock.seat.user_id is None:
        sock.seat.end = end
