"""What waits for a Socket.IO client, without a library: one batch, on whichever way it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatserver.core import packets
from chatserver.core.addresses import SITE_TIMES, address, bucket_key
from chatserver.core.errors import RateLimited
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.http.admission import Arrival
from chatserver.http.proxies import Proxies
from chatserver.transports.socketio_line import Line
from chatserver.transports.socketio_link import Link, WatchedQueue
from chatserver.transports.socketio_polls import Asked
from chatserver.transports.socketio_reader import SocketIoReader
from chatserver.transports.socketio_requests import Links
from chatserver.transports.talking import SocketVerbs
from tests.delivery.kit import Place, opened
from tests.store.kit import login
from tests.transports.kit import Paper

MESSAGES = 12
"""Fewer than the mailboxes of this place hold."""


class Engine:
    """The library's side, as far as a link looks at it."""

    upgraded = False
    upgrading = False
    closed = False
    last_ping: float | None = None


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[tuple[Place, Link, SocketIoReader, list[Link]]]:
    """Ann's link with a reader that was greeted, all taken; and the links that have ended."""
    async with opened(folder) as place:
        ended: list[Link] = []
        verbs = SocketVerbs(None, None)  # type: ignore[arg-type]
        link = Link(place.delivery, verbs, Engine(), WatchedQueue(), ended.append)
        who = User("ann", "ann", "", "#0000aa")
        mailbox = await place.delivery.mailboxes.open("ann")
        reader = SocketIoReader(
            place.delivery, verbs, Arrival(login("l", "ann"), who, None, ""), mailbox
        )
        place.delivery.readers.attach(reader)
        reader.outlet = link
        link.signed_in(reader)
        await reader.join(who, None)
        take(link)
        await turn()
        yield place, link, reader, ended


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def take(link: Link) -> list[str]:
    """A poll: everything that is in the queue."""
    taken: list[str] = []
    while not link.queue.empty():
        taken += link.queue.get_nowait().encode().split(packets.SEPARATOR)
    return taken


async def test_a_client_that_does_not_poll_holds_one_batch_and_gets_the_rest_once_and_in_order(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (place, link, reader, _):
        for number in range(MESSAGES):
            await place.say("ann", f"{number}")
        await turn()
        assert link.queue.qsize() == 1 and link.waits
        heard = take(link)
        await turn()
        assert link.queue.qsize() == 1, "what came meanwhile is one batch again"
        heard += take(link)
        await turn()
        assert not link.waits and reader.has_everything
        texts = [f'"text":"{number}"' for number in range(MESSAGES)]
        assert all(text in packet for text, packet in zip(texts, heard, strict=True))


async def test_what_was_taken_but_is_not_on_the_websocket_yet_still_waits(tmp_path: Path) -> None:
    async with joined(tmp_path) as (place, link, _, _):
        await place.say("ann", "before the upgrade")
        await turn()
        link.engine.upgraded = True
        assert link.queue.get_nowait().encode().startswith("42")
        assert link.waits, "the library has it in its hands"
        await place.say("ann", "after it")
        await turn()
        assert link.queue.empty(), "or the two could change places"
        link.queue.left()
        await turn()
        assert link.queue.qsize() == 1


async def test_more_than_a_megabyte_of_answers_that_nobody_takes_ends_it(tmp_path: Path) -> None:
    async with joined(tmp_path) as (place, link, reader, ended):
        for _ in range(20):
            link.send(packets.named("error", b'"' + b"x" * 60_000 + b'"'))
        await turn()
        assert ended == [link] and not reader.attached
        assert place.delivery.connections.counts["overrun"] == 1


async def test_what_a_polling_client_has_taken_is_counted_no_more(tmp_path: Path) -> None:
    async with joined(tmp_path) as (place, link, reader, ended):
        for _ in range(20):
            link.send(packets.named("error", b'"' + b"x" * 60_000 + b'"'))
            assert len(take(link)) == 1
            await turn()
        assert ended == [] and reader.attached
        assert place.delivery.connections.counts["overrun"] == 0


async def test_a_link_on_which_nobody_signs_in_or_nobody_answers_ends(tmp_path: Path) -> None:
    async with joined(tmp_path) as (place, link, reader, ended):
        limits, now_s = place.delivery.limits, place.delivery.clockwork.clock_s()
        assert link.visit(now_s) is not None
        link.engine.last_ping = 1.0  # long ago
        assert link.visit(now_s) is None
        assert ended == [link] and not reader.attached
        verbs: Any = SocketVerbs(None, None)  # type: ignore[arg-type]
        other = Link(place.delivery, verbs, Engine(), WatchedQueue(), ended.append)
        assert other.visit(now_s + limits.head_s / 2) is not None
        assert other.visit(now_s + limits.head_s + 1) is None
        assert ended == [link, other]


async def test_what_nobody_signed_in_for_ends_the_link(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        ended: list[Link] = []
        verbs = SocketVerbs(None, None)  # type: ignore[arg-type]
        link = Link(place.delivery, verbs, Engine(), WatchedQueue(), ended.append)
        assert link.receive("3", False) == "3"
        assert link.receive("5", True) == "5"
        assert link.receive('42["typing",{}]', False) is None
        assert ended == [link]


async def test_what_a_client_says_is_answered_by_its_number_and_refused_in_words_without_one(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (_, link, reader, _ended):
        for packet in ('42["nothing",{}]', '427["nothing",{}]', '428["typing",{"to":5},1,2]'):
            assert link.receive(packet, False) is None
        await turn()
        said = take(link)
        assert [packet[: packet.index("{")] for packet in said] == [
            *('42["error",', "437[", "438[")
        ]
        assert all("bad_request" in packet for packet in said)
        assert not reader.is_full
        reader.connection_lost()
        reader.receive_event('427["nothing",{}]')
        await turn()
        assert take(link) == [], "nobody is there any more"


def socket_of(link: Link, place: Place) -> tuple[Line, Paper]:
    """A WebSocket for the link, before it belongs to it."""
    line, paper = Line(place.delivery), Paper()
    paper.sign_in = lambda user_id: None  # type: ignore[attr-defined]
    line.outlet = paper  # type: ignore[assignment]
    return line, paper


async def test_a_client_that_should_say_no_more_is_not_answered_and_not_read_until_it_may(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (place, link, _, _):
        line, paper = socket_of(link, place)
        line.belong_to(link)
        paper.said.clear()
        answered = asyncio.create_task(link.until_read_again())
        await answered  # nothing keeps it
        for _ in range(2):
            link.pause()
        assert link.is_paused and paper.said == ["pause", "pause"]
        answered = asyncio.create_task(link.until_read_again())
        await turn()
        assert not answered.done()
        link.resume()
        await asyncio.wait_for(answered, 30)
        assert not link.is_paused and paper.said[-1] == "resume"


async def test_a_websocket_that_belongs_to_no_session_ends_alone(tmp_path: Path) -> None:
    async with joined(tmp_path) as (place, link, _, ended):
        line, paper = socket_of(link, place)
        line.receive_data(b"what a hasty client says")
        assert paper.said == ["pause"]
        line.drained()
        line.stuck()
        line.connection_lost()
        for asked in (line.send("2"), line.wait()):
            with pytest.raises(OSError, match="gone"):
                await asked
        await line.close()
        assert paper.sent == [] and ended == []


async def test_a_binary_frame_ends_the_websocket_and_the_session_goes_on_polling(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (place, link, reader, ended):
        line, paper = socket_of(link, place)
        line.belong_to(link)
        line.receive_data(b"\x82\x80\0\0\0\0")
        assert paper.said[-1] == "close_soon" and b"packets are text" in paper.sent[-1]
        line.connection_lost()
        assert link.line is None and ended == [] and reader.attached


async def test_a_session_is_ended_once(tmp_path: Path) -> None:
    async with joined(tmp_path) as (place, link, reader, ended):
        await place.say("ann", "what waits")
        await turn()
        for _ in range(2):
            link.close_soon()
        assert ended == [] and link.waits
        now_s = place.delivery.clockwork.clock_s()
        assert link.visit(now_s + place.delivery.limits.stuck_s) is None
        assert ended == [link] and not reader.attached
        assert place.delivery.connections.counts["stuck"] == 1
        link.abort()
        link.drained()
        assert link.visit(now_s) is None and ended == [link]


class Desk(Links):
    """The links of a place, without the library behind them."""

    frames = None

    async def handle(self, request: Asked) -> None:
        raise AssertionError("nobody asks for anything here")


async def test_all_of_a_site_have_four_times_the_links_that_one_of_its_customers_has(
    tmp_path: Path,
) -> None:
    """A /48 has 65,536 of them."""
    few = Limits(connections_per_address=2)
    async with opened(tmp_path, few) as place:
        desk = Desk(place.delivery, Proxies())

        def key(number: int, site: int = 7) -> str:
            where = address(f"2001:db8:{site:x}:{number:x}::1")
            assert where is not None
            return bucket_key(where)

        def come(payer: str) -> Link:
            desk.check_room(payer)
            verbs = SocketVerbs(None, None)  # type: ignore[arg-type]
            link = Link(place.delivery, verbs, Engine(), WatchedQueue(), desk.forget)
            link.payer_address = payer
            desk.wait(link)
            return link

        first, *_ = [come(key(number)) for number in range(2 * SITE_TIMES)]
        for number in (0, 0xFFFF):
            with pytest.raises(RateLimited):
                come(key(number))
        come(key(0, site=8))
        first.abort()
        come(key(0xFFFF))
        with pytest.raises(RateLimited):
            come(key(0xFFFE))
