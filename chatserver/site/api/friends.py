"""The API of friends: finding people, asking, ending, blocking."""

from __future__ import annotations

from chatserver.core import fields as rules
from chatserver.http.handlers import ApiHandler
from chatserver.verbs.friendships import SEARCH_DEFAULT


class People(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        page = self.house.settings.limits.page_events
        limit = rules.written_integer(self.argument("limit"), "limit", 1, page)
        query = rules.query(self.argument("q") or "")
        found = await self.house.friendships.find_people(
            login.user_id, query, min(page, limit or SEARCH_DEFAULT)
        )
        self.answer({"users": found})


class Friends(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.house.friendships.friends(login.user_id))


class Friend(ApiHandler):
    async def put(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        relation = await self.house.friendships.befriend(login.user_id, other_id)
        self.answer({"relation": relation})

    async def delete(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.house.friendships.unfriend(login.user_id, other_id)
        self.done()


class Blocks(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"users": await self.house.friendships.blocks(login.user_id)})


class Block(ApiHandler):
    async def put(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.house.friendships.block(login.user_id, other_id)
        self.done()

    async def delete(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        await self.house.friendships.unblock(login.user_id, other_id)
        self.done()
