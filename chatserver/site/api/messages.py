"""The API of messages: the history, writing, typing, read positions."""

from __future__ import annotations

from chatserver.core.conversations import PAGE_EVENTS, Range, conversation_with
from chatserver.site.api.rows import RowHandler


class Messages(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        asked = self.arguments()
        limit = min(self.house.settings.limits.page_events, asked["limit"] or PAGE_EVENTS)
        conversation = conversation_with(asked["with"])
        part = Range(conversation, asked["before"], asked["after"], limit)
        self.answer(await self.house.messages.history(login.user_id, part))

    async def post(self) -> None:
        fields = self.fields()
        # A message is the most frequent request: a login in memory is taken without a detour.
        arrival = self.house.admission.known(self._ask) or await self.arrive(self._ask)
        place = await self.house.messages.send(arrival.user.id, fields)
        answer = {"seq": place.seq, "at": place.at_ms, "clientId": fields.get("clientId")}
        self.answer(answer, 200 if place.duplicate else 201)


class Conversations(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.house.reads.conversations(login.user_id))


class Typing(RowHandler):
    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.messages.typing(login.user_id, fields)
        self.done()


class Read(RowHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.house.reads.read_state(login.user_id))

    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.reads.read(login.user_id, fields)
        self.done()
