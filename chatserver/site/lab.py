"""What the laboratory page asks of the server. For a user's own readers only."""

from __future__ import annotations

from chatserver.core.errors import InvalidField
from chatserver.core.tallies import PREFIX
from chatserver.site.api.rows import RowHandler


class TallyTotals(RowHandler):
    """`GET /api/lab/lanes`: what each of the visitor's clients has cost so far."""

    async def get(self) -> None:
        login = await self.login()
        delivery = self.house.delivery
        live = delivery.readers.live_bytes(login.user_id)
        totals = []
        for tally in delivery.tallies.of(login.user_id):
            up, down = live.get(tally.client, (0, 0))
            totals.append(
                {
                    "client": tally.client,
                    "transport": tally.transport,
                    "requests": tally.requests,
                    "bytesUp": tally.bytes_up + up,
                    "bytesDown": tally.bytes_down + down,
                }
            )
        self.answer({"lanes": totals, "socketio": self.house.settings.socketio})


class CutClient(RowHandler):
    """`POST /api/lab/close {client}`: cut a client's connection without a word, as a bad network does."""

    async def post(self) -> None:
        login = await self.login()
        client = self.fields().get("client")
        if not isinstance(client, str) or not client.startswith(PREFIX):
            raise InvalidField("client", f"The name of a lane begins with {PREFIX}.")
        self.house.delivery.readers.cut(login.user_id, client)
        self.done()
