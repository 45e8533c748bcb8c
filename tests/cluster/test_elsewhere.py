"""What one process has in its memory, asked of another: the laboratory's lanes, and friendships that are about to end."""

from __future__ import annotations

import httpx

from tests.site.test_lab import *  # noqa: F403
from tests.support.clients import Person
from tests.support.process import ServerProcess
from tests.transports.test_contract import three

BACKENDS = ("sqlite",)
OPTIONS = ("--socketio", "--processes", "3")  # type: ignore[assignment]


async def ask(person: Person, method: str, path: str) -> httpx.Response:
    """Over a connection of its own, so of any process."""
    headers = {"Authorization": f"Bearer {person.token}"}
    async with httpx.AsyncClient(base_url=person.http.base_url, headers=headers) as http:
        return await http.request(method, path)


async def ends_in_s(person: Person, friend: Person) -> int | None:
    """What a process says of the end of this friendship."""
    rows = (await ask(person, "GET", "/api/friends")).json()["friends"]
    (row,) = [row for row in rows if row["id"] == friend.id]
    seconds: int | None = row.get("endsIn")
    return seconds


async def test_the_end_of_a_friendship_is_seen_and_taken_back_wherever_it_waits(
    server: ServerProcess,
) -> None:
    ann, bob, _ = await three(server)
    for _ in range(5):
        put_off = await ask(ann, "DELETE", f"/api/friends/{bob.id}?delay=60")
        assert put_off.status_code == 202
        assert all([0 < (await ends_in_s(ann, bob) or 0) <= 60 for _ in range(4)])
        kept = await ask(ann, "PUT", f"/api/friends/{bob.id}")
        assert kept.status_code == 200, kept.text
        assert [await ends_in_s(ann, bob) for _ in range(4)] == [None] * 4
