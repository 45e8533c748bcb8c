"""What the laboratory page asks of the server. For a user's own readers only, at whichever node they are."""

from __future__ import annotations

from typing import Any

from chatserver.core.errors import InvalidField
from chatserver.core.tallies import PREFIX
from chatserver.delivery.delivery import Delivery
from chatserver.journal.errands import Errands
from chatserver.site.api.rows import RowHandler

COSTS, CUT = "costs", "cut"
"""Kinds of errands."""
_SUMS = ("requests", "bytesUp", "bytesDown")


class TallyTotals(RowHandler):
    """`GET /api/lab/lanes`: what each of the visitor's clients has cost so far."""

    async def get(self) -> None:
        login = await self.login()
        costs = _costs(self.house.delivery, login.user_id)
        if self.house.errands is not None:
            for others in await self.house.errands.ask_all(COSTS, login.user_id):
                _add(costs, others)
        self.answer({"lanes": costs, "socketio": self.house.settings.socketio})


class CutClient(RowHandler):
    """`POST /api/lab/close {client}`: cut a client's connection without a word, as a bad network does."""

    async def post(self) -> None:
        login = await self.login()
        client = self.fields().get("client")
        if not isinstance(client, str) or not client.startswith(PREFIX):
            raise InvalidField("client", f"The name of a lane begins with {PREFIX}.")
        self.house.delivery.readers.cut(login.user_id, client)
        if self.house.errands is not None:
            await self.house.errands.ask_all(CUT, [login.user_id, client])
        self.done()


def serve_others(errands: Errands, delivery: Delivery) -> None:
    """Answer the other nodes, whose visitors have readers here."""

    async def costs(user_id: str) -> list[dict[str, Any]]:
        return _costs(delivery, user_id)

    async def cut(fields: list[str]) -> None:
        delivery.readers.cut(*fields)

    errands.serve_all(COSTS, costs)
    errands.serve_all(CUT, cut)


def _costs(delivery: Delivery, user_id: str) -> list[dict[str, Any]]:
    live = delivery.readers.live_bytes(user_id)
    costs = []
    for tally in delivery.tallies.of(user_id):
        up, down = live.get(tally.client, (0, 0))
        costs.append(
            {
                "client": tally.client,
                "transport": tally.transport,
                "requests": tally.requests,
                "bytesUp": tally.bytes_up + up,
                "bytesDown": tally.bytes_down + down,
            }
        )
    return costs


def _add(costs: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    known = {lane["client"]: lane for lane in costs}
    for other in others:
        lane = known.get(other["client"])
        if lane is None:
            costs.append(other)
        else:
            for name in _SUMS:
                lane[name] += other[name]
