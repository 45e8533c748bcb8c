"""The one entrance: who pays, who comes in, from where, and for whom. Every transport, the API and the classic pages use it.

Rules over headers and a query, so that a transport that is no handler uses the same. In one order: draining, origin,
whose page it is, cursor, client (`ask`, which never waits); then login, account and user (`known` without waiting, `admit`
with looking things up).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from tornado.httputil import HTTPHeaders

from chatserver.core.errors import AnotherAccount, BadRequest, Forbidden, Unauthenticated
from chatserver.core.fields import written_number
from chatserver.core.origin import normal_origin, origin_allowed
from chatserver.core.people import Login, User
from chatserver.delivery.newcomers import Newcomers, Then, go_on
from chatserver.delivery.readers import Readers
from chatserver.delivery.seats import Seat
from chatserver.delivery.tolls import Tolls
from chatserver.http.cors import Cors
from chatserver.http.proxies import Proxies
from chatserver.http.requests import cookie_header
from chatserver.verbs.cookies import port_of
from chatserver.verbs.sessions import Brought, Sessions
from chatserver.verbs.users import Users

CLIENT_CHARS = 64

_NOTHING: Mapping[str, str] = {}


@dataclass(slots=True)
class Bearer:
    """What the headers of a request say of who is asking: the same for each request with the same headers."""

    brought: Brought | None
    """What says who asks."""
    cookie: str | None
    """All cookies."""
    https: bool
    port: str
    """Where the browser believes this server to be, beside others on this host."""


@dataclass(slots=True)
class Ask:
    """What a request says of who is asking, checked but not yet looked up."""

    brought: Brought | None
    """What says who asks."""
    cookie: str | None
    """All cookies."""
    whose: str | None
    """The account that the page which asks belongs to; None where it does not say."""
    after: int | None
    client: str
    port: str = ""
    """Where the browser believes this server to be, beside others on this host."""


@dataclass(slots=True)
class Arrival:
    """Who came in. Whether the login still counts is asked again where a reader attaches."""

    login: Login
    user: User
    after: int | None
    client: str


class Admission:
    """Who may come in; `origins` as `core.origin.normal_origin` writes them."""

    def __init__(
        self,
        sessions: Sessions,
        users: Users,
        newcomers: Newcomers,
        readers: Readers,
        origins: frozenset[str],
        proxies: Proxies,
        tolls: Tolls,
    ) -> None:
        self._sessions = sessions
        self._users = users
        self.newcomers = newcomers
        self._readers = readers
        self._origins = origins
        self._proxies = proxies
        self.cors = Cors(origins)
        self._tolls = tolls

    def bearer(self, headers: HTTPHeaders) -> Bearer:
        """Who brings this. Nothing is looked up, and nobody refused."""
        https, cookie = self._proxies.https(headers), cookie_header(headers)
        port = port_of(headers.get("Host", ""))
        brought = self._sessions.brought(cookie, headers.get("Authorization"), https, port)
        return Bearer(brought, cookie, https, port)

    def charge_known(self, brought: Brought | None, cost: float) -> Login | None:
        """As `charge`, where the login that was brought is in memory and counts: it is given back. None: nobody has paid."""
        login = self._sessions.known(brought)
        if login is not None and self._tolls.metered:
            self._tolls.user_pays(login.user_id, cost)
        return login

    def charge(
        self,
        headers: HTTPHeaders,
        cost: float,
        peer: Callable[[], str],
        seat: Seat | None,
        patience_s: float = 0.0,
        bucket: str = "",
        bearer: Bearer | None = None,
    ) -> float:
        """Have whoever asks pay, before anything else is done; the seconds for which the request has to wait.

        `peer` gives the address at the other end; `seat` is the connection's; `bucket` names one apart; `bearer` is that of
        the headers, where it is known. Raises `RateLimited`.
        """
        if not self._tolls.metered:
            return 0.0
        login = self._sessions.known((bearer or self.bearer(headers)).brought)
        if login is not None:
            return self._tolls.user_pays(login.user_id, cost, patience_s)
        return self.charge_address(headers, cost, peer, seat, patience_s, bucket)

    def charge_address(
        self,
        headers: HTTPHeaders,
        cost: float,
        peer: Callable[[], str],
        seat: Seat | None,
        patience_s: float = 0.0,
        bucket: str = "",
    ) -> float:
        """As `charge`, where it is known that no login in memory was brought."""
        tolls = self._tolls
        if not tolls.metered:
            return 0.0
        address = bucket + self._proxies.client(peer(), headers)
        wait_s = tolls.address_pays(address, cost, patience_s)
        if seat is not None:
            seat.owed = partial(tolls.user_pays_instead, address, cost)
        return wait_s

    def is_shared(self, peer: str) -> bool:
        """Whether others ask over the same connection. One that was refused then ends, where any other is not read for a
        while: a proxy gives it to whoever asks next, and they would wait for what somebody else did."""
        return self._proxies.speaks_for_many(peer)

    def check_funds(
        self,
        headers: HTTPHeaders,
        cost: float,
        peer: Callable[[], str],
        patience_s: float,
        bucket: str,
    ) -> None:
        """Raise the `RateLimited` that `charge` would where an address pays, and take nothing."""
        if self._tolls.metered and self._sessions.known(self.bearer(headers).brought) is None:
            address = bucket + self._proxies.client(peer(), headers)
            self._tolls.address_must_have(address, cost, patience_s)

    def ask(
        self,
        headers: HTTPHeaders,
        query: Mapping[str, str] = _NOTHING,
        *,
        bearer: Bearer | None = None,
        last_event_id: str | None = None,
        sets_cookie: bool = False,
        navigates: bool = False,
    ) -> Ask:
        """What the request says. `bearer` is that of the headers, where it is known; `last_event_id` wins over `after`;
        `sets_cookie`: its answer signs somebody in; `navigates`: it shows a page and changes nothing, so a link on a foreign page may lead to it.

        Raises `Unavailable` while draining, `Forbidden` for a foreign page, `BadRequest`.
        """
        self._readers.refuse_while_draining()
        bearer = bearer or self.bearer(headers)
        if not navigates:
            self._check_origin(headers, sets_cookie, bearer.https)
        whose = headers.get("X-Chat-User") or query.get("user") or None
        after = parse_cursor(query.get("after"), "after")
        if last_event_id:
            after = parse_cursor(last_event_id, "Last-Event-ID")
        client = parse_client(query.get("client"))
        return Ask(bearer.brought, bearer.cookie, whose, after, client, bearer.port)

    def known(self, ask: Ask) -> Arrival | None:
        """Who asks, if that can be told without waiting; None says nothing: then `admit`. Raises `AnotherAccount`."""
        return self.arrival(ask, self._sessions.known(ask.brought))

    def arrival(self, ask: Ask, login: Login | None) -> Arrival | None:
        """As `known`, where the login that it brings was just looked up."""
        if login is None:
            return None
        check_whose(ask, login)
        user = self._users.known(login.user_id)
        return None if user is None else Arrival(login, user, ask.after, ask.client)

    def look_up(self, ask: Ask, then: Then, is_new: bool = False) -> None:
        """Have whoever asks looked up together with others who come now, and call `then`: soon, or at once where that is of
        no use. Where `arrival` or `Mailboxes.known` still says nothing, ask `admit`. `is_new`: not all of it is in memory."""
        if ask.brought is None:
            go_on(partial(then, None))
        elif is_new:
            self.newcomers.ask(ask.brought, then)
        else:
            self.newcomers.look_up(ask.brought, then)

    async def admit(self, ask: Ask) -> Arrival:
        """Who asks. Raises `Unauthenticated`, and `AnotherAccount` where the page belongs to somebody else."""
        login = await self._sessions.resolve(ask.brought)
        check_whose(ask, login)
        user = await self._users.user(login.user_id)
        if not self._sessions.is_current(login):
            raise Unauthenticated("You are signed out.")
        return Arrival(login, user, ask.after, ask.client)

    def _check_origin(self, headers: HTTPHeaders, sets_cookie: bool, https: bool) -> None:
        # A token is brought by no page unasked; but whatever is brought does not count where the answer sets a cookie.
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
        if (origin is None and site is None) or ("Authorization" in headers and not sets_cookie):
            return
        host = headers.get("Host", "")
        if not origin_allowed(origin, site, host, self._origins, https):
            raise Forbidden(_why_foreign(origin, site, host))


def _why_foreign(origin: str | None, site: str | None, host: str) -> str:
    """Why a page counts as another site's; where a proxy has changed `Host` on the way, what to set."""
    page = normal_origin(origin or "")
    name = host.rpartition(":")[0] if re.search(r":[0-9]*$", host) else host
    if page is not None and (site == "same-origin" or urlsplit(page).hostname == name.strip("[]")):
        return (
            f"This page came from {origin}, but the request says Host: {host}. Have the proxy pass Host on with its "
            f"port (nginx: proxy_set_header Host $http_host), or start the server with --origin {origin}."
        )
    return "Requests from pages of another site are refused."


def check_whose(ask: Ask, login: Login) -> None:
    """Raises `AnotherAccount` where the page that asks belongs to somebody else."""
    if ask.whose is not None and ask.whose != login.user_id:
        raise AnotherAccount("Somebody else is signed in here now.")


def parse_cursor(text: str | None, name: str) -> int | None:
    """A cursor from a query or header; None where there is none. Raises `BadRequest`."""
    if text is None or text == "":
        return None
    cursor = written_number(text)
    if cursor is None:
        raise BadRequest(f"{name} is a cursor: an integer from 0 on.")
    return cursor


def parse_client(text: str | None) -> str:
    """A client's name for itself; empty where it has none. Raises `BadRequest`."""
    text = text or ""
    if len(text) > CLIENT_CHARS or not text.isprintable():
        raise BadRequest(f"client is at most {CLIENT_CHARS} printable characters.")
    return text
