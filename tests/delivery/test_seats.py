"""Who pays for a connection, and what happens where there is no room."""

from __future__ import annotations

import socket

import pytest

from chatserver.core.addresses import SITE_TIMES, address, bucket_key
from chatserver.core.errors import RateLimited, Unavailable
from chatserver.core.limits import Limits
from chatserver.delivery.seats import SILENT_S, YOUNG_S, Seat, SeatedSocket, Seats, held_by, sign_in


class Hall:
    """Seats for ten, three of an address and two of a user, and a clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        limits = Limits(connections=10, connections_per_address=3, connections_per_user=2)
        self.seats = Seats(limits, lambda: self.now_s)
        self.ended: list[Seat] = []

    def take(self, address: str | None) -> Seat:
        seat = self.seats.take(address)

        def end() -> None:
            self.ended.append(seat)
            self.seats.leave(seat)

        seat.end = end
        return seat


def test_an_address_has_so_many_before_sign_in_and_another_is_not_touched() -> None:
    hall = Hall()
    first, *_ = [hall.take("a") for _ in range(3)]
    with pytest.raises(RateLimited):
        hall.take("a")
    hall.take("b")
    hall.seats.leave(first)
    hall.take("a")
    assert hall.seats.counts["address"] == 1


def test_all_of_a_site_have_four_times_what_one_of_its_customers_has() -> None:
    """A /48 has 65,536 of them."""
    seats = Seats(Limits(connections_per_address=3), lambda: 0.0)

    def key(number: int, site: int = 1) -> str:
        where = address(f"2001:db8:{site:x}:{number:x}::1")
        assert where is not None
        return bucket_key(where)

    taken = [seats.take(key(number)) for number in range(3 * SITE_TIMES)]
    for number in (0, 9999):
        with pytest.raises(RateLimited):
            seats.take(key(number))
    seats.take(key(0, site=2))
    seats.sign_in(taken[0], "ann")
    seats.leave(taken[1])
    assert [seats.take(key(5000)).address for _ in range(2)] == [key(5000)] * 2
    with pytest.raises(RateLimited):
        seats.take(key(5001))


def test_whoever_signs_in_pays_as_a_user_and_makes_room_for_the_next_at_this_address() -> None:
    hall = Hall()
    for user in ("ann", "bob", "cid"):
        hall.seats.sign_in(hall.take("a"), user)
    assert hall.seats.of_address("a") == 0 and hall.seats.of_user("ann") == 1
    assert [hall.take("a").address for _ in range(3)] == ["a"] * 3


def test_what_a_user_has_beyond_the_bound_the_address_goes_on_paying_for() -> None:
    hall = Hall()
    for _ in range(3):
        hall.seats.sign_in(hall.take("a"), "ann")
    assert (hall.seats.of_user("ann"), hall.seats.of_address("a")) == (2, 1)


def test_a_proxy_counts_in_all_only() -> None:
    hall = Hall()
    for _ in range(10):
        hall.take(None)
    with pytest.raises(Unavailable):
        hall.take(None)
    assert hall.seats.full_at_s == hall.now_s


def test_in_a_full_hall_the_oldest_without_a_login_gives_way_once_it_is_not_young() -> None:
    hall = Hall()
    signed_in = hall.take(None)
    hall.seats.sign_in(signed_in, "ann")
    silent, asked = hall.take(None), hall.take(None)
    asked.asked = True
    for _ in range(7):
        hall.take(None).asked = True
    with pytest.raises(Unavailable):
        hall.take("b")
    hall.now_s += SILENT_S
    hall.take("b").asked = True
    assert hall.ended == [silent]
    with pytest.raises(Unavailable):
        hall.take("b")
    hall.now_s += YOUNG_S
    hall.take("b")
    assert hall.ended == [silent, asked]
    assert hall.seats.counts == {"gave way": 2, "all": 2}


def test_who_cannot_be_ended_does_not_give_way() -> None:
    """Nobody holds its socket yet."""
    hall = Hall()
    unheld = hall.take(None)
    unheld.end = None
    for _ in range(9):
        hall.take(None)
    hall.now_s += YOUNG_S
    assert not hall.seats.make_room() and hall.ended == []
    hall.seats.leave(unheld)
    hall.take(None)
    assert hall.seats.make_room() and len(hall.ended) == 1
    empty = Hall().seats
    assert not empty.make_room(), "there is nobody"


def test_when_all_have_left_nothing_is_remembered() -> None:
    hall = Hall()
    seats = [hall.take("a"), hall.take("b"), hall.take(None)]
    hall.seats.sign_in(seats[0], "ann")
    for seat in seats:
        hall.seats.leave(seat)
        assert seat.end is None, "nothing holds its connection any more"
    assert len(hall.seats) == hall.seats.signed_out == 0
    assert not hall.seats._addresses and not hall.seats._users


def test_a_socket_keeps_its_seat_until_it_is_closed_whoever_holds_it() -> None:
    hall = Hall()
    ours, theirs = socket.socketpair()
    seated = SeatedSocket.of(ours, hall.seats, hall.seats.take("a"))
    held_by(seated, seated.close)
    assert hall.seats.of_address("a") == 1 and seated.gettimeout() == 0
    sign_in(seated, "ann")
    sign_in(seated, "bob")
    assert hall.seats.of_user("ann") == 1 and hall.seats.of_user("bob") == 0
    held_by(seated, seated.close)
    assert seated.seat.end is None, "whoever is signed in does not give way"
    seated.close()
    seated.close()
    assert len(hall.seats) == 0
    theirs.close()


def test_a_socket_without_a_seat_is_nobodys_concern() -> None:
    ours, theirs = socket.socketpair()
    sign_in(ours, "ann")
    held_by(ours, ours.close)
    sign_in(None, "ann")
    for sock in (ours, theirs):
        sock.close()
