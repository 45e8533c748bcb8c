"""The API of friends: finding people, asking, ending, blocking."""

from __future__ import annotations

from chatserver.site.api.rows import RowHandler
from chatserver.verbs.friendships import SEARCH_DEFAULT


class People(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        asked = self.arguments()
        limit = min(self.house.settings.limits.page_events, asked["limit"] or SEARCH_DEFAULT)
        found = await self.house.friendships.find_people(login.user_id, asked["q"], limit)
        self.answer({"users": found})


class Friends(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.house.friendships.friends(login.user_id))


class Friend(RowHandler):
    async def put(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        relation = await self.house.friendships.befriend(login.user_id, other_id)
        self.answer({"relation": relation})

    async def delete(self, other_id: str) -> None:
        self.no_fields()
        login = await self.login()
        verbs, delay_s = self.house.friendships, self.arguments()["delay"]
        if delay_s and await verbs.end_later(login.user_id, other_id, delay_s):
            self.answer({"endsIn": delay_s}, 202)
            return
        await verbs.unfriend(login.user_id, other_id)
        self.done()


class Blocks(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer({"users": await self.house.friendships.blocks(login.user_id)})


class Block(RowHandler):
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
