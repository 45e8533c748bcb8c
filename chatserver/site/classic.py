"""Classic HTTP: `GET /classic`. Pages made by the server, for browsers without script and without colours.

A form answers 303 to an address not visited before (`?m=…`): text browsers show the page that they remember
when they are sent back to where they came from. A form to write carries the message's id, so that sending it
twice writes once; every form carries a secret that another site cannot know.
"""

from __future__ import annotations

import datetime
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tornado.routing import URLSpec
from tornado.template import Loader

from chatserver.core import fields as rules
from chatserver.core.conversations import Range
from chatserver.core.errors import (
    BadRequest,
    ChatError,
    Forbidden,
    Unauthenticated,
    UnsupportedMedia,
)
from chatserver.core.events import MAX_SEQ
from chatserver.core.people import Login, User
from chatserver.core.tallies import PREFIX as LAB
from chatserver.core.tallies import request_bytes, response_bytes
from chatserver.http.handlers import PageHandler, Parts

HERE = "/classic"
PAGE_MESSAGES = 20
PEOPLE_SHOWN = 50
FORM_FIELDS_MAX = 20
FORM_COOKIE = "chatserver_form"
"""What ties the forms of somebody who is signed out to their browser; it lasts until that is closed."""

REFRESH_MIN_S = 5
REFRESH_MAX_S = 600

ACTIONS = {"ask": "befriend", "accept": "befriend", "end": "unfriend"}
ACTIONS |= {"block": "block", "unblock": "unblock"}
"""What a button says, and the verb that it calls."""


class ClassicHandler(PageHandler):
    """A page of this kind: signed in or out, with its secret."""

    def initialize(self, parts: Parts, **more: Any) -> None:
        super().initialize(parts)
        self._loader: Loader = more["loader"]
        self._form_cookie = ""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def admit(self) -> None:
        super().admit()
        if self.request.method == "POST":
            self.parts.gate.check_origin(self.request.headers, always=True)

    async def who(self) -> tuple[Login, User] | None:
        """Who asks; None where nobody is signed in."""
        try:
            login = await self.login()
            return login, await self.parts.gate.user(login.user_id)
        except Unauthenticated:
            return None

    async def signed_in(self) -> tuple[Login, User]:
        """Who asks. Raises `Unauthenticated`."""
        who = await self.who()
        if who is None:
            raise Unauthenticated("Sign in first.")
        return who

    # Forms.

    def form(self, login: Login | None) -> dict[str, str]:
        """What the form says. Raises `Forbidden` where its secret is not that of this browser."""
        media_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if media_type.strip().lower() != "application/x-www-form-urlencoded":
            raise UnsupportedMedia("Forms come as application/x-www-form-urlencoded.")
        try:
            pairs = parse_qsl(
                self.taken_body().decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=FORM_FIELDS_MAX,
            )
        except ValueError:
            raise BadRequest("The form makes no sense.") from None
        fields = dict(pairs)
        if not self.parts.sessions.form_field_is_of(fields.get("_xsrf", ""), self._subject(login)):
            raise Forbidden("This form is too old, or not ours: go back, reload, and try again.")
        return fields

    def _subject(self, login: Login | None) -> str:
        return login.id if login else self.get_cookie(FORM_COOKIE, "")

    def secret(self, login: Login | None) -> str:
        """The secret for a form on the page that is made now."""
        subject = self._subject(login) or self._form_cookie
        if not subject:
            subject = self._form_cookie = secrets.token_urlsafe(16)
            self.set_cookie(
                FORM_COOKIE, subject, path=HERE, httponly=True, samesite="Lax", secure=self.https
            )
        return self.parts.sessions.form_field(subject)

    def page(self, name: str, login: Login | None, status: int = 200, **values: Any) -> None:
        """Answer with a template."""
        self.set_status(status)
        template = self._loader.load(name)
        values = {"user": None, "error": None, "refresh": 0, "here": HERE, **values}
        body = template.generate(xsrf=self.secret(login), **values)
        client = self.argument("client") or ""
        if login is not None and client.startswith(LAB):
            self._count(login, client, len(body))
        self.finish(body)

    def _count(self, login: Login, client: str, body_bytes: int) -> None:
        request = self.request
        up = request_bytes(request.method or "", request.uri or "", request.headers.get_all())
        down = response_bytes(200, "OK", self._headers.get_all()) + body_bytes
        lanes = self.parts.delivery.lanes
        lanes.count(login.user_id, client, "classic", requests=1, up=up, down=down)

    def go(self, unvisited: object, **arguments: str) -> None:
        """Send the browser on, to an address that it has not been at."""
        self.set_status(303)
        self.set_header("Location", f"{HERE}?{urlencode({**arguments, 'm': str(unvisited)})}")
        self.finish()

    def now(self) -> int:
        """What makes an address new where there is no seq: the time in microseconds."""
        return int(datetime.datetime.now(datetime.UTC).timestamp() * 1_000_000)

    def tell(self, error: ChatError) -> None:
        """Answer with a page that says what is wrong."""
        if isinstance(error, Unauthenticated):
            self.page("sign_in.html", None, 401, error=error.detail, email="")
            return
        super().tell(error)


class Timeline(ClassicHandler):
    """The latest messages of a conversation, or older ones, and a form to write."""

    async def get(self) -> None:
        who = await self.who()
        if who is None:
            self.page("sign_in.html", None, email="")
            return
        login, user = who
        before = rules.written_integer(self.argument("before"), "before", 0, MAX_SEQ)
        refresh_s = rules.written_integer(self.argument("refresh"), "refresh", 0, 10**9) or 0
        if refresh_s:
            refresh_s = min(REFRESH_MAX_S, max(REFRESH_MIN_S, refresh_s))
        self.parts.delivery.attendance.polled(user.id, float(refresh_s))
        peer = rules.optional_id(self.argument("with") or None, "with")
        await self.show(login, user, Range(peer, before, limit=PAGE_MESSAGES), refresh_s)

    async def show(
        self,
        login: Login,
        user: User,
        part: Range,
        refresh_s: int = 0,
        status: int = 200,
        **form: str,
    ) -> None:
        """The page; `form` is what stands in the form to write, and what is wrong with it."""
        parts = self.parts
        history = json.loads(await parts.service.history(user.id, part))
        messages = history["messages"]
        if messages and part.before is None and status == 200:
            await self._mark_read(user, part.peer, messages[-1]["seq"])
        friends = (await parts.friendships.friends(user.id))["friends"]
        state = await parts.service.read_state(user.id)
        peers = {friend["id"]: friend for friend in friends}
        self.page(
            "timeline.html",
            login,
            status,
            user=user,
            messages=[_shown(message) for message in messages],
            older=messages[0]["seq"] if messages and history["more"] else None,
            newest=part.before is None,
            peer=peers.get(part.peer or ""),
            peer_id=part.peer or "",
            friends=friends,
            unread={row["with"]: row["count"] for row in state["unread"]},
            refresh=refresh_s,
            message_id=form.get("clientId") or secrets.token_urlsafe(12),
            text=form.get("text", ""),
            error=form.get("error"),
        )

    async def _mark_read(self, user: User, peer: str | None, up_to: int) -> None:
        try:
            await self.parts.service.read(user.id, {"with": peer, "upTo": up_to})
        except Forbidden:
            return  # own messages to somebody who is no friend any more


class Write(Timeline):
    """The form to write."""

    async def get(self) -> None:
        self.go(self.now())

    async def post(self) -> None:
        login, user = await self.signed_in()
        form = self.form(login)
        to = form.get("to") or None
        fields = {"text": form.get("text"), "to": to, "clientId": form.get("clientId")}
        try:
            place = await self.parts.service.send(user.id, fields)
        except ChatError as error:
            kept = {"text": form.get("text", ""), "clientId": form.get("clientId", "")}
            part = Range(rules.optional_id(to, "to"), limit=PAGE_MESSAGES)
            await self.show(login, user, part, 0, error.status, error=error.detail, **kept)
            return
        # A repeat has been at its seq's address before.
        unvisited = f"{place.seq}.{self.now()}" if place.duplicate else str(place.seq)
        self.go(unvisited, **({"with": to} if to else {}))


class SignInForm(ClassicHandler):
    """The form to sign in."""

    async def get(self) -> None:
        self.page("sign_in.html", None, email="")

    async def post(self) -> None:
        form = self.form(None)
        agent = self.request.headers.get("User-Agent", "")
        try:
            _, login = await self.parts.accounts.sign_in(form, self.address, agent)
        except ChatError as error:
            email = form.get("email", "")
            self.page("sign_in.html", None, error.status, error=error.detail, email=email)
            return
        self.add_header("Set-Cookie", self.parts.sessions.cookie(login, self.https))
        self.go(self.now())


class RegisterForm(ClassicHandler):
    """The form to register."""

    async def get(self) -> None:
        self.page("register.html", None, form={})

    async def post(self) -> None:
        form = self.form(None)
        agent = self.request.headers.get("User-Agent", "")
        try:
            user = await self.parts.accounts.register(form, self.address)
        except ChatError as error:
            self.page("register.html", None, error.status, error=error.detail, form=form)
            return
        login = await self.parts.sessions.begin(user.id, agent)
        self.add_header("Set-Cookie", self.parts.sessions.cookie(login, self.https))
        self.go(self.now())


class SignOutForm(ClassicHandler):
    """The button to sign out."""

    async def post(self) -> None:
        login, _ = await self.signed_in()
        self.form(login)
        await self.parts.accounts.sign_out(login)
        self.clear_header("Set-Cookie")
        self.add_header("Set-Cookie", self.parts.sessions.no_cookie(self.https))
        self.go(self.now())


class FriendsPage(ClassicHandler):
    """Friends, who has asked whom, a search, and the buttons for all that."""

    async def get(self) -> None:
        login, user = await self.signed_in()
        await self._show(login, user, self.argument("q") or "")

    async def post(self) -> None:
        login, user = await self.signed_in()
        form = self.form(login)
        verb = ACTIONS.get(form.get("action", ""))
        if verb is None:
            raise BadRequest("The form makes no sense.")
        other_id = rules.an_id(form.get("id"), "id")
        try:
            await getattr(self.parts.friendships, verb)(user.id, other_id)
        except ChatError as error:
            await self._show(login, user, "", error.status, error.detail)
            return
        self.set_status(303)
        self.set_header("Location", f"{HERE}/friends?m={self.now()}")
        self.finish()

    async def _show(
        self, login: Login, user: User, query: str, status: int = 200, error: str | None = None
    ) -> None:
        verbs = self.parts.friendships
        found = await verbs.find_people(user.id, rules.query(query), PEOPLE_SHOWN)
        state = await verbs.friends(user.id)
        self.page(
            "friends.html",
            login,
            status,
            user=user,
            error=error,
            query=query,
            found=found,
            blocked=await verbs.blocks(user.id),
            **{name: state[name] for name in ("friends", "incoming", "outgoing")},
        )


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    """A message with its time as people in no particular place read it."""
    at = datetime.datetime.fromtimestamp(message["at"] / 1000, datetime.UTC)
    return {**message, "time": at.strftime("%Y-%m-%d %H:%M UTC")}


def routes(parts: Parts, web_folder: Path) -> list[Any]:
    """The classic part of the application; templates are read from `web_folder`/templates."""
    loader = Loader(str(web_folder / "templates"), autoescape="xhtml_escape", whitespace="all")
    arguments = {"parts": parts, "loader": loader}
    table: tuple[tuple[str, type[ClassicHandler]], ...] = (
        (HERE, Timeline),
        (f"{HERE}/messages", Write),
        (f"{HERE}/login", SignInForm),
        (f"{HERE}/register", RegisterForm),
        (f"{HERE}/logout", SignOutForm),
        (f"{HERE}/friends", FriendsPage),
    )
    return [URLSpec(pattern, handler, arguments) for pattern, handler in table]
