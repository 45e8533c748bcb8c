"""Who comes in one turn of the loop is let in together: all of them first, and then they are greeted."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest

from chatserver.http.house import House
from tests.store.kit import account, login
from tests.support.inprocess import Inside, inside
from tests.transports.test_firstlook import SOCKET

NAMES = ("bob", "cho", "dee")
WAYS = ("/ws", "/events", "/poll")
WAIT_S = 30.0
PRESENCE = re.compile(rb'\{"type":"presence","online":\[[^]]*\]\}')


async def friends(house: House) -> dict[str, str]:
    """Friends of each other, none of whom is in memory: their cookies by name."""
    cookies = {}
    for name in NAMES:
        await house.store.add_account(account(name))
        kept = login(f"c-{name}", name, expires_at=2**52, last_used_at=2**50)
        await house.store.add_login(kept)
        cookies[name] = house.sessions.cookie(kept, secure=False).partition(";")[0]
    for one, other in (("bob", "cho"), ("cho", "bob"), ("cho", "dee"), ("dee", "cho")):
        await house.friendships.befriend(one, other)
    return cookies


def comes(it: Inside, target: str, cookie: str) -> socket.socket:
    """The client's end of a connection that asks for a way in."""
    more = SOCKET if target.startswith("/ws") else ()
    lines = (f"GET {target} HTTP/1.1", "Host: localhost", f"Cookie: {cookie}", *more)
    return it.looked_at(("\r\n".join(lines) + "\r\n\r\n").encode())


async def until(end: socket.socket, wanted: re.Pattern[bytes]) -> bytes:
    """What is said up to what is wanted, and with it."""
    data = bytearray()
    async with asyncio.timeout(WAIT_S):
        while wanted.search(data) is None:
            piece = await asyncio.get_running_loop().sock_recv(end, 1 << 16)
            assert piece, bytes(data)
            data += piece
    return bytes(data)


@pytest.mark.parametrize("way", WAYS)
async def test_friends_who_come_together_are_shown_each_other_and_told_no_more(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inside(tmp_path) as it:
        cookies, offered = await friends(it.house), []
        monkeypatch.setattr(it.house.delivery.hub, "offer", lambda *what: offered.append(what))
        ends = {name: comes(it, f"{way}?client={name}", cookie) for name, cookie in cookies.items()}
        shown = {}
        for name, end in ends.items():
            found = PRESENCE.search(await until(end, PRESENCE))
            assert found is not None
            shown[name] = set(json.loads(found[0])["online"])
        assert shown == {"bob": {"cho"}, "cho": {"bob", "dee"}, "dee": {"cho"}}
        assert not offered, "nobody is written to a second time"
        for end in ends.values():
            end.close()


@pytest.mark.parametrize("way", WAYS)
async def test_who_comes_after_a_greeting_is_told_of(tmp_path: Path, way: str) -> None:
    async with inside(tmp_path) as it:
        cookies = await friends(it.house)
        bob = comes(it, f"{way}?client=bob", cookies["bob"])
        await until(bob, PRESENCE)
        cho = comes(it, f"{way}?client=cho", cookies["cho"])
        await until(cho, PRESENCE)
        if way == "/poll":
            bob.close()
            head = it.house.delivery.hub.head_seq
            bob = comes(it, f"/poll?client=bob&after={head}&wait=30", cookies["bob"])
        await until(bob, re.compile(rb'"presence","user":"cho","online":true'))
        bob.close()
        cho.close()


@pytest.mark.parametrize("way", WAYS)
async def test_of_one_client_that_comes_twice_at_once_the_newer_is_greeted(
    tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with inside(tmp_path) as it:
        cookies = await friends(it.house)
        older, newer = (comes(it, f"{way}?client=bob", cookies["bob"]) for _ in range(2))
        await until(newer, PRESENCE)
        said = re.compile(rb'"events":\[\]' if way == "/poll" else rb'"bye"[^}]*superseded')
        await until(older, said)
        assert len(it.house.delivery.readers.of("bob")) == 1
        assert not it.house.delivery.joins.under_way
        older.close()
        newer.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
