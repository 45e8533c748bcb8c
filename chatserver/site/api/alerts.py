"""The API of being called: what an account wishes, and which browsers may be woken."""

from __future__ import annotations

from chatserver.site.api.rows import RowHandler


class AlertWishes(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.house.alerts.wishes(login.user_id))

    async def put(self) -> None:
        fields = self.fields()
        login = await self.login()
        self.answer(await self.house.alerts.wish(login.user_id, fields))


class PushSubscription(RowHandler):
    async def put(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.alerts.subscribe(login, fields)
        self.done()

    async def delete(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.alerts.unsubscribe(login.user_id, fields)
        self.done()
