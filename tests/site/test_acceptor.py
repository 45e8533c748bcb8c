"""The acceptor and its lobby, with addresses, a clock and an operating system as a test wants them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chatserver.core.addresses import network
from chatserver.core.errors import Unavailable
from chatserver.core.limits import Limits
from chatserver.delivery.clockwork import Clockwork
from chatserver.delivery.connections import Connections
from chatserver.delivery.joins import Joins
from chatserver.delivery.seats import SeatedSocket
from chatserver.http.proxies import Proxies
from chatserver.site import acceptor as rules
from chatserver.site import lobby as waiting
from chatserver.site.acceptor import Acceptor, payer
from chatserver.site.lobby import LONGEST_S, REFUSED_AT_ONCE, TAKES_A_TURN, Lobby

ASKS = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
JOINS = b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


RESTARTING = Unavailable("The server is restarting.")


class Listener(socket.socket):
    """A listening socket whose peers come from where the test says, or that fails as the system would."""

    address = "192.0.2.1"
    error: int | None = None

    def _accept(self) -> tuple[int, Any]:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        fd, _ = super()._accept()  # type: ignore[misc]
        return fd, (self.address, 1)


class Place:
    """An acceptor with everything around it; `taken` are those that were given on."""

    def __init__(self, **limits: Any) -> None:
        self.now_s = 100.0
        self.limits = Limits(**limits)
        self.clockwork = Clockwork(self.limits, lambda: self.now_s, lambda: 0)
        self.connections = Connections(self.clockwork, self.limits)
        self.joins = Joins(self.limits.joins)
        self.taken: list[SeatedSocket] = []
        self.cheap = False
        self.lobby = Lobby(
            self.connections, self.joins, self._let_in, self._take, self.limits.lobby
        )
        self.listener = Listener()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(500)
        self.listener.setblocking(False)
        self.clients: list[socket.socket] = []
        self.acceptor = Acceptor(
            [self.listener], self.connections, self.lobby, lambda peer: payer(peer, Proxies(), True)
        )

    def _take(self, sock: SeatedSocket, address: Any) -> None:
        self.taken.append(sock)
        if sock.recv(3, socket.MSG_PEEK) == b"BAD":
            raise RuntimeError("a mistake of ours")

    def _let_in(self, sock: SeatedSocket, address: Any) -> bool:
        self._take(sock, address)
        return self.cheap

    def come(self, said: bytes = b"", count: int = 1) -> socket.socket:
        for _ in range(count):
            client = socket.create_connection(self.listener.getsockname())
            client.setblocking(False)
            client.sendall(said)
            self.clients.append(client)
        return self.clients[-1]

    async def until(self, there: Callable[[], bool]) -> None:
        """Return once it is so."""
        async with asyncio.timeout(30):
            while not there():
                await asyncio.sleep(0)

    async def settle(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0)

    async def pass_s(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now_s += 1
            self.clockwork.turn(self.now_s)
        await self.settle()

    async def heard(self, client: socket.socket) -> bytes:
        """What has come; nothing where the connection has ended, however it did."""
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                return await asyncio.get_running_loop().sock_recv(client, 65536)
        return b""


@asynccontextmanager
async def place(**limits: Any) -> AsyncIterator[Place]:
    made = Place(**limits)
    try:
        yield made
    finally:
        made.acceptor.stop(RESTARTING)
        for sock in (*made.taken, *made.clients):
            sock.close()
    assert len(made.connections.seats) == 0


async def test_an_address_beyond_its_bound_is_answered_429_and_another_is_served() -> None:
    async with place(connections_per_address=3) as it:
        it.come(ASKS, 3)
        await it.settle()
        answer = await it.heard(it.come(ASKS))
        assert answer.startswith(b"HTTP/1.1 429 ") and b"Retry-After: 5" in answer
        assert b'"rate_limited"' in answer and b"Connection: close" in answer
        it.listener.address = "192.0.2.2"
        it.come(ASKS)
        await it.settle()
        assert len(it.taken) == 4
        it.taken[0].close()
        it.listener.address = "192.0.2.1"
        it.come(ASKS)
        await it.settle()
        assert len(it.taken) == 5


async def test_of_ipv6_a_64_is_one_address_and_ipv4_in_it_is_ipv4() -> None:
    for others in (("2001:db8::1", "2001:db8::2"), ("::ffff:192.0.2.1", "192.0.2.1")):
        async with place(connections_per_address=1) as it:
            for it.listener.address in others:
                it.come(ASKS)
                await it.settle()
            assert len(it.taken) == 1


def test_proxies_that_are_trusted_and_this_machine_count_in_all_only() -> None:
    trusted = (network("10.0.0.0/8"),)
    assert payer("10.1.2.3", Proxies(trusted), True) is None
    assert payer("::ffff:10.1.2.3", Proxies(trusted), True) is None
    assert payer("127.0.0.1", Proxies(), True) is payer("::1", Proxies(), True) is None
    assert payer("192.0.2.1", Proxies(trusted), True) == "192.0.2.1"
    assert payer("192.0.2.1", Proxies(trusted), False) is None, "nothing is metered"
    assert payer("2001:db8::5", Proxies(), True) == payer("2001:db8::6", Proxies(), True)


async def test_with_no_room_in_all_one_more_is_answered_503_and_the_server_is_not_ready() -> None:
    async with place(connections=2) as it:
        it.come(ASKS, 2)
        await it.settle()
        assert it.connections.trouble() is None
        answer = await it.heard(it.come(ASKS))
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 5" in answer
        assert it.connections.trouble() == "The server has no room for more connections."
        it.now_s += 10
        assert it.connections.trouble() is None


@pytest.mark.parametrize("full", [{"connections": 1}, {"connections_per_address": 1}])
async def test_a_full_server_says_that_it_is_alive_and_nothing_else(full: dict[str, int]) -> None:
    """Or whoever keeps it up would end it, and everybody on it."""
    async with place(**full) as it:
        it.come(ASKS)
        await it.settle()
        it.come(b"", 2 * REFUSED_AT_ONCE)  # whoever says nothing keeps nobody from being heard
        head, _, body = (await it.heard(it.come(HEALTH))).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and body == b'{"status":"ok"}'
        assert b"Connection: close" in head and b"Content-Length: 15" in head
        answer = await it.heard(it.come(b"HEAD" + HEALTH[3:]))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\n")
        for other in (b"/healthzz", b"/readyz", b"/metrics"):
            answer = await it.heard(it.come(HEALTH.replace(b"/healthz", other)))
            assert not answer.startswith(b"HTTP/1.1 2")
        assert len(it.taken) == 1


async def test_those_who_are_refused_have_a_moment_to_hear_it_and_are_bounded_too() -> None:
    async with place(connections=1) as it:
        it.come(ASKS)
        it.come(b"", REFUSED_AT_ONCE + 20)
        await it.settle()
        assert len(it.lobby._refused) == REFUSED_AT_ONCE
        await it.pass_s(2)
        assert len(it.lobby._refused) == 0


async def test_whoever_says_nothing_is_ended_in_time_and_costs_nobody_else_a_place() -> None:
    async with place(head_s=15.0, joins=2) as it:
        silent = it.come(b"", 50)
        it.come(JOINS)
        await it.settle()
        assert len(it.taken) == 1
        await it.pass_s(14)
        assert len(it.connections.seats) == 51
        await it.pass_s(3)
        assert len(it.connections.seats) == 1
        assert await it.heard(silent) == b""
        assert it.connections.counts["no head"] == 50


async def test_ways_in_wait_for_room_in_order_and_nothing_else_does() -> None:
    async with place(joins=2) as it:
        for _ in range(2):
            await it.joins.enter()
        it.come(JOINS, 3)
        await it.settle()
        assert len(it.taken) == 0 and len(it.lobby) == 3
        it.come(HEALTH)
        it.come(ASKS)
        await it.settle()
        assert len(it.taken) == 2
        it.joins.leave()
        await it.settle()
        assert len(it.taken) > 2


async def test_only_a_few_are_given_on_in_one_turn() -> None:
    async with place() as it:
        it.come(ASKS, 60)
        most, before = 0, 0
        async with asyncio.timeout(30):
            while len(it.taken) < 60:
                await asyncio.sleep(0)
                most, before = max(most, len(it.taken) - before), len(it.taken)
        assert most <= TAKES_A_TURN


async def test_whoever_asks_for_health_does_not_wait_for_a_herd_that_is_not_accepted_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "HOLD_S", 60.0)
    async with place() as it:
        it.cheap = True
        it.come(JOINS, 5 * rules.ACCEPTS_A_TURN)
        it.come(HEALTH)

        def asked() -> list[bytes]:
            return [sock.recv(12, socket.MSG_PEEK) for sock in it.taken]

        await it.until(lambda: HEALTH[:12] in asked())
        before = len(it.taken) - 1
        assert before <= waiting.SHARES_A_TURN, "those who were there before the herd was seen"
        await it.settle()
        assert len(it.taken) > before + 1, "when all have been accepted, their turn comes"


async def test_a_flood_that_is_never_all_accepted_holds_nobody_back_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "HOLD_S", 0.0)
    async with place() as it:
        it.cheap = True
        it.come(JOINS, 6 * rules.ACCEPTS_A_TURN)
        await it.until(lambda: len(it.taken) > waiting.SHARES_A_TURN)
        assert len(it.connections.seats) < 6 * rules.ACCEPTS_A_TURN


async def test_nobody_is_held_back_where_just_so_many_came_as_are_accepted_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "HOLD_S", 60.0)
    async with place() as it:
        it.cheap = True
        it.come(JOINS, rules.ACCEPTS_A_TURN)
        await it.until(lambda: len(it.taken) > waiting.SHARES_A_TURN)


async def test_a_full_lobby_stops_the_accepting_until_half_of_it_has_gone() -> None:
    async with place(lobby=4, joins=1) as it:
        await it.joins.enter()
        it.come(JOINS, 6)
        await it.settle()
        assert len(it.lobby) == 4 and not it.connections.accepting
        assert it.connections.trouble() == "The server takes no new connections."
        it.joins.leave()
        await it.settle()
        assert it.connections.accepting and len(it.taken) == 6


async def test_whoever_waits_too_long_is_asked_to_come_back() -> None:
    async with place(joins=1) as it:
        await it.joins.enter()
        client = it.come(JOINS)
        await it.settle()
        await it.pass_s(LONGEST_S + 1)
        assert (await it.heard(client)).startswith(b"HTTP/1.1 503 ")
        assert len(it.connections.seats) == 0
        it.joins.leave()


async def test_a_mistake_in_taking_one_is_a_line_and_the_next_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with place() as it:
        assert await it.heard(it.come(b"BAD")) == b""
        it.come(ASKS)
        await it.settle()
        assert len(it.taken) == 2
        assert [record.message for record in caplog.records if "a mistake" in record.message]


async def test_without_descriptors_nothing_is_accepted_for_a_while_and_the_log_has_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PAUSE_S", 0.02)
    async with place() as it:
        idle = [it.come() for _ in range(40)]
        await it.settle()
        it.now_s += 10
        with caplog.at_level(logging.ERROR):
            it.listener.error = errno.EMFILE
            it.come(ASKS)
            await it.until(lambda: not it.connections.accepting)
            assert it.connections.trouble() == "The server has run out of descriptors."
            loop, counts = asyncio.get_running_loop(), it.connections.counts
            since_s = loop.time()
            await it.until(lambda: counts["no descriptor"] >= 5)
            assert loop.time() - since_s > 3 * rules.PAUSE_S, "every PAUSE_S, and not every turn"
            it.listener.error = None
            await it.until(lambda: bool(it.taken))
        assert len(it.taken) == 1, "whoever waited is served"
        assert it.connections.seats.counts["gave way"] >= rules.GIVE_WAY
        assert await it.heard(idle[0]) == b""
        (record,) = caplog.records
        assert "Too many open files" in record.message


async def test_a_spare_descriptor_that_cannot_be_had_again_is_had_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "PAUSE_S", 0.01)
    async with place() as it:

        def none(*_: Any) -> int:
            raise OSError(errno.EMFILE, "none")

        with monkeypatch.context() as nothing:
            nothing.setattr(os, "open", none)
            it.listener.error = errno.EMFILE
            it.come(ASKS)
            await it.until(lambda: it.acceptor._spare is None)
        it.listener.error = None
        await it.until(lambda: it.acceptor._spare is not None and bool(it.taken))
        assert len(it.taken) == 1


async def test_whoever_has_asked_when_the_server_stops_hears_that_it_restarts() -> None:
    """Neither in the lobby nor in the kernel's queue is anybody cut off unheard."""
    async with place() as at:
        asked = [at.come(ASKS) for _ in range(TAKES_A_TURN + 5)]
        silent = at.come()
        at.acceptor.stop(RESTARTING)
        assert len(at.taken) == TAKES_A_TURN, "these are answered as ever"
        for client in asked[TAKES_A_TURN:]:
            answer = await at.heard(client)
            assert answer.startswith(b"HTTP/1.1 503") and b"restarting" in answer
            assert await at.heard(client) == b""
        assert await at.heard(silent) == b""
