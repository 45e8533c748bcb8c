"""What tests of readers without a socket share: an outlet that writes down, and a stream on it."""

from __future__ import annotations

import re

from chatserver.core.people import User
from chatserver.http.admission import Arrival
from chatserver.transports.sse import EventsReader
from tests.delivery.kit import Place
from tests.store.kit import login


class Paper:
    """An outlet that writes down what it is given; `waits` as the test says."""

    bytes_up = 0
    bytes_down = 0
    pipe = None

    def __init__(self) -> None:
        self.waits = False
        self.stays_full = False
        """Whether it waits after each write, as a peer that reads slowly makes it."""
        self.sent: list[bytes] = []
        self.said: list[str] = []

    def count_bytes(self) -> None: ...

    def keep(self, data: bytes, sent: int) -> None:
        raise AssertionError("paper gives no pipe away")

    def send(self, data: bytes) -> None:
        if data:
            self.sent.append(data)
            self.waits = self.waits or self.stays_full

    def cork(self, data: bytes) -> None:
        self.said.append("cork")

    def uncork(self) -> bytes:
        raise AssertionError("paper gives no pipe away")

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")

    def close_soon(self) -> None:
        self.said.append("close_soon")

    def abort(self) -> None:
        self.said.append("abort")

    @property
    def ids(self) -> list[int]:
        """The ids of everything with an id, in the order in which it was written."""
        return [int(found) for found in re.findall(rb"id: (\d+)\n", b"".join(self.sent))]


async def stream(place: Place, user: str, after: int | None = None) -> tuple[EventsReader, Paper]:
    """An event stream of this user that has joined, and the paper that it writes on."""
    who = User(user, user, "", "#0000aa")
    arrival = Arrival(login("l", user), who, after, "")
    reader = EventsReader(place.delivery, arrival, await place.delivery.mailboxes.open(user))
    paper = Paper()
    reader.outlet = paper
    place.delivery.readers.attach(reader)
    await reader.join(who, after)
    return reader, paper
