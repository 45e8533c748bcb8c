"""What the laboratory page asks of the server. For a user's own readers only."""

from __future__ import annotations

from typing import Any

from tornado.routing import URLSpec

from chatserver.core.errors import InvalidField
from chatserver.core.tallies import PREFIX
from chatserver.http.handlers import ApiHandler
from chatserver.http.house import House


class TallyTotals(ApiHandler):
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
        self.answer({"lanes": totals})


class CutClient(ApiHandler):
    """`POST /api/lab/close {client}`: cut a client's connection without a word, as a bad network does."""

    async def post(self) -> None:
        login = await self.login()
        client = self.fields().get("client")
        if not isinstance(client, str) or not client.startswith(PREFIX):
            raise InvalidField("client", f"The name of a lane begins with {PREFIX}.")
        self.house.delivery.readers.cut(login.user_id, client)
        self.done()


def routes(house: House) -> list[Any]:
    """The laboratory's addresses."""
    return [
        URLSpec("/api/lab/lanes", TallyTotals, {"house": house}),
        URLSpec("/api/lab/close", CutClient, {"house": house}),
    ]
