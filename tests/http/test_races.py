"""What was under way when a login ended does not outlive it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from chatserver.command.build import build
from chatserver.command.settings import Settings
from chatserver.core.errors import Unavailable
from chatserver.core.people import Login
from chatserver.http.house import House
from chatserver.site.server import Server
from tests.site.conftest import PASSWORD
from tests.support.process import ServerProcess

ROUNDS = 10
AT_ONCE = 6


@pytest.mark.timeout(400)
async def test_a_token_made_while_the_password_changes_dies_with_it(data: Path) -> None:
    """A thief with a cookie makes tokens as fast as they can; the owner's new password ends them all."""
    with ServerProcess(data) as server:
        survived = made = 0
        for turn in range(ROUNDS):
            async with _opened(server.url) as (owner, thief):
                await _register(owner, f"ann{turn}@example.com")
                tokens: list[str] = []
                await _sign_in(thief, f"ann{turn}@example.com", PASSWORD)

                async def steal(
                    thief: httpx.AsyncClient = thief, tokens: list[str] = tokens
                ) -> None:
                    while len(tokens) < 95:
                        answer = await thief.post("/api/tokens", json={"label": "a"})
                        if answer.status_code != 201:
                            assert answer.status_code == 401
                            return
                        tokens.append(answer.json()["token"])

                thieves = [asyncio.create_task(steal()) for _ in range(AT_ONCE)]
                async with asyncio.timeout(30):  # the change comes into the middle of it
                    while not tokens:
                        await asyncio.sleep(0.001)
                change = {"password": "a better horse", "currentPassword": PASSWORD}
                assert (await owner.patch("/api/me", json=change)).status_code == 200
                await asyncio.gather(*thieves)
                made += len(tokens)
                for token in tokens:
                    headers = {"Authorization": f"Bearer {token}", "Cookie": ""}
                    answer = await owner.get("/api/friends", headers=headers)
                    survived += answer.status_code != 401
                assert (await owner.get("/api/tokens")).json()["tokens"] == []
        assert made >= ROUNDS
        assert survived == 0
        assert server.stop() == 0
    assert server.complaints() == []


@pytest.mark.timeout(400)
async def test_a_sign_in_with_the_old_password_does_not_outlive_it(data: Path) -> None:
    lenient = ("--sign-in-failures-per-address", "1000", "--sign-in-failures-per-account", "1000")
    with ServerProcess(data, *lenient) as server:
        signed_in = 0
        for turn in range(ROUNDS):
            async with _opened(server.url) as (owner, _):
                email = f"ann{turn}@example.com"
                await _register(owner, email)
                cookies: list[str] = []

                async def sign_in(email: str = email, cookies: list[str] = cookies) -> None:
                    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
                        body = {"email": email, "password": PASSWORD}
                        answer = await http.post("/api/login", json=body)
                        if answer.status_code == 200:
                            cookies.append(http.cookies["chatserver"])

                await sign_in()
                signing_in = [asyncio.create_task(sign_in()) for _ in range(AT_ONCE)]
                await asyncio.gather(*signing_in[: turn % AT_ONCE])
                change = {"password": "a better horse", "currentPassword": PASSWORD}
                assert (await owner.patch("/api/me", json=change)).status_code == 200
                await asyncio.gather(*signing_in)
                signed_in += len(cookies)
                for cookie in cookies:
                    async with httpx.AsyncClient(base_url=server.url) as http:
                        headers = {"Cookie": f"chatserver={cookie}"}
                        assert (await http.get("/api/me", headers=headers)).status_code == 401
                assert len((await owner.get("/api/sessions")).json()["sessions"]) == 1
        assert signed_in > 0
        assert server.stop() == 0
    assert server.complaints() == []


async def _register(http: httpx.AsyncClient, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "firstName": "Ann"}
    assert (await http.post("/api/register", json=body)).status_code == 201


async def _sign_in(http: httpx.AsyncClient, email: str, password: str) -> None:
    body = {"email": email, "password": password}
    assert (await http.post("/api/login", json=body)).status_code == 200


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as one,
        httpx.AsyncClient(base_url=url, timeout=30) as other,
    ):
        yield one, other


# In the loop of the test, where the store can be made to wait.


@asynccontextmanager
async def _here(data: Path) -> AsyncIterator[tuple[House, str, Login, str]]:
    """A server, its URL, and a login of Ann's with its token."""
    house = await build(Settings(data=data))
    server = Server(house)
    port = server.listen("127.0.0.1", 0)
    try:
        fields = {"email": "ann@example.com", "password": PASSWORD, "firstName": "Ann"}
        ann = await house.accounts.register(fields, None)
        browser = await house.sessions.begin(ann.id, 0, "test")
        login, token = await house.sessions.issue_token(browser, "test", None)
        async with asyncio.timeout(30):
            yield house, f"http://127.0.0.1:{port}", login, token
    finally:
        await server.drain()


TARGETS = ("/poll?after=0&wait=25", "/poll?after=0&wait=0", "/poll?wait=25&client=c", "/events")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("target", TARGETS)
async def test_a_login_that_ends_while_its_mailbox_is_opened_reads_nothing(
    data: Path, target: str, alone: bool
) -> None:
    async with _here(data) as (house, url, login, token):
        _end_while_friends_are_read(house, login, alone)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
            assert (await http.get(target)).status_code == 401
        assert not house.delivery.readers.all


@pytest.mark.parametrize("alone", [False, True])
async def test_a_login_that_ends_while_its_mailbox_is_opened_gets_no_socket(
    data: Path, alone: bool
) -> None:
    async with _here(data) as (house, url, login, token):
        _end_while_friends_are_read(house, login, alone)
        headers = {"Authorization": f"Bearer {token}"}
        address = url.replace("http", "ws") + "/ws"
        async with websockets.connect(address, additional_headers=headers, proxy=None) as socket:
            assert b'"bye"' in await socket.recv(decode=False)
            await socket.wait_closed()
            assert socket.close_code == 4501
        assert not house.delivery.readers.all


def _end_while_friends_are_read(house: House, login: Login, alone: bool) -> None:
    """`alone`: they are not read together with those of others who come."""
    store: Any = house.store
    read = store.friends_since if alone else store.newcomers

    async def read_slowly(*asked: Any) -> Any:
        found = await read(*asked)
        await house.sessions.end(login)
        return found

    async def away(*asked: Any) -> Any:
        raise Unavailable("not together")

    store.newcomers = away if alone else read_slowly
    if alone:
        store.friends_since = read_slowly
