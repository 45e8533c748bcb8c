"""What one WebSocket may cost in one turn of the loop, seen from inside."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from chatserver.core.limits import Limits
from chatserver.transports.frames import SLICE_BYTES
from chatserver.transports.websocket import SocketReader
from tests.support.herd import socket_request
from tests.support.inprocess import Inside, inside
from tests.support.turns import settle
from tests.traffic.test_attacks import PING, frame

TURN_FRAMES = 10
A_SLICE = SLICE_BYTES // len(PING) + 1
TYPING = frame(1, b'{"type":"typing"}')
ASKING = frame(1, b'{"type":"ping"}')


async def joined(house: Inside) -> tuple[socket.socket, SocketReader]:
    """A WebSocket that has been greeted: its client's end, and its reader."""
    end = house.pair()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(end, socket_request(1, house.token))
    said = b""
    async with asyncio.timeout(30):
        while b'"online":[]' not in said:
            said += await loop.sock_recv(end, 65536)
    (reader,) = house.house.delivery.readers.of(house.user_id)
    assert isinstance(reader, SocketReader)
    return end, reader


async def most_in_a_turn(reader: SocketReader, frames: int) -> int:
    """Turn the loop until so many frames have been read; the most in one turn."""
    most, began = 0, reader._parser.frames
    before = began
    async with asyncio.timeout(20):
        while before - began < frames:
            await asyncio.sleep(0)
            most, before = max(most, reader._parser.frames - before), reader._parser.frames
    return most


async def test_a_turn_carries_out_so_many_frames_and_the_rest_waits(data: Path) -> None:
    limits = Limits(meter=False, turn_frames=TURN_FRAMES)
    async with inside(data, limits=limits) as house:
        end, reader = await joined(house)
        for word in (PING, TYPING, ASKING):
            end.send(word * 600)
            assert await most_in_a_turn(reader, 600) <= TURN_FRAMES + A_SLICE
        end.close()


async def test_fragments_are_frames_too(data: Path) -> None:
    limits = Limits(meter=False, turn_frames=TURN_FRAMES)
    async with inside(data, limits=limits) as house:
        end, reader = await joined(house)
        begin, middle, last = (bytes((op, 0x80)) + bytes(4) for op in (0x01, 0x00, 0x80))
        end.send((begin + middle * 100 + last) * 9)
        assert await most_in_a_turn(reader, 900) <= TURN_FRAMES + A_SLICE
        end.close()


async def test_a_user_pays_for_all_of_his_sockets_together(data: Path) -> None:
    limits = Limits(send_rate=1, send_burst=1, frame_rate=1, frame_burst=50)
    async with inside(data, limits=limits) as house:
        one, reader = await joined(house)
        one.send(TYPING * 45)
        await most_in_a_turn(reader, 45)
        other = house.pair()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(other, socket_request(1, house.token))
        await loop.sock_recv(other, 65536)
        other.send(ASKING * 300)
        async with asyncio.timeout(30):
            while not house.house.delivery.connections.paused:
                await asyncio.sleep(0.005)
        await settle()  # in which nothing more may be read
        readers = house.house.delivery.readers.of(house.user_id)
        read = sum(each._parser.frames for each in readers if isinstance(each, SocketReader))
        assert read <= 45 + 2 * A_SLICE, "the rest is in the kernel until there are tokens again"
        for end in (one, other):
            end.close()


@pytest.mark.parametrize("together", [1, 2])
async def test_frames_that_come_one_by_one_are_paid_for_as_well(data: Path, together: int) -> None:
    """None of them uses up a turn, so it is the price alone that has the rest wait."""
    limits = Limits(send_rate=0.01, send_burst=1, frame_rate=0.01, frame_burst=20)
    async with inside(data, limits=limits) as house:
        end, reader = await joined(house)
        for _ in range(60):
            end.send(ASKING * together)
            await settle()
        assert 15 <= reader._parser.frames <= 20 + together
        end.close()


async def test_what_waited_for_payment_is_carried_out_in_order(data: Path) -> None:
    limits = Limits(frame_rate=500, frame_burst=20, send_rate=200, send_burst=1000)
    async with inside(data, limits=limits) as house:
        end, _ = await joined(house)
        loop = asyncio.get_running_loop()
        for number in range(300):
            text = json.dumps({"type": "send", "text": "x", "clientId": str(number)})
            await loop.sock_sendall(end, frame(1, text.encode()))
        said = b""
        async with asyncio.timeout(20):
            while said.count(b'"ack"') < 300:
                said += await loop.sock_recv(end, 65536)
        places = [said.index(b'"clientId":"%d","seq"' % number) for number in range(300)]
        assert places == sorted(places)
        end.close()
