"""The API of messages: the history, writing, typing, read positions."""

from __future__ import annotations

from chatserver.core import fields as rules
from chatserver.core.conversations import PAGE_EVENTS, Range, conversation_with
from chatserver.core.events import MAX_SEQ
from chatserver.http.handlers import ApiHandler


class Messages(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        page = self.house.settings.limits.page_events
        limit = rules.written_integer(self.argument("limit"), "limit", 1, page)
        before = rules.written_integer(self.argument("before"), "before", 0, MAX_SEQ)
        after = rules.written_integer(self.argument("after"), "after", 0, MAX_SEQ)
        conversation = conversation_with(rules.optional_id(self.argument("with"), "with"))
        part = Range(conversation, before, after, min(page, limit or PAGE_EVENTS))
        self.answer(await self.house.messages.history(login.user_id, part))

    async def post(self) -> None:
        fields = self.fields()
        # A message is the most frequent request: a login in memory is taken without a detour.
        arrival = self.house.admission.known(self._ask) or await self.arrive(self._ask)
        place = await self.house.messages.send(arrival.user.id, fields)
        answer = {"seq": place.seq, "at": place.at_ms, "clientId": fields.get("clientId")}
        self.answer(answer, 200 if place.duplicate else 201)


class Typing(ApiHandler):
    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.messages.typing(login.user_id, fields)
        self.done()


class Read(ApiHandler):
    async def get(self) -> None:
        login = await self.login()
        self.answer(await self.house.reads.read_state(login.user_id))

    async def post(self) -> None:
        fields = self.fields()
        login = await self.login()
        await self.house.reads.read(login.user_id, fields)
        self.done()
