"""Admission's own rules, without a socket: the same for every entrance that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tornado.httputil import HTTPHeaders

from chatserver.command.build import opened
from chatserver.command.settings import Settings
from chatserver.core.errors import (
    AnotherAccount,
    BadRequest,
    Forbidden,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.delivery.seats import Seat
from chatserver.http.admission import CLIENT_CHARS, parse_client, parse_cursor
from chatserver.http.house import House

OURS = "http://here.example"
LIMITS = Limits()
FOREIGN = {"Host": "here.example", "Origin": "http://elsewhere.example"}


@asynccontextmanager
async def entrance(data: Path, limits: Limits = LIMITS) -> AsyncIterator[tuple[House, str, str]]:
    """A house, the id of Ann in it, and a token of hers."""
    async with opened(Settings(data=data, limits=limits)) as house:
        fields = {"email": "ann@example.com", "password": "correct horse", "firstName": "Ann"}
        ann = await house.accounts.register(fields, None)
        browser = await house.sessions.begin(ann.id, 0, "test")
        _, token = await house.sessions.issue_token(browser, "test", None)
        yield house, ann.id, token


def headers(token: str, **more: str) -> HTTPHeaders:
    return HTTPHeaders({"Authorization": f"Bearer {token}"} | more)


async def test_a_page_of_another_account_comes_in_neither_from_memory_nor_from_the_store(
    data: Path,
) -> None:
    async with entrance(data) as (house, ann, token):
        admission = house.admission
        theirs = admission.ask(headers(token), {"user": ann})
        others = admission.ask(headers(token), {"user": "somebody else"})
        assert admission.known(others) is None
        with pytest.raises(AnotherAccount):
            await admission.admit(others)
        assert (await admission.admit(theirs)).user.id == ann
        assert (arrival := admission.known(theirs)) is not None and arrival.user.id == ann
        with pytest.raises(AnotherAccount):
            admission.known(others)


async def test_the_header_says_whose_page_it_is_before_the_query_does(data: Path) -> None:
    async with entrance(data) as (house, ann, token):
        asked = HTTPHeaders({"X-Chat-User": ann})
        assert house.admission.ask(asked, {"user": "somebody else"}).whose == ann
        assert house.admission.ask(HTTPHeaders(), {"user": ann}).whose == ann
        assert house.admission.ask(HTTPHeaders()).whose is None


async def test_a_token_excuses_a_foreign_page_unless_the_answer_sets_a_cookie(data: Path) -> None:
    async with entrance(data) as (house, _, token):
        ask = house.admission.ask
        with pytest.raises(Forbidden):
            ask(HTTPHeaders(FOREIGN))
        ask(HTTPHeaders(FOREIGN | {"Authorization": "Bearer made up"}))
        with pytest.raises(Forbidden):
            ask(HTTPHeaders(FOREIGN | {"Authorization": "Bearer made up"}), sets_cookie=True)
        ask(HTTPHeaders(FOREIGN), sets_cookie=True, navigates=True)


async def test_nothing_is_asked_while_the_server_sends_everybody_away(data: Path) -> None:
    async with entrance(data) as (house, _, token):
        await house.delivery.readers.drain()
        with pytest.raises(Unavailable):
            house.admission.ask(headers(token))


async def test_a_login_that_ended_comes_in_neither_from_memory_nor_from_the_store(
    data: Path,
) -> None:
    async with entrance(data) as (house, _, token):
        ask = house.admission.ask(headers(token))
        arrival = await house.admission.admit(ask)
        await house.sessions.end(arrival.login)
        assert house.admission.known(ask) is None
        with pytest.raises(Unauthenticated):
            await house.admission.admit(ask)


async def test_a_login_that_ends_while_its_user_is_looked_up_comes_in_no_more(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with entrance(data) as (house, _, token):
        ask, users = house.admission.ask(headers(token)), house.users
        login, look_up = (await house.admission.admit(ask)).login, users.user

        async def slowly(user_id: str) -> User:
            user = await look_up(user_id)
            await house.sessions.end(login)
            return user

        monkeypatch.setattr(users, "user", slowly)
        with pytest.raises(Unauthenticated):
            await house.admission.admit(ask)


async def test_whose_login_was_not_known_pays_instead_of_their_address(data: Path) -> None:
    """After a restart that is everybody, and thousands may come from one address."""
    scarce = Limits(http_burst_per_address=1, http_rate_per_address=0.001)
    async with entrance(data, scarce) as (house, ann, token):
        seat = Seat(None, 0.0)

        def charge() -> float:
            return house.admission.charge(headers(token), 1.0, lambda: "203.0.113.5", seat)

        assert charge() == 0.0
        with pytest.raises(RateLimited):
            charge()
        assert seat.owed is not None
        seat.owed(ann)
        assert charge() == 0.0


async def test_who_asks_for_the_servers_health_is_not_kept_out_at_the_door_by_others_of_the_address(
    data: Path,
) -> None:
    scarce = Limits(http_burst_per_address=1, http_rate_per_address=0.001)
    async with entrance(data, scarce) as (house, _, token):
        nobody = HTTPHeaders()

        def look(bucket: str, given: HTTPHeaders = nobody) -> None:
            house.admission.check_funds(given, 1.0, lambda: "203.0.113.5", 0.0, bucket)

        look("")
        house.admission.charge(nobody, 1.0, lambda: "203.0.113.5", None)
        with pytest.raises(RateLimited):
            look("")
        look("health")
        await house.admission.admit(house.admission.ask(headers(token)))
        look("", headers(token))  # whose user pays


async def test_the_last_event_id_wins_over_after(data: Path) -> None:
    async with entrance(data) as (house, _, token):
        query = {"after": "5"}
        assert house.admission.ask(HTTPHeaders(), query, last_event_id="7").after == 7
        assert house.admission.ask(HTTPHeaders(), query).after == 5


@pytest.mark.parametrize("bad", ["-1", "+1", " 1", "1.0", "²", "٣", "1" * 17, "x"])
def test_a_cursor_is_plain_digits_and_short(bad: str) -> None:
    with pytest.raises(BadRequest):
        parse_cursor(bad, "after")


def test_no_cursor_is_none_and_the_largest_is_read() -> None:
    assert parse_cursor(None, "after") is None is parse_cursor("", "after")
    assert parse_cursor("9007199254740991", "after") == 2**53 - 1


@pytest.mark.parametrize("bad", ["x" * (CLIENT_CHARS + 1), "a\nb", "\x00"])
def test_a_clients_name_is_short_and_printable(bad: str) -> None:
    with pytest.raises(BadRequest):
        parse_client(bad)
