"""The API of one's own account: in and out, profile, tokens, signed-in devices."""

from __future__ import annotations

from chatserver.core.errors import Unauthenticated
from chatserver.site.api.rows import RowHandler
from chatserver.verbs.sessions import FIRST_GENERATION


class Register(RowHandler):
    sets_cookie = True

    async def post(self) -> None:
        user = await self.house.accounts.register(self.fields(), self.address)
        agent = self.request.headers.get("User-Agent", "")
        login = await self.house.sessions.begin(user.id, FIRST_GENERATION, agent)
        await self.give_cookie(login)
        self.answer({"user": await self.house.accounts.me(user.id)}, 201)


class SignIn(RowHandler):
    sets_cookie = True

    async def post(self) -> None:
        agent = self.request.headers.get("User-Agent", "")
        user, login = await self.house.accounts.sign_in(
            self.fields(), self.address, agent, self._ask.cookie
        )
        await self.give_cookie(login)
        self.answer({"user": await self.house.accounts.me(user.id)})


class SignOut(RowHandler):
    async def post(self) -> None:
        login = await self.login()
        self.no_fields()
        await self.house.accounts.sign_out(login)
        if login.kind == "cookie":
            self.take_cookies_away()
        self.done()


class Me(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"user": await self.house.accounts.me(login.user_id)})

    async def patch(self) -> None:
        fields = self.fields()
        login = await self.login()
        self.answer({"user": await self.house.accounts.change(login, fields)})

    async def delete(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.accounts.leave(login, fields)
        self.take_cookies_away()
        self.done()


class Visitor(RowHandler):
    async def get(self) -> None:
        try:
            login = await self.login()
        except Unauthenticated:
            self.answer({"user": None})
            return
        self.answer({"user": await self.house.accounts.me(login.user_id)})


class Tokens(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"tokens": await self.house.accounts.tokens(login.user_id)})

    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        self.answer(await self.house.accounts.issue_token(login, fields), 201)


class Token(RowHandler):
    async def delete(self, token_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.house.sessions.end_one(login.user_id, "token", token_id)
        self.done()


class Devices(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"sessions": await self.house.accounts.devices(login)})

    async def delete(self) -> None:
        self.no_fields()
        login = await self.login()
        await self.house.sessions.end_others(login)
        self.done()


class Device(RowHandler):
    async def delete(self, login_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.house.sessions.end_one(login.user_id, "cookie", login_id)
        self.done()
