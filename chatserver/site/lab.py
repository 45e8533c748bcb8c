"""Floor 4: what the laboratory page asks of the server. For a user's own readers only."""

from __future__ import annotations

from typing import Any

from tornado.routing import URLSpec

from chatserver.core.errors import InvalidField
from chatserver.core.tallies import PREFIX
from chatserver.http.handlers import ApiHandler, Parts


class LaneTotals(ApiHandler):
    """`GET /api/lab/lanes`: what each of the visitor's lanes has cost so far."""

    async def get(self) -> None:
        login = await self.login()
        delivery = self.parts.delivery
        live = delivery.live_bytes(login.user_id)
        lanes = []
        for lane in delivery.lanes.of(login.user_id):
            up, down = live.get(lane.client, (0, 0))
            lanes.append(
                {
                    "client": lane.client,
                    "transport": lane.transport,
                    "requests": lane.requests,
                    "bytesUp": lane.bytes_up + up,
                    "bytesDown": lane.bytes_down + down,
                }
            )
        self.answer({"lanes": lanes})


class CloseLane(ApiHandler):
    """`POST /api/lab/close {client}`: cut a lane's connection without a word, as a bad network does."""

    async def post(self) -> None:
        login = await self.login()
        client = self.fields().get("client")
        if not isinstance(client, str) or not client.startswith(PREFIX):
            raise InvalidField("client", f"The name of a lane begins with {PREFIX}.")
        self.parts.delivery.cut(login.user_id, client)
        self.done()


def routes(parts: Parts) -> list[Any]:
    """The laboratory's addresses."""
    return [
        URLSpec("/api/lab/lanes", LaneTotals, {"parts": parts}),
        URLSpec("/api/lab/close", CloseLane, {"parts": parts}),
    ]
