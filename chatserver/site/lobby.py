"""Where a connection waits until it has asked for something and there is room for it.

A connection that has said nothing costs a socket here, not a parser and a task. Of those that ask, the ways in wait
for room among the joins, everything else only for its turn, and whoever asks for the server's health has a line apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tornado.httputil import HTTPHeaders

from chatserver.core import vocabulary
from chatserver.core.errors import ChatError, Unavailable
from chatserver.delivery.connections import Connections
from chatserver.delivery.joins import Joins
from chatserver.delivery.seats import SeatedSocket
from chatserver.delivery.watch import Watch
from chatserver.http.problems import json_answer, problem_response
from chatserver.http.requests import http_date

log = logging.getLogger(__name__)

SHARES_A_TURN = 16
"""What is given on in one turn of the loop, about 2 ms: a connection that the first look lets in is one share."""

HEAVY = 4
"""The shares of one that is Tornado's to answer: parsing a head and finding who asks is about 0.4 ms there."""

TAKES_A_TURN = SHARES_A_TURN // HEAVY
"""So many of those in one turn."""

HEALTH_A_TURN = 4
"""As many more who ask for the server's health: they do not wait behind a herd, and are no way around it either."""

HEARD_A_TURN = 128
"""Of those that had said nothing, so many are looked at in one turn of the loop: about a millisecond."""

HOLD_S = 0.1
"""How long nobody is given on at the most while more have come than could be accepted yet. Accepting is 10 us; so long for 5,000."""

LONGEST_S = 30.0
"""How long somebody waits here before being asked to come back."""

REFUSED_AT_ONCE = 64
"""Refused connections that are given time to hear why; each has a descriptor meanwhile. The others are cut."""

HEAR_S = 1.0

PEEK_BYTES = 16

HEALTH = (b"GET /healthz", b"GET /readyz", b"HEAD /healthz", b"HEAD /readyz", b"GET /metrics")
ALIVE = (b"GET /healthz ", b"HEAD /healthz ")
"""Answered also where there is no seat: a server that is full is alive, and whoever ended it for that would help nobody."""
WAYS_IN = (b"GET /ws", b"GET /events", b"GET /poll")

_NOTHING: Mapping[str, str] = {}

_Waiting = tuple[SeatedSocket, Any]
_LetIn = Callable[[SeatedSocket, Any], bool]
_Take = Callable[[SeatedSocket, Any], None]


class _Silent:
    """A connection that has said nothing yet."""

    __slots__ = ("_address", "_lobby", "_sock")

    def __init__(self, lobby: Lobby, sock: SeatedSocket, address: Any) -> None:
        self._lobby = lobby
        self._sock = sock
        self._address = address

    def readable(self) -> None:
        """It has said something."""
        self._lobby.heard(self._sock, self._address)


class Lobby:
    """Gives connections on, with the peer's address, when it is their turn: to `let_in` those that ask for a way in, which
    says whether that was cheap; to `take` all others. `most` may wait here."""

    def __init__(
        self,
        connections: Connections,
        joins: Joins,
        let_in: _LetIn,
        take: _Take,
        most: int,
    ) -> None:
        self.on_room: Callable[[], None] = lambda: None
        """Called when it is not full any more."""
        self._connections = connections
        self._joins = joins
        self._let_in = let_in
        self._take = take
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(HEARD_A_TURN)
        self._watch.open()
        self._silent: OrderedDict[SeatedSocket, _Silent] = OrderedDict()
        self._ways_in: deque[_Waiting] = deque()
        self._others: deque[_Waiting] = deque()
        self._health: deque[_Waiting] = deque()
        self._refused: OrderedDict[socket.socket, tuple[float, ChatError]] = OrderedDict()
        self._shares = 0  # of those that were taken, and whose first turn is not over
        self._fresh = 0  # the ways in among them, which do not yet count among the joins
        self._fresh_health = 0
        self._others_first = False
        self._full = False
        self._held_since_s: float | None = None
        self._pumping = False
        connections.lobby = self.__len__
        joins.on_room = self._pump_soon
        connections.clockwork.look_after(self, 1.0)

    def __len__(self) -> int:
        """How many have asked for something and wait."""
        return len(self._ways_in) + len(self._others) + len(self._health)

    @property
    def full(self) -> bool:
        """Whether no more should come; `on_room` is called when that is over."""
        return self._full

    def hold(self) -> None:
        """Give nobody on for a moment but who asks for the server's health: more have come than are accepted."""
        if self._held_since_s is None:
            self._held_since_s = self._loop.time()

    def go_on(self) -> None:
        """All who have come are accepted."""
        if self._held_since_s is not None:
            self._held_since_s = None
            self._pump_soon()

    def _is_held(self) -> bool:
        since_s = self._held_since_s
        return since_s is not None and self._loop.time() - since_s < HOLD_S

    def close(self, error: ChatError) -> None:
        """Let everybody go who waits here. Who has asked for something is told `error`."""
        self._connections.clockwork.look_away(self)
        self._joins.on_room = None
        for sock in list(self._silent):
            self._drop(sock)
        self._watch.close()
        for waiting in (self._ways_in, self._others, self._health):
            while waiting:
                sock, _ = waiting.popleft()
                if sock.fileno() >= 0:
                    last_words(sock, error)
                    sock.close()
        for refused in list(self._refused):
            self._dismiss(refused)

    def enter(self, sock: SeatedSocket, address: Any) -> None:
        """Somebody has come."""
        sock.seat.end = partial(self._drop, sock)
        if not self._look(sock, address):
            silent = self._silent[sock] = _Silent(self, sock, address)
            self._watch.add(sock.fileno(), silent)

    def heard(self, sock: SeatedSocket, address: Any) -> None:
        """Something has come, or the end, of somebody who had said nothing."""
        self._watch.drop(sock.fileno())
        del self._silent[sock]
        self._look(sock, address)

    def _look(self, sock: SeatedSocket, address: Any) -> bool:
        """See what is asked for, without taking it; False where nothing has come."""
        try:
            first = sock.recv(PEEK_BYTES, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            first = b""
        sock.seat.asked = True
        if not first:
            sock.close()
        else:
            if first.startswith(WAYS_IN):
                queue = self._ways_in
            else:
                queue = self._health if first.startswith(HEALTH) else self._others
            queue.append((sock, address))
            if len(self) >= self._most:
                self._full = True
            self._pump()
        return True

    def _drop(self, sock: SeatedSocket) -> None:
        if self._silent.pop(sock, None) is not None:
            self._watch.drop(sock.fileno())
        sock.close()  # where it waits in a queue, it is passed over there

    # In turn.

    def _pump_soon(self) -> None:
        if not self._pumping and (self._ways_in or self._others or self._health):
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self._health:
            self._pump_health()
        if self._is_held():
            return
        shares = ways_in = 0
        while self._shares + shares < SHARES_A_TURN:
            if self._ways_in and self._joins.room > self._fresh + ways_in:
                # By turns, so that neither kind keeps the other waiting.
                others = self._others_first and bool(self._others)
                self._others_first = not others
            elif self._others:
                others = True
            else:
                break
            if others:
                took = self._begin(self._others, self._take)
            else:
                took = self._begin(self._ways_in, self._let_in)
            shares += took
            # What is cheap counts among the joins at once.
            ways_in += not others and took == HEAVY
        if shares:
            self._shares += shares
            self._fresh += ways_in
            # Their tasks run in the next turn, and a join counts among the joins from then on.
            self._loop.call_soon(self._loop.call_soon, self._aged, shares, ways_in)
        if self._full and len(self) <= self._most // 2:
            self._full = False
            self.on_room()

    def _pump_health(self) -> None:
        while self._health and self._fresh_health < HEALTH_A_TURN:
            if self._begin(self._health, self._take):
                self._fresh_health += 1
                self._loop.call_soon(self._loop.call_soon, self._health_aged)

    def _begin(self, queue: deque[_Waiting], give: _LetIn | _Take) -> int:
        """Give the first of `queue` on; its shares, 0 where it has gone meanwhile."""
        sock, address = queue.popleft()
        if sock.fileno() < 0:
            return 0
        try:
            return 1 if give(sock, address) else HEAVY
        except Exception as error:
            self._connections.failed(str(address[0]), error)
            sock.close()
        return HEAVY

    def _aged(self, shares: int, ways_in: int) -> None:
        self._shares -= shares
        self._fresh -= ways_in
        self._pump_soon()

    def _health_aged(self) -> None:
        self._fresh_health -= 1
        self._pump_soon()

    # The clock.

    def visit(self, now_s: float) -> float:
        """End those who say nothing, and ask those to come back who have waited too long."""
        head_s = self._connections.head_s
        while self._silent:
            sock = next(iter(self._silent))
            if now_s - sock.seat.since_s < head_s:
                break
            self._connections.counts["no head"] += 1
            self._drop(sock)
        for queue in (self._ways_in, self._others, self._health):
            while queue and now_s - queue[0][0].seat.since_s >= LONGEST_S:
                sock, _ = queue.popleft()
                if sock.fileno() >= 0:
                    self._connections.counts["waited too long"] += 1
                    last_words(sock, Unavailable("The server has too much to do at the moment.", 5))
                    sock.close()
        while self._refused:
            refused, (since_s, _) = next(iter(self._refused.items()))
            if now_s - since_s < HEAR_S:
                break
            self._dismiss(refused)
        return 1.0

    # Refusals.

    def refuse(self, sock: socket.socket, error: ChatError) -> None:
        """Somebody has come for whom there is no seat: say so to what is asked, where that is soon."""
        sock.setblocking(False)
        if len(self._refused) >= REFUSED_AT_ONCE:
            self._dismiss(next(iter(self._refused)))  # it has had the longest time to ask
        self._refused[sock] = (self._connections.clockwork.clock_s(), error)
        self._loop.add_reader(sock.fileno(), self._answer_refused, sock)

    def _answer_refused(self, sock: socket.socket) -> None:
        asked = b""
        with contextlib.suppress(OSError):
            asked = sock.recv(PEEK_BYTES, socket.MSG_PEEK)
        if asked.startswith(ALIVE):
            _say(sock, 200, "OK", *json_answer(vocabulary.alive()), not asked.startswith(b"HEAD"))
        else:
            last_words(sock, self._refused[sock][1])
        self._dismiss(sock)

    def _dismiss(self, sock: socket.socket) -> None:
        del self._refused[sock]
        self._loop.remove_reader(sock.fileno())
        sock.close()


def last_words(
    sock: socket.socket, error: ChatError, more: Mapping[str, str] = _NOTHING, body_too: bool = True
) -> None:
    """Refuse what is asked, with `more` headers, before the connection is closed."""
    status, headers, body = problem_response(error)
    headers.update(more)
    _say(sock, status, error.title, headers, body, body_too)


def _say(
    sock: socket.socket, status: int, title: str, headers: HTTPHeaders, body: bytes, body_too: bool
) -> None:
    headers["Date"] = http_date()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.get_all())
    head = f"HTTP/1.1 {status} {title}\r\n{lines}Connection: close\r\n\r\n"
    with contextlib.suppress(OSError):
        # What is read does not come back as a reset, which could destroy the answer (RFC 9112, section 9.6).
        sock.recv(64 * 1024)
        sock.send(head.encode("latin1") + (body if body_too else b""))
        sock.shutdown(socket.SHUT_WR)
