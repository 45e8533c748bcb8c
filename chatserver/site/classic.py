"""Classic HTTP: `GET /classic`. Pages made by the server, for browsers without script and without colours.

A page reads the history, not the mailbox: it has no cursor, and asks for what there is when it is asked for.

A form answers 303 to an address not visited before (`?m=…`): text browsers show the page that they remember
when they are sent back to where they came from. A form to write carries the message's id, so that sending it
twice writes once; every form carries a secret that another site cannot know.
"""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from tornado.routing import URLSpec
from tornado.template import Loader

from chatserver.core import fields as rules
from chatserver.core.conversations import Conversation, Range, conversation_with, peer_of
from chatserver.core.errors import (
    ChatError,
    Forbidden,
    Unauthenticated,
    UnsupportedMedia,
)
from chatserver.core.events import MAX_SEQ
from chatserver.core.people import Login, User
from chatserver.core.tallies import PREFIX as LAB
from chatserver.core.tallies import request_bytes, response_bytes
from chatserver.http.admission import Arrival, Ask
from chatserver.http.handlers import PageHandler
from chatserver.http.house import House
from chatserver.http.requests import ESCAPES_A_REQUEST, cookie_header, escapes, parse_form
from chatserver.site import shown
from chatserver.verbs.cookies import cookie_named
from chatserver.verbs.sessions import FIRST_GENERATION

HERE = "/classic"
PAGE_MESSAGES = 20
PEOPLE_SHOWN = 50
"""On a page, of each list; the rest is a link further. Two hundred of them with their buttons take 8 ms."""
FORM_COOKIE = "chatserver_form"
"""What ties the forms of somebody who is signed out to their browser; it lasts until that is closed."""
SECURE_FORM_COOKIE = "__Host-chatserver_form"
"""Under https, where only this one counts: one that a sibling host has planted would make its forms ours."""

REFRESH_MIN_S = 5
REFRESH_MAX_S = 600


class ClassicHandler(PageHandler):
    """A page of this kind: signed in or out, with its secret."""

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house)
        self._loader: Loader = more["loader"]
        self._form_cookie = ""
        self._ask: Ask

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def admit(self) -> None:
        shows = self.request.method != "POST"
        headers = self.request.headers
        self._ask = self.house.admission.ask(headers, sets_cookie=True, navigates=shows)

    async def who(self) -> Arrival | None:
        """Who asks; None where nobody is signed in."""
        try:
            return await self.arrive(self._ask)
        except Unauthenticated:
            return None

    async def signed_in(self) -> Arrival:
        """Who asks. Raises `Unauthenticated`."""
        return await self.arrive(self._ask)

    def part(self, name: str, people: Sequence[Any]) -> dict[str, Any]:
        """What of a list stands on this page: from where `?name=` says, and where the page before and the next begin."""
        at = self.place(name)
        return self.part_at(name, at, people[at : at + PEOPLE_SHOWN], len(people))

    def place(self, name: str) -> int:
        """Where a list begins on this page."""
        return rules.written_integer(self.argument(name), name, 0, MAX_SEQ) or 0

    def part_at(self, name: str, at: int, people: Sequence[Any], count: int) -> dict[str, Any]:
        """As `part`, where those who stand on this page are known, and how many there are in all."""
        later = at + PEOPLE_SHOWN
        return {
            name: people,
            f"{name}_earlier": max(0, at - PEOPLE_SHOWN) if at else None,
            f"{name}_later": later if later < count else None,
        }

    async def some_friends(self, user_id: str, first: Collection[str] = ()) -> dict[str, Any]:
        """The part of the friends; those of `first` stand before the others."""
        at = self.place("friends")
        found = await self.house.friendships.page(user_id, at, PEOPLE_SHOWN, first)
        return self.part_at("friends", at, *found)

    # Forms.

    def form(self, login: Login | None) -> dict[str, str]:
        """What the form says. Raises `Forbidden` where its secret is not that of this browser."""
        media_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if media_type.strip().lower() != "application/x-www-form-urlencoded":
            raise UnsupportedMedia("Forms come as application/x-www-form-urlencoded.")
        fields = parse_form(self._paid_body())
        subject = self._subject(login)
        if not subject:
            raise Forbidden(
                "Your browser did not send the cookie of this form: allow cookies for this site, reload, and try again."
            )
        if not self.house.sessions.form_field_is_of(fields.get("_xsrf", ""), subject):
            raise Forbidden("This form is too old, or not ours: go back, reload, and try again.")
        return fields

    def _paid_body(self) -> bytes:
        """The body, paid for where it takes long to be read. Raises `BadRequest` and `RateLimited`."""
        body = self.taken_body()
        cost = escapes(body) / ESCAPES_A_REQUEST
        if cost > 1:
            peer = self.request.remote_ip or ""
            self.house.admission.charge(self.request.headers, cost, lambda: peer, None)
        return body

    def _subject(self, login: Login | None) -> str:
        if login is not None:
            return login.id
        name = SECURE_FORM_COOKIE if self.https else FORM_COOKIE
        return cookie_named(cookie_header(self.request.headers), name) or ""

    def secret(self, login: Login | None) -> str:
        """The secret for a form on the page that is made now."""
        subject = self._subject(login) or self._form_cookie
        if not subject:
            subject = self._form_cookie = secrets.token_urlsafe(16)
            name, path = (SECURE_FORM_COOKIE, "/") if self.https else (FORM_COOKIE, HERE)
            self.set_cookie(
                name, subject, path=path, httponly=True, samesite="Lax", secure=self.https
            )
        return self.house.sessions.form_field(subject)

    def page(self, name: str, login: Login | None, status: int = 200, **values: Any) -> None:
        """Answer with a template."""
        self.set_status(status)
        template = self._loader.load(name)
        values = {"user": None, "error": None, "refresh": 0, "here": HERE, **values}
        values |= shown.vocabulary(self.language)
        body = template.generate(xsrf=self.secret(login), **values)
        if (
            login is not None
        ):  # a refusal does not read the request once more, which may be what is wrong
            self._count(login, len(body))
        self.finish(body)

    def _count(self, login: Login, body_bytes: int) -> None:
        client = self.argument("client") or ""
        if not client.startswith(LAB):
            return
        request = self.request
        up = request_bytes(request.method or "", request.uri or "", request.headers.get_all())
        down = response_bytes(200, "OK", self._headers.get_all()) + body_bytes
        tallies = self.house.delivery.tallies
        tallies.count(login.user_id, client, "classic", requests=1, up=up, down=down)

    def said(self, error: ChatError) -> str:
        """Why something was refused, in the reader's language."""
        return self.language.refusal(error.code, error.detail)

    def go(self, unvisited: object, at: str = "", **arguments: str) -> None:
        """Send the browser on, to an address that it has not been at; `at` names a place on the page."""
        self.set_status(303)
        query = urlencode({**arguments, "m": str(unvisited)})
        self.set_header("Location", f"{HERE}?{query}" + (f"#{at}" if at else ""))
        self.finish()

    def now(self) -> int:
        """What makes an address new where there is no seq: the time in microseconds."""
        return int(datetime.datetime.now(datetime.UTC).timestamp() * 1_000_000)

    def refuse(self, error: ChatError) -> None:
        """Answer with a page that says what is wrong."""
        if isinstance(error, Unauthenticated):
            self.page("sign_in.html", None, 401, error=self.said(error), email="")
            return
        super().refuse(error)


class Timeline(ClassicHandler):
    """The latest messages of a conversation, or older ones, and a form to write."""

    async def get(self) -> None:
        arrival = await self.who()
        if arrival is None:
            self.page("sign_in.html", None, email="")
            return
        before = rules.written_integer(self.argument("before"), "before", 0, MAX_SEQ)
        refresh_s = rules.written_integer(self.argument("refresh"), "refresh", 0, 10**9) or 0
        if refresh_s:
            refresh_s = min(REFRESH_MAX_S, max(REFRESH_MIN_S, refresh_s))
        if self._is_looked_at():
            self.house.delivery.attendance.polled(arrival.user.id, float(refresh_s))
        conversation = conversation_with(rules.optional_id(self.argument("with") or None, "with"))
        part = Range(conversation, before, limit=PAGE_MESSAGES)
        await self.show(arrival, part, refresh_s)

    async def show(
        self,
        arrival: Arrival,
        part: Range,
        refresh_s: int = 0,
        status: int = 200,
        **form: str,
    ) -> None:
        """The page; `form` is what stands in the form to write, and what is wrong with it."""
        house, user, peer = self.house, arrival.user, peer_of(part.conversation)
        history = json.loads(await house.messages.history(user.id, part))
        messages = history["messages"]
        if messages and part.before is None and status == 200 and self._is_looked_at():
            await self._mark_read(user, part.conversation, messages[-1]["seq"])
        state = await house.reads.read_state(user.id)
        unread = {row["with"]: row["count"] for row in state["unread"]}
        self.page(
            "timeline.html",
            arrival.login,
            status,
            user=user,
            messages=shown.messages(
                messages, (await house.accounts.me(user.id))["zone"], self.language
            ),
            older=messages[0]["seq"] if messages and history["more"] else None,
            newest=part.before is None,
            peer=None if peer is None else await house.friendships.friend(user.id, peer),
            peer_id=peer or "",
            unread=unread,
            refresh=refresh_s,
            message_id=form.get("clientId") or secrets.token_urlsafe(12),
            text=form.get("text", ""),
            error=form.get("error"),
            # Who has written something new stands on the first page.
            **await self.some_friends(user.id, [other for other in unread if other]),
        )

    def _is_looked_at(self) -> bool:
        """Whether somebody sees the page: it is neither fetched before anybody asked for it, nor a part of another one."""
        headers = self.request.headers
        ahead = (
            headers.get(name, "").lower()
            for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
        )
        if any(
            word in purpose for purpose in ahead for word in ("prefetch", "prerender", "preview")
        ):
            return False
        return (
            self.request.method != "HEAD"
            and headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        )

    async def _mark_read(self, user: User, conversation: Conversation, up_to: int) -> None:
        try:
            fields = {"with": peer_of(conversation), "upTo": up_to}
            await self.house.reads.read(user.id, fields, patient=False)
        except Forbidden:
            return  # own messages to somebody who is no friend any more


class Write(Timeline):
    """The form to write."""

    async def get(self) -> None:
        self.go(self.now())

    async def post(self) -> None:
        arrival = await self.signed_in()
        form = self.form(arrival.login)
        to = form.get("to") or None
        fields = {"text": form.get("text"), "to": to, "clientId": form.get("clientId")}
        try:
            place = await self.house.messages.send(arrival.user.id, fields)
        except ChatError as error:
            kept = {"text": form.get("text", ""), "clientId": form.get("clientId", "")}
            conversation = conversation_with(rules.optional_id(to, "to"))
            part = Range(conversation, limit=PAGE_MESSAGES)
            await self.show(arrival, part, 0, error.status, error=self.said(error), **kept)
            return
        # A repeat has been at its seq's address before.
        unvisited = f"{place.seq}.{self.now()}" if place.duplicate else str(place.seq)
        # To where the message stands: a page begins at its top, and what is newest is at its end.
        self.go(unvisited, at="newest", **({"with": to} if to else {}))


class SignInForm(ClassicHandler):
    """The form to sign in."""

    async def get(self) -> None:
        self.page("sign_in.html", None, email="")

    async def post(self) -> None:
        form = self.form(None)
        agent = self.request.headers.get("User-Agent", "")
        try:
            cookies = self._ask.cookie
            _, login = await self.house.accounts.sign_in(form, self.address, agent, cookies)
        except ChatError as error:
            email = form.get("email", "")
            self.page("sign_in.html", None, error.status, error=self.said(error), email=email)
            return
        await self.give_cookie(login)
        self.go(self.now())


class RegisterForm(ClassicHandler):
    """The form to register."""

    async def get(self) -> None:
        self.page("register.html", None, form={})

    async def post(self) -> None:
        form = self.form(None)
        agent = self.request.headers.get("User-Agent", "")
        try:
            user = await self.house.accounts.register(form, self.address)
        except ChatError as error:
            self.page("register.html", None, error.status, error=self.said(error), form=form)
            return
        login = await self.house.sessions.begin(user.id, FIRST_GENERATION, agent)
        await self.give_cookie(login)
        self.go(self.now())


class SignOutForm(ClassicHandler):
    """The button to sign out."""

    async def post(self) -> None:
        login = (await self.signed_in()).login
        self.form(login)
        await self.house.accounts.sign_out(login)
        self.take_cookies_away()
        self.go(self.now())


Page = tuple[str, type[ClassicHandler]]
"""An address, and who answers there."""


def routes(given: dict[str, Any], more: Sequence[Page]) -> list[Any]:
    """The classic part of the application, with `more` pages."""
    table: tuple[Page, ...] = (
        (HERE, Timeline),
        (f"{HERE}/messages", Write),
        (f"{HERE}/login", SignInForm),
        (f"{HERE}/register", RegisterForm),
        (f"{HERE}/logout", SignOutForm),
        *more,
    )
    return [URLSpec(pattern, handler, given) for pattern, handler in table]
