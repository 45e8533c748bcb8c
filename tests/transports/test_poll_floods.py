"""Polls by the thousand on one connection, and from clients that take no answers: bounded depth, memory and cost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from pathlib import Path

import pytest

from chatserver.core.limits import Limits
from chatserver.delivery import connections
from chatserver.http.heads import HEAD_BYTES
from chatserver.transports import pollconnection, pollrequest
from chatserver.transports.connection import READ_BYTES
from tests.support.inprocess import Inside, heard, inside

BAD = b"GET /poll?after=x HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /poll?after=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TURNS = 200
"""So many turns of the loop without progress, and nothing more will be read."""


def poll(it: Inside, target: str = "/poll?wait=0") -> bytes:
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n\r\n"
    return head.encode()


def resident_bytes() -> int:
    """What this process really holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def push(end: socket.socket, data: bytes) -> int:
    """Send until it is all out or nobody reads; how much left."""
    sent = idle = 0
    while sent < len(data) and idle < TURNS:
        try:
            sent += end.send(memoryview(data)[sent : sent + 65536])
            idle = 0
        except BlockingIOError:
            idle += 1
        await asyncio.sleep(0)
    return sent


async def flood(it: Inside, count: int) -> float:
    """Send so many bad polls in one go and read their answers; CPU seconds."""
    loop, end = asyncio.get_running_loop(), it.pair()
    began_s = time.process_time()
    sending = asyncio.create_task(loop.sock_sendall(end, BAD * count + LAST))
    answers = await heard(end, 60)
    await sending
    end.close()
    assert answers.count(b"HTTP/1.1 400 ") == count + 1
    return time.process_time() - began_s


async def test_5000_bad_polls_in_a_row_are_each_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with inside(tmp_path) as it:
        with caplog.at_level(logging.INFO):
            few_s, many_s = await flood(it, 1250), await flood(it, 5000)
        assert caplog.records == []
        # Four times as much in four times the time, or in a little more on a busy machine; the square is 16.
        assert many_s < 10 * few_s


async def test_others_have_their_turn_between_the_polls_of_one(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with inside(tmp_path) as it:
        end = it.pair()
        await loop.sock_sendall(end, BAD)
        assert await loop.sock_recv(end, 4096)
        before, answered = 0, bytearray()
        await loop.sock_sendall(end, BAD * 300)
        for _ in range(1000):
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                answered += end.recv(1 << 20)
            now = answered.count(b"HTTP/1.1 400 ")
            assert now - before <= connections.POLLS_A_TURN
            before = now
            if now == 300:
                break
        assert before == 300
        end.close()


@pytest.mark.parametrize("held", [False, True], ids=["answers wait", "a poll waits"])
async def test_a_client_that_takes_no_answers_is_read_no_more(tmp_path: Path, held: bool) -> None:
    async with inside(tmp_path) as it:
        data = poll(it, f"/poll?wait={20 if held else 0}&after={it.house.journal.head_seq}") + BAD
        data *= 32 * 1024 * 1024 // len(data)
        ends = [it.pair() for _ in range(8)]
        for end in ends:
            assert await push(end, poll(it)) == len(poll(it))
        before, began_s = resident_bytes(), time.process_time()
        for end in ends:
            assert await push(end, data) < 2 * 1024 * 1024, "what its kernel holds, and no more"
        assert resident_bytes() - before < 4 * 1024 * 1024
        assert time.process_time() - began_s < 5
        for end in ends:
            end.close()


async def test_what_a_polling_connection_keeps_of_its_input_is_bounded(tmp_path: Path) -> None:
    kept: list[pollconnection.PollConnection] = []

    class Watched(pollconnection.PollConnection):
        def __init__(self, *args: object) -> None:
            kept.append(self)
            super().__init__(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatserver.site.dispatch.PollConnection", Watched)
        async with inside(tmp_path) as it:
            end = it.pair()
            await push(end, poll(it))
            await push(end, poll(it) * 10_000)
            (connection,) = kept
            assert len(connection._buffer) <= HEAD_BYTES + READ_BYTES
            end.close()


async def test_what_comes_out_of_a_poll_closes_its_connection_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with inside(tmp_path) as it:
        for first in (False, True):
            loop, end = asyncio.get_running_loop(), it.pair()
            if not first:
                await loop.sock_sendall(end, poll(it))
                assert await loop.sock_recv(end, 4096)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(pollrequest, "parse_query", lambda query: 1 // 0)
                await loop.sock_sendall(end, BAD * 170)
                assert await heard(end) == b""
            end.close()
        failed = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(failed) == 2
        assert all("ZeroDivisionError" in record.getMessage() for record in failed)
        assert all(record.exc_info is None for record in failed)


async def test_a_flood_behind_a_poll_that_waits_is_answered_when_it_ends(tmp_path: Path) -> None:
    async with inside(tmp_path, limits=Limits(meter=False, poll_wait_max_s=0.2)) as it:
        loop, end = asyncio.get_running_loop(), it.pair()
        waits = poll(it, f"/poll?after={it.house.journal.head_seq}")
        sending = asyncio.create_task(loop.sock_sendall(end, waits + BAD * 3000 + LAST))
        answers = await heard(end, 30)
        await sending
        assert answers.startswith(b"HTTP/1.1 200 ") and answers.count(b"HTTP/1.1 400 ") == 3001
        end.close()
