"""Attacks on connections, small, against a real server: what others feel is bounded. `scripts/attack` does them in full."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.command.test_descriptors import limited
from tests.conftest import FAST
from tests.support.clients import Person, WebSocketReader
from tests.support.herd import come, socket_request
from tests.support.probe import Probe
from tests.support.process import ServerProcess

HERD = 500
JOINS = 20
FEELS_MS = 250.0
"""What others may wait, beside what they wait anyway on a machine on which other tests run. On a quiet one it is under 50."""


async def bearable_ms(port: int) -> float:
    """What others may wait in an attack, as the machine is now."""
    with Probe(port, "/healthz") as probe:
        await asyncio.sleep(0.7)
    return FEELS_MS + 5 * max(probe.kept.p99_ms, probe.new.p99_ms)


def metric(page: str, name: str) -> float:
    """A number of the page; 0 for a reason that has not occurred."""
    found = re.search(rf"^chatserver_{re.escape(name)} ([0-9.e+]+)$", page, re.MULTILINE)
    assert found or "{" in name, name
    return float(found[1]) if found else 0.0


async def until_metric(url: str, name: str, value: float, limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s), httpx.AsyncClient(base_url=url) as http:
        while metric((await http.get("/metrics")).text, name) != value:
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def test_a_herd_is_greeted_in_order_while_health_answers_and_readers_hear(data: Path) -> None:
    options = ("--joins", str(JOINS), "--readers-per-user", "600", "--connections-per-user", "600")
    with ServerProcess(data, *options) as server:
        ann, bob = await Person.register(server.url, "Ann"), await Person.register(server.url)
        await ann.befriend(bob)
        reader = WebSocketReader(server.url, bob.token)
        await reader.connect()
        requests = [socket_request(server.port, ann.token)] * HERD
        bearable = await bearable_ms(server.port)
        with Probe(server.port, "/healthz") as probe:
            coming = asyncio.create_task(asyncio.to_thread(come, server.port, requests))
            while not coming.done():
                seq = await ann.send("still here")
                assert json.loads(await reader.next_event())["seq"] == seq
                await asyncio.sleep(0.25)
            herd = await coming
        page = (await ann.http.get("/metrics")).text
        herd.close()
        assert (len(herd.greeted_s), herd.cut) == (HERD, 0), "nobody is refused"
        assert metric(page, "joins_peak") <= JOINS
        assert metric(page, "joins_done_total") >= HERD
        assert probe.kept.failed == probe.new.failed == 0
        assert max(probe.kept.p99_ms, probe.new.p99_ms) < bearable
        await until_metric(server.url, "lobby", 0)
        assert server.stop() == 0
    assert server.complaints() == []


async def test_idle_connections_beyond_the_descriptors_keep_nobody_out(data: Path) -> None:
    with limited(data, 256, 512) as server:
        ann = await Person.register(server.url, "Ann")
        bearable = await bearable_ms(server.port)
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(540)]
        await asyncio.sleep(1.5)  # who has said nothing for a second gives way
        with Probe(server.port, "/healthz") as probe:
            await asyncio.sleep(1.0)
            assert (await ann.http.get("/api/messages")).status_code == 200
            assert (await ann.http.get("/api/friends")).status_code == 200
            page = (await ann.http.get("/metrics")).text
        assert probe.kept.failed == probe.new.failed == 0
        assert probe.new.p99_ms < bearable
        assert metric(page, 'connections_refused_total{reason="gave way"}') > 0
        for sock in idle:
            sock.close()
        await until_metric(server.url, "signed_out_connections", 1)
        assert server.stop() == 0
    assert sum(map(len, server.log)) < 2000, "the log says little"


async def test_without_descriptors_the_server_says_so_once_and_recovers(data: Path) -> None:
    with limited(data, 256, 512) as server:
        ann = await Person.register(server.url, "Ann")
        used = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 1, 512))
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
        # Over a connection that is there already.
        async with asyncio.timeout(30):
            while (ready := await ann.http.get("/readyz")).status_code != 503:
                await asyncio.sleep(0.05)
        assert "descriptors" in ready.json()["detail"]
        page = (await ann.http.get("/metrics")).text
        assert metric(page, 'connections_broken_total{reason="no descriptor"}') < 6
        # What is needed for the first of its kind was taken at the start.
        for path in ("/classic", "/classic/friends", "/classic/settings", "/poll?wait=0"):
            assert (await ann.http.get(path)).status_code == 200, path
        zone = {"zone": "Pacific/Chatham"}
        assert (await ann.http.patch("/api/me", json=zone)).status_code in (200, 503)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (512, 512))
        for sock in idle:
            sock.close()
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=server.url) as http:
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.2)
        assert (await ann.http.get("/api/friends")).status_code == 200
        assert (await ann.http.patch("/api/me", json=zone)).status_code == 200
        assert server.stop() == 0
    assert len([line for line in server.log if "can be accepted" in line]) == 1
    assert server.complaints() == [line for line in server.log if "can be accepted" in line]


@pytest.mark.parametrize("drips", [False, True])
async def test_the_head_of_the_first_request_has_its_time(data: Path, drips: bool) -> None:
    with ServerProcess(data, "--head-s", "1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began_s = time.monotonic()
        async with asyncio.timeout(30):
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 500:
                if drips:
                    writer.write(bytes((byte,)))
                if reader.at_eof():
                    break
                await asyncio.sleep(0.05)
            await reader.read()
        writer.close()
        assert time.monotonic() - began_s > 0.9
        page = httpx.get(f"{server.url}/metrics").text
        assert metric(page, 'connections_broken_total{reason="no head"}') == 1


async def test_a_long_answer_that_nobody_reads_is_given_up_and_its_memory_with_it(
    data: Path,
) -> None:
    with ServerProcess(data, "--stuck-s", "2", *FAST) as server:
        ann = await Person.register(server.url, "Ann")
        for _ in range(200):  # so much that the kernel does not take all of an answer
            await ann.send("\N{GRINNING FACE}" * 4000)
        request = (
            f"GET /api/messages?limit=200 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {ann.token}\r\n\r\n"
        ).encode()
        after_mb = []
        for given_up in (40, 80):
            stuck = [never_reads(server.port, request) for _ in range(40)]
            # Some at once, since not so much may wait for one user; the others for want of a byte that is taken.
            await until_given_up(server.url, given_up)
            after_mb.append(memory_mb(server.pid))
            for sock in stuck:
                sock.close()
        assert after_mb[1] - after_mb[0] < 50, "of the 130 that were held in between"


async def until_given_up(url: str, many: int) -> None:
    names = [f'connections_broken_total{{reason="{reason}"}}' for reason in ("stuck", "overrun")]
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=url) as http:
        found = [0.0, 0.0]
        while sum(found) < many:
            page = (await http.get("/metrics")).text
            found = [metric(page, name) for name in names]
            await asyncio.sleep(0.05)
    assert sum(found) == many


def never_reads(port: int, request: bytes) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.sendall(request)
    return sock


def memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """A client's frame, masked with zeros."""
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


PING = frame(9)
WORDS = (
    PING,
    frame(1, b'{"type":"ping"}'),
    frame(1, b'{"type":"typing"}'),
    frame(1, b'{"type":"send","text":"hello"}'),
)


async def test_twenty_sockets_that_flood_cost_another_user_little(data: Path) -> None:
    with ServerProcess(data) as server:
        eve, ann = await Person.register(server.url, "Eve"), await Person.register(server.url)
        bearable = await bearable_ms(server.port)
        herd = come(server.port, [socket_request(server.port, eve.token)] * 20)
        with Probe(server.port, "/api/me", ann.token) as probe:
            until_s = time.monotonic() + 3
            while time.monotonic() < until_s:
                await asyncio.to_thread(flood_once, herd.sockets)
        herd.close()
        page = (await ann.http.get("/metrics")).text
        assert metric(page, "paused_sockets_total") > 0
        assert probe.kept.failed == probe.new.failed == 0
        assert probe.kept.p99_ms < bearable


def flood_once(sockets: list[socket.socket]) -> None:
    """As much as each takes, and once more when one of them takes more."""
    poll = select.poll()
    for number, sock in enumerate(list(sockets)):
        poll.register(sock, select.POLLOUT)
        try:
            sock.send(WORDS[number % 4] * 300)
        except BlockingIOError:
            pass
        except OSError:
            sockets.remove(sock)
            poll.unregister(sock)
        with contextlib.suppress(OSError):
            sock.recv(65536)
    poll.poll(100)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the rates that it has by itself."""
    with ServerProcess(tmp_path_factory.mktemp("data"), "--refusals", "5") as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


class Bare:
    """A WebSocket of which a test writes the bytes."""

    async def connect(self, url: str, token: str) -> Bare:
        port = int(url.rpartition(":")[2])
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(socket_request(port, token))
        await self.reader.readuntil(b'"presence","online":[]}')
        return self

    async def frames(self, last: int) -> list[tuple[int, bytes]]:
        """What comes, up to a frame of this opcode."""
        got: list[tuple[int, bytes]] = []
        async with asyncio.timeout(30):
            while not got or got[-1][0] != last:
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self.reader.readexactly(2), "big")
                got.append((first & 15, await self.reader.readexactly(size)))
        return got


async def test_of_many_pings_in_one_read_the_newest_is_answered(plain: ServerProcess) -> None:
    bare = await Bare().connect(plain.url, (await Person.register(plain.url)).token)
    bare.writer.write(b"".join(frame(9, b"%d" % number) for number in range(20)))
    assert await bare.frames(10) == [(10, b"19")]
    bare.writer.write(frame(9, b"again") + frame(8, b"\x03\xe8"))
    assert await bare.frames(8) == [(10, b"again"), (8, b"\x03\xe8")], "before the end, too"
    bare.writer.close()


async def test_a_flood_of_pings_is_paid_for_and_answered_in_the_end(plain: ServerProcess) -> None:
    eve = await Person.register(plain.url, "Eve")
    bare = await Bare().connect(plain.url, eve.token)
    bare.writer.write(PING * 700 + frame(9, b"last"))
    began_s = time.monotonic()
    pongs: list[bytes] = []
    while b"last" not in pongs:
        pongs += [data for _, data in await bare.frames(10)]
    assert time.monotonic() - began_s > 1.5, "400 at once, then 100 a second"
    assert len(pongs) < 15
    bare.writer.close()


async def test_whoever_goes_on_over_the_rate_is_closed_with_4500(plain: ServerProcess) -> None:
    eve = await Person.register(plain.url, "Eve")
    bare = await Bare().connect(plain.url, eve.token)
    bare.writer.write(frame(1, b'{"type":"send","text":"hello"}') * 40)
    *_, (_, bye) = await bare.frames(8)
    assert int.from_bytes(bye[:2], "big") == 4500
    bare.writer.close()


async def test_what_is_said_in_one_write_is_done_in_order_and_none_is_lost(
    plain: ServerProcess,
) -> None:
    ann = await Person.register(plain.url, "Ann")
    bare = await Bare().connect(plain.url, ann.token)
    frames = [frame(1, b'{"type":"typing"}') for _ in range(90)]
    for number in range(15):
        frames.insert(number * 7, frame(1, b'{"type":"send","text":"x","clientId":"%d"}' % number))
    bare.writer.write(b"".join(frames) + frame(1, b'{"type":"ping"}'))
    acked: list[str] = []
    async with asyncio.timeout(30):
        while True:
            ((_, data),) = await bare.frames(1)
            said = json.loads(data)
            if said["type"] == "ack":
                acked.append(said["clientId"])
            if len(acked) == 15:
                break
    assert acked == [str(number) for number in range(15)]
    bare.writer.close()


async def test_with_the_meter_off_a_flood_is_not_paused_and_bounds_stay(data: Path) -> None:
    with ServerProcess(data, "--meter", "off") as server:
        ann = await Person.register(server.url, "Ann")
        bare = await Bare().connect(server.url, ann.token)
        bare.writer.write(PING * 2000 + frame(9, b"last"))
        while (await bare.frames(10))[-1][1] != b"last":
            pass
        assert metric((await ann.http.get("/metrics")).text, "paused_sockets_total") == 0
        bare.writer.close()


async def test_an_outage_is_a_line_when_it_begins_and_one_when_it_ends(data: Path) -> None:
    with ServerProcess(data, *FAST) as server:
        ann = await Person.register(server.url, "Ann")
        hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, hard))  # no file can be written
        statuses = set()
        for number in range(300):
            answer = await ann.http.post("/api/messages", json={"text": f"{number}"})
            statuses.add(answer.status_code)
        assert statuses == {503}
        ready = await ann.http.get("/readyz")
        assert ready.status_code == 503
        page = (await ann.http.get("/metrics")).text
        assert metric(page, 'failed_answers_total{status="503"}') >= 300
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        async with asyncio.timeout(30):
            while not [line for line in server.log if "over: 301 times" in line]:
                await asyncio.sleep(0.1)
        assert (await ann.http.get("/readyz")).status_code == 200
        refusals = [line for line in server.log if "POST /api/messages 503" in line]
        assert len(refusals) < 20
        assert server.stop() == 0


def test_a_death_by_signal_says_where(data: Path) -> None:
    with ServerProcess(data) as server:
        assert server._signal(signal.SIGSEGV) == -signal.SIGSEGV
    assert [line for line in server.log if "Segmentation fault" in line]
    assert [line for line in server.log if "_serve" in line or "run_forever" in line]
