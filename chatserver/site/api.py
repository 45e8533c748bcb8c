"""Floor 4: the JSON API of `docs/protocol.md`. Each handler reads a request, calls one verb, and answers."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from tornado.routing import URLSpec

from chatserver.core import fields as rules
from chatserver.core.conversations import Range
from chatserver.core.errors import Forbidden, Unauthenticated, Unavailable
from chatserver.core.events import MAX_SEQ
from chatserver.core.people import Login
from chatserver.http.admission import client_address
from chatserver.http.handlers import ApiHandler, Parts, UnknownAddress
from chatserver.site.metrics import Metrics
from chatserver.verbs.messages import HISTORY_DEFAULT, SEARCH_DEFAULT


class Register(ApiHandler):
    sets_cookie = True

    async def post(self) -> None:
        user = await self.parts.accounts.register(self.fields(), self.address)
        agent = self.request.headers.get("User-Agent", "")
        login = await self.parts.sessions.begin(user.id, agent)
        self.add_header("Set-Cookie", self.parts.sessions.cookie(login, self.https))
        self.answer({"user": await self.parts.accounts.me(user.id)}, 201)


class SignIn(ApiHandler):
    sets_cookie = True

    async def post(self) -> None:
        agent = self.request.headers.get("User-Agent", "")
        user, login = await self.parts.accounts.sign_in(self.fields(), self.address, agent)
        self.add_header("Set-Cookie", self.parts.sessions.cookie(login, self.https))
        self.answer({"user": await self.parts.accounts.me(user.id)})


class SignOut(ApiHandler):
    async def post(self) -> None:
        self.no_fields()
        login = await self.login()
        await self.parts.accounts.sign_out(login)
        self._take_cookie_away(login)
        self.done()

    def _take_cookie_away(self, login: Login) -> None:
        # `login` may have renewed the cookie just now: only the last word counts.
        self.clear_header("Set-Cookie")
        if login.kind == "cookie":
            self.add_header("Set-Cookie", self.parts.sessions.no_cookie(self.https))


class Me(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"user": await self.parts.accounts.me(login.user_id)})

    async def patch(self) -> None:
        fields = self.fields()
        login = await self.login()
        self.answer({"user": await self.parts.accounts.change(login, fields)})

    async def delete(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.parts.accounts.leave(login.user_id, fields)
        self.clear_header("Set-Cookie")
        self.add_header("Set-Cookie", self.parts.sessions.no_cookie(self.https))
        self.done()


class Tokens(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"tokens": await self.parts.accounts.tokens(login.user_id)})

    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        self.answer(await self.parts.accounts.issue_token(login.user_id, fields), 201)


class Token(ApiHandler):
    async def delete(self, token_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.parts.sessions.end_one(login.user_id, "token", token_id)
        self.done()


class Devices(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"sessions": await self.parts.accounts.devices(login)})


class Device(ApiHandler):
    async def delete(self, login_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.parts.sessions.end_one(login.user_id, "cookie", login_id)
        self.done()


class People(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        page = self.parts.settings.limits.page_events
        limit = rules.written_integer(self.argument("limit"), "limit", 1, page)
        query = rules.query(self.argument("q") or "")
        found = await self.parts.friendships.find_people(
            login.user_id, query, min(page, limit or SEARCH_DEFAULT)
        )
        self.answer({"users": found})


class Friends(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.parts.friendships.friends(login.user_id))


class Friend(ApiHandler):
    async def put(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        relation = await self.parts.friendships.befriend(login.user_id, other_id)
        self.answer({"relation": relation})

    async def delete(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.parts.friendships.unfriend(login.user_id, other_id)
        self.done()


class Blocks(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"users": await self.parts.friendships.blocks(login.user_id)})


class Block(ApiHandler):
    async def put(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.parts.friendships.block(login.user_id, other_id)
        self.done()

    async def delete(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.parts.friendships.unblock(login.user_id, other_id)
        self.done()


class Messages(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        page = self.parts.settings.limits.page_events
        limit = rules.written_integer(self.argument("limit"), "limit", 1, page)
        before = rules.written_integer(self.argument("before"), "before", 0, MAX_SEQ)
        after = rules.written_integer(self.argument("after"), "after", 0, MAX_SEQ)
        peer = rules.optional_id(self.argument("with"), "with")
        part = Range(peer, before, after, min(page, limit or HISTORY_DEFAULT))
        self.answer(await self.parts.service.history(login.user_id, part))

    async def post(self) -> None:
        fields = self.fields()
        headers, gate = self.request.headers, self.parts.gate
        # A message is the most frequent request: a login in memory is taken without a detour.
        login = gate.known(headers) or await self.login()
        place = await self.parts.service.send(login.user_id, fields)
        told = {"seq": place.seq, "at": place.at_ms, "clientId": fields.get("clientId")}
        self.answer(told, 200 if place.duplicate else 201)


class Typing(ApiHandler):
    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.parts.service.typing(login.user_id, fields)
        self.done()


class Read(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.parts.service.read_state(login.user_id))

    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.parts.service.read(login.user_id, fields)
        self.done()


class Health(ApiHandler):
    """Alive: the loop turns."""

    drained = False

    def get(self) -> None:
        self.answer({"status": "ok"})


class Ready(ApiHandler):
    """Whether new work may be sent here."""

    drained = False

    def get(self) -> None:
        parts = self.parts
        if parts.delivery.draining:
            raise Unavailable("The server is restarting.")
        if not parts.store.healthy or not parts.journal.healthy:
            raise Unavailable("The store or the journal cannot be used.")
        self.answer({"status": "ready"})


class MetricsPage(ApiHandler):
    """Prometheus: to the one with the token, or without one to loopback."""

    drained = False

    def initialize(self, parts: Parts, **more: Any) -> None:
        super().initialize(parts)
        self._metrics: Metrics = more["metrics"]

    def get(self) -> None:
        self._admit()
        body, content_type = self._metrics.page()
        self.set_header("Content-Type", content_type)
        self.finish(body)

    def _admit(self) -> None:
        token = self.parts.settings.metrics_token
        headers = self.request.headers
        if token:
            given = headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                raise Unauthenticated("The metrics need their own token.")
            return
        # What a proxy on this machine passes on comes from loopback too, but not from this machine.
        forwarded = "X-Forwarded-For" in headers or "Forwarded" in headers
        address = client_address(self.request, self.parts.settings)
        try:
            loopback = ipaddress.ip_address(address).is_loopback
        except ValueError:
            loopback = False
        if forwarded or not loopback:
            raise Forbidden("The metrics are for this machine only.")


_ROUTES: tuple[tuple[str, type[ApiHandler]], ...] = (
    (r"/api/register", Register),
    (r"/api/login", SignIn),
    (r"/api/logout", SignOut),
    (r"/api/me", Me),
    (r"/api/tokens", Tokens),
    (r"/api/tokens/([^/]+)", Token),
    (r"/api/sessions", Devices),
    (r"/api/sessions/([^/]+)", Device),
    (r"/api/users", People),
    (r"/api/friends", Friends),
    (r"/api/friends/([^/]+)", Friend),
    (r"/api/blocks", Blocks),
    (r"/api/blocks/([^/]+)", Block),
    (r"/api/messages", Messages),
    (r"/api/typing", Typing),
    (r"/api/read", Read),
    (r"/healthz", Health),
    (r"/readyz", Ready),
)


def routes(parts: Parts, metrics: Metrics) -> list[Any]:
    """The API's part of the application; `unknown` goes after every other route."""
    page = URLSpec(r"/metrics", MetricsPage, {"parts": parts, "metrics": metrics})
    return [page] + [URLSpec(pattern, handler, {"parts": parts}) for pattern, handler in _ROUTES]


def unknown(parts: Parts) -> list[Any]:
    """404 as a problem for every other address under the API's and the streams' roots."""
    pattern = r"/(?:api|poll|events|ws)(?:/.*)?"
    return [URLSpec(pattern, UnknownAddress, {"parts": parts})]
