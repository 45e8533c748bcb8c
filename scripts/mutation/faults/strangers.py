"""Faults in what keeps strangers from costing others: tolls, entrances, turns."""

from __future__ import annotations

from scripts.mutation.fault import Fault

TOLLS = "chatserver/delivery/tolls.py"
POLL = "chatserver/transports/longpoll.py"
JOINS = "chatserver/delivery/joins.py"

T_TOLLS = ("tests/delivery/test_tolls.py",)
T_FLOODS = "tests/traffic/test_request_floods.py"
T_FOREIGN = "tests/site/test_bad_requests.py::test_a_foreign_page_is_refused_wherever_a_cookie_counts_or_is_set"
T_UPGRADE = "tests/site/test_bad_requests.py::test_a_foreign_page_begins_no_websocket"

FAULTS = (
    Fault(
        "strings are left out one by one, however many",
        "chatserver/core/fields.py",
        "or text.count('\"') > QUOTES_MAX",
        "or False",
        ("tests/core/test_fields.py",),
    ),
    Fault(
        "a head has as many lines as somebody likes",
        "chatserver/transports/watched.py",
        'data.count(b"\\n") > HEAD_LINES + 2',
        "len(data) < 0",
        ("tests/transports/test_heads.py",),
    ),
    Fault(
        "a poll's query is as long as somebody likes",
        "chatserver/http/requests.py",
        "if len(query) > QUERY_CHARS:",
        "if len(query) < 0:",
        ("tests/http/test_requests.py",),
    ),
    Fault(
        "what a form escapes costs nothing",
        "chatserver/site/classic.py",
        "if cost > 1:",
        "if cost < 0:",
        ("tests/site/test_metering.py",),
    ),
    Fault(
        "on a proxy's connection others wait behind whoever was refused",
        "chatserver/http/admission.py",
        "        return self._proxies.speaks_for_many(peer)",
        "        return False",
        (
            "tests/transports/test_heads.py::test_what_a_proxy_sends_for_somebody_else_does_not_wait_behind_a_refusal",
        ),
    ),
    Fault(
        "a site has no bound of its own",
        "chatserver/core/addresses.py",
        "    return site if within else None",
        "    return None",
        ("tests/core/test_prices.py", "tests/delivery/test_seats.py"),
    ),
    Fault(
        "whoever waits for their turn is cut off when the server stops",
        "chatserver/site/lobby.py",
        "                    last_words(sock, error)\n",
        "                    pass\n",
        ("tests/site/test_acceptor.py",),
    ),
    Fault(
        "no guess at an account is kept for newcomers",
        "chatserver/verbs/passwords.py",
        "        kept = 0 if is_fresh else self._kept",
        "        kept = 0",
        ("tests/verbs/test_passwords.py",),
    ),
    Fault(
        "a request that nobody can pay for is answered",
        TOLLS,
        "        if wait_s > patience_s:",
        "        if wait_s > 1e9:",
        T_TOLLS,
    ),
    Fault(
        "an address pays for all who are signed in behind it",
        TOLLS,
        "        self._addresses.give_back(address, cost)\n",
        "",
        T_TOLLS,
    ),
    Fault(
        "a user whose login was not known asks for nothing",
        TOLLS,
        "        self._users.borrow(user_id, self._clock_s(), cost, IN_DEBT_S)\n",
        "",
        T_TOLLS,
    ),
    Fault(
        "polls cost nothing",
        POLL,
        "self._admission.charge_known(request.bearer.brought, POLL)\n",
        "self._admission.charge_known(request.bearer.brought, 0.0)\n",
        (
            "tests/transports/test_pollrequest.py"
            "::test_each_poll_is_paid_for_and_has_its_place_in_a_turn",
        ),
    ),
    Fault(
        "what says nothing now says nothing for ever",
        "chatserver/transports/pollconnection.py",
        "bearer if bearer.brought is not None else None",
        "bearer",
        (
            "tests/transports/test_pollconnection.py"
            "::test_a_cookie_under_a_key_that_comes_later_counts_on_the_same_connection",
        ),
    ),
    Fault(
        "a long poll waits for ever",
        "chatserver/transports/pollreader.py",
        "            request.time_is_up()\n",
        "            pass\n",
        (
            "tests/transports/test_longpoll.py"
            "::test_a_long_wait_ends_when_the_clockwork_comes_by_and_no_sooner_than_its_time",
        ),
    ),
    Fault(
        "a connection that was refused asks on at once",
        "chatserver/transports/watched.py",
        "        self._rest_s = rest_s",
        "        self._rest_s = 0.0",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "whoever sends no head stays",
        "chatserver/transports/watched.py",
        "            if now_s < self._head_due_s:\n",
        "            if True:\n",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "a head that came is still waited for",
        "chatserver/transports/watched.py",
        "            self._head_due_s = None\n            self._connections.clockwork.look_away",
        "            self._connections.clockwork.look_away",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "whoever takes bytes is ended all the same",
        "chatserver/transports/watched.py",
        "        self._progress_s = self._connections.clockwork.clock_s()\n        if sent",
        "        if sent",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "what somebody does not read is not counted over all of their connections",
        "chatserver/transports/watched.py",
        "        self._noted_bytes = self._held_bytes\n",
        "",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "whoever takes nothing stays, where Tornado answers",
        "chatserver/transports/watched.py",
        "        if left_s > 0:\n",
        "        if True:\n",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "behind the last request the next is read",
        "chatserver/transports/watched.py",
        "        if self._had_last or self.closed():\n",
        "        if self.closed():\n",
        ("tests/transports/test_watched.py",),
    ),
    Fault(
        "a file that cannot be paid at once is refused",
        "chatserver/site/turnstile.py",
        "PATIENCE_S if is_file or path in PAGES else 0.0",
        "0.0",
        (f"{T_FLOODS}::test_a_page_that_asks_for_more_files_than_can_be_paid_gets_every_one",),
    ),
    Fault(
        "the origin is not looked at by polls",
        "chatserver/transports/pollrequest.py",
        "admission.ask(self.headers, query, bearer=self.bearer)",
        "admission.ask(self.headers, query, bearer=self.bearer, navigates=True)",
        (T_FOREIGN,),
    ),
    Fault(
        "the origin is not looked at by WebSockets",
        "chatserver/transports/handshake.py",
        "    def check_origin(self, origin: str) -> bool:",
        "    def ask(self, last_event_id: str | None = None) -> Any:\n"
        "        return self._admission.ask(self.request.headers, navigates=True)\n\n"
        "    def check_origin(self, origin: str) -> bool:",
        (T_UPGRADE,),
    ),
    Fault(
        "the origin is not looked at by event streams",
        "chatserver/transports/sse.py",
        "    async def _begin(self, arrival: Arrival) -> None:",
        "    def ask(self, last_event_id: str | None = None) -> Any:\n"
        "        return self._admission.ask(self.request.headers, navigates=True)\n\n"
        "    async def _begin(self, arrival: Arrival) -> None:",
        (T_FOREIGN,),
    ),
    Fault(
        "whatever is ready is looked at in one turn",
        "chatserver/command/loop.py",
        "self._epoll.poll(wait_s, self._now)",
        "self._epoll.poll(wait_s)",
        ("tests/command/test_loop.py",),
    ),
    Fault(
        "a long turn is followed by as long a one",
        "chatserver/command/loop.py",
        "        if took_s > LONG_S:",
        "        if took_s > 1e9:",
        ("tests/command/test_loop.py",),
    ),
    Fault(
        "a collection of garbage looks at whatever there is",
        "chatserver/site/server.py",
        "OBJECTS_A_COLLECTION = 5_000",
        "OBJECTS_A_COLLECTION = 50_000",
        ("tests/command/test_loop.py",),
    ),
    Fault(
        "whoever cannot pay is given a parser",
        "chatserver/site/server.py",
        "        if not self._turnstile.turns_away(sock, address):\n            self",
        "        if True:\n            self",
        (f"{T_FLOODS}::test_whoever_cannot_pay_is_turned_away_at_the_door_and_others_come_in",),
    ),
    Fault(
        "a reader that is cancelled on its way back into its join is counted out twice",
        JOINS,
        "            self.under_way += 1\n            raise",
        "            raise",
        ("tests/delivery/test_joins.py",),
    ),
    Fault(
        "everybody is sent away in one turn",
        "chatserver/delivery/readers.py",
        "            if number % ENDS_A_TURN == 0:",
        "            if number < 0:",
        ("tests/delivery/test_readers.py",),
    ),
    Fault(
        "unread broadcasts are those of yesterday's friends",
        "chatserver/store/mongo/unread.py",
        ' and kept["whose"] == whose:',
        ":",
        ("tests/store/test_unread_contract.py",),
    ),
)
