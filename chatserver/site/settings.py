"""`/classic/settings`: the language of this browser's pages, the time zone of the account, and the way out of it."""

from __future__ import annotations

import time

from chatserver.core.errors import ChatError
from chatserver.http.admission import Arrival
from chatserver.http.requests import cookie_header
from chatserver.http.words import COOKIE
from chatserver.site.classic import HERE, ClassicHandler, Page
from chatserver.verbs.cookies import cookie_named
from chatserver.verbs.zones import COMMON, local_time

LANGUAGE_DAYS = 400
"""As long as browsers keep a cookie (RFC 6265bis, section 5.5)."""


class SettingsPage(ClassicHandler):
    """What a reader without script may choose."""

    async def get(self) -> None:
        arrival = await self.who()
        zone = (await self._own(arrival))["zone"] if arrival else ""
        self._show(arrival, zone)

    async def post(self) -> None:
        arrival = await self.who()
        form = self.form(arrival.login if arrival else None)
        zone = form.get("zone", "")
        if arrival is not None:
            try:
                await self.house.accounts.change(arrival.login, {"zone": zone})
            except ChatError as error:
                self._show(arrival, zone, error.status, error=self.said(error))
                return
        self._keep_language(form.get("language", ""))
        self.set_status(303)
        self.set_header("Location", f"{HERE}/settings?m={self.now()}")
        self.finish()

    async def _own(self, arrival: Arrival) -> dict[str, str]:
        return await self.house.accounts.me(arrival.user.id)

    def _keep_language(self, tag: str) -> None:
        if tag in self.house.words.languages:
            # Not HttpOnly: the page with script reads and sets it too.
            self.set_cookie(COOKIE, tag, expires_days=LANGUAGE_DAYS, path="/", samesite="Lax")
        elif not tag:
            self.clear_cookie(COOKIE, path="/")

    def _show(self, arrival: Arrival | None, zone: str, status: int = 200, **more: str) -> None:
        now = local_time(int(time.time() * 1000), zone)
        self.page(
            "settings.html",
            arrival.login if arrival else None,
            status,
            user=arrival.user if arrival else None,
            languages=self.house.words.languages,
            chosen=cookie_named(cookie_header(self.request.headers), COOKIE) or "",
            zone=zone,
            zones=COMMON,
            now_there=f"{now:%Y-%m-%d %H:%M}",
            **more,
        )


class LeaveForm(SettingsPage):
    """The form to delete the account. Whoever loads its refusal again is shown the settings."""

    async def post(self) -> None:
        arrival = await self.signed_in()
        form = self.form(arrival.login)
        try:
            await self.house.accounts.leave(arrival.login, {"password": form.get("password")})
        except ChatError as error:
            zone = (await self._own(arrival))["zone"]
            self._show(arrival, zone, error.status, error=self.said(error))
            return
        self.take_cookies_away()
        self.go(self.now())


PAGES: tuple[Page, ...] = ((f"{HERE}/settings", SettingsPage), (f"{HERE}/leave", LeaveForm))
