"""The database of a running server fails under traffic: nothing is lost or doubled, and it mends itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatserver.store.mongo.database import SAY_EVERY_S
from chatserver.store.mongo.schema import SCHEMA
from tests.conftest import FAST
from tests.store.mongo_proxy import MongoProxy, Refusal
from tests.store.mongo_server import NxServer, database, fresh_name
from tests.support.clients import Person, WebSocketReader
from tests.support.process import ServerProcess
from tests.traffic.traffic import Traffic

CLEAN = {"lost": 0, "doubled": 0, "disordered": 0, "resets": 0}
AWAY_S = 20.0
SLOW_S = 2.0
EXPECTED = ("does not answer", "cannot be made durable")
"""What the log says of an outage, once, where it begins."""

Fault = Callable[["Patient"], Awaitable[None]]


@pytest.fixture
def nx(own_nx_server: NxServer) -> NxServer:
    """A database server that runs, and that the test may hurt."""
    own_nx_server.start()
    return own_nx_server


@pytest.fixture
def proxy(nx: NxServer) -> Iterator[MongoProxy]:
    with MongoProxy(nx.port) as running:
        yield running


def through(proxy: MongoProxy) -> str:
    return f"mongodb://127.0.0.1:{proxy.port}/{fresh_name()}"


class Patient(Traffic):
    """Traffic whose writers heed a refusal, and count it; and a witness on one connection all the time."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        super().__init__(server, seed)
        self.refused = 0
        self.witnessed: list[str] = []

    async def _try_to_send(self, person: Person, text: str) -> None:
        body = {"text": text, "clientId": text}
        answer = await person.http.post("/api/messages", json=body)
        if answer.status_code == 503:
            check_unavailable(answer)
            self.refused += 1
            # Sooner than it says: a client that does not heed it must do no harm.
            await asyncio.sleep(0.05)
        assert answer.status_code in (200, 201)
        self.tally.acknowledged[text] = answer.json()["seq"]

    async def until_more(self, messages: int) -> None:
        """Wait for so many more acknowledgements."""
        before = len(self.tally.acknowledged)
        while len(self.tally.acknowledged) < before + messages:
            await asyncio.sleep(0.001)

    async def until_refused(self) -> None:
        """Wait until the server has refused something: what is under way when a database goes may wait for it, all of it."""
        async with asyncio.timeout(60):
            while not self.refused:
                await asyncio.sleep(0.01)

    async def witness(self, reader: WebSocketReader) -> None:
        """Read on one connection that is never made again."""
        while not self._seen_all():
            try:
                event = json.loads(await asyncio.wait_for(reader.receive(), 1))
            except TimeoutError:
                continue
            if event["type"] == "message":
                self.witnessed.append(event["text"])

    def _seen_all(self) -> bool:
        return self.writers_done.is_set() and set(self.witnessed) >= self.tally.acknowledged.keys()


def check_unavailable(answer: httpx.Response) -> None:
    """The documented answer of a server that cannot keep anything."""
    told = answer.json()
    assert (told["status"], told["code"]) == (503, "unavailable")
    assert 1 <= int(answer.headers["Retry-After"]) <= 30 and told["retryAfter"] >= 1


async def is_ready(server: ServerProcess) -> bool:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        answer = await http.get("/readyz")
    if answer.status_code == 503:
        check_unavailable(answer)
    return answer.status_code == 200


async def until_ready(server: ServerProcess, ready: bool, limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while await is_ready(server) is not ready:
            await asyncio.sleep(0.01)


async def suffer(data: Path, uri: str, fault: Fault, messages: int = 100) -> Patient:
    """Run traffic, let `fault` happen to it, and compare what was sent with what came."""
    server = ServerProcess(data, *FAST, "--mongodb", uri).start()
    traffic = Patient(server, seed=5)

    async def chaos(reader: WebSocketReader) -> None:
        await traffic.until_more(20)
        await fault(traffic)
        await until_ready(server, True, 60)
        traffic.trouble_over.set()
        await traffic.witness(reader)

    traffic.trouble_over.clear()
    await traffic.prepare(people=3)
    person = traffic.people[0]
    reader = WebSocketReader(server.url, person.token, client="witness")
    await reader.connect()
    await traffic.run(messages, chaos(reader))
    assert traffic.tally.verdict() == CLEAN
    assert len(traffic.tally.acknowledged) == 3 * messages
    assert sorted(traffic.witnessed) == sorted(traffic.tally.acknowledged)
    assert server.stop() == 0
    for line in server.complaints():
        assert any(words in line for words in EXPECTED), line
    return traffic


# away


@pytest.mark.timeout(400)
async def test_a_database_away_for_a_while_loses_and_doubles_nothing(
    data: Path, nx: NxServer
) -> None:
    """Frozen: connections stay open and nothing is answered, as behind a cut cable."""

    async def freeze(traffic: Patient) -> None:
        nx.signal(signal.SIGSTOP)
        back = asyncio.get_running_loop().time() + AWAY_S
        await until_ready(traffic.server, False, 30)
        await asyncio.sleep(back - asyncio.get_running_loop().time())
        nx.signal(signal.SIGCONT)

    assert (await suffer(data, nx.uri(), freeze)).refused > 10


@pytest.mark.timeout(400)
async def test_a_database_killed_and_started_again_loses_and_doubles_nothing(
    data: Path, nx: NxServer
) -> None:
    async def kill(traffic: Patient) -> None:
        await asyncio.to_thread(nx.kill)
        await until_ready(traffic.server, False, 30)
        await traffic.until_refused()
        await asyncio.to_thread(nx.start)

    assert (await suffer(data, nx.uri(), kill)).refused > 0


@pytest.mark.timeout(400)
async def test_the_log_names_a_database_that_is_away_at_once_and_then_every_ten_seconds(
    data: Path, nx: NxServer
) -> None:
    away = re.compile(rf"does not answer( yet)?: 127\.0\.0\.1:{nx.port}\b.*\w")

    async def kill(traffic: Patient) -> None:
        def said() -> list[str]:
            return [line for line in traffic.server.log if "does not answer" in line]

        begun_s = time.monotonic()
        await asyncio.to_thread(nx.kill)
        async with asyncio.timeout(120):
            while len(said()) < 3:
                await asyncio.sleep(0.01)
        assert time.monotonic() - begun_s >= 2 * SAY_EVERY_S
        assert all(away.search(line) for line in said()), said()
        await asyncio.to_thread(nx.start)

    assert (await suffer(data, nx.uri(), kill)).refused > 0


# slow, or refusing


@pytest.mark.timeout(400)
async def test_a_database_that_answers_slowly_is_waited_for(data: Path, proxy: MongoProxy) -> None:
    async def slow(traffic: Patient) -> None:
        proxy.delay_s = SLOW_S
        await traffic.until_more(9)
        assert await is_ready(traffic.server)
        proxy.delay_s = 0.0

    assert (await suffer(data, through(proxy), slow)).refused == 0


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(10107, "NotWritablePrimary"),
        Refusal(14031, "OutOfDiskSpace"),
        Refusal(13, "Unauthorized"),
    ],
    ids=lambda refusal: refusal.name,
)
async def test_a_database_that_takes_no_writes_loses_and_doubles_nothing(
    data: Path, proxy: MongoProxy, refusal: Refusal
) -> None:
    async def refuse(traffic: Patient) -> None:
        proxy.refusal = refusal
        await until_ready(traffic.server, False, 30)
        refused = traffic.refused
        while traffic.refused < refused + 30:
            await asyncio.sleep(0.01)
        # What needs no writing still works.
        history = await traffic.people[0].http.get("/api/messages")
        assert history.status_code == 200 or refusal.code == 10107
        proxy.refusal = None

    assert (await suffer(data, through(proxy), refuse)).refused >= 30
    assert proxy.refused > 0


# starting


async def test_a_server_started_before_its_database_waits_and_says_so(
    data: Path, nx: NxServer
) -> None:
    nx.kill()
    server = ServerProcess(data, "--mongodb", nx.uri(), demo=True)

    try:
        starting = asyncio.create_task(asyncio.to_thread(server.start))
        async with asyncio.timeout(60):
            while not any("waiting for the database" in line for line in server.log):
                await asyncio.sleep(0.01)
        assert not starting.done()
        await asyncio.to_thread(nx.start)
        await starting
        ann = await Person.sign_in(server.url, "ann@example.com", "demo-password")
        assert await ann.send("here") > 0
        assert server.stop() == 0
        assert server.complaints() == []
    finally:
        server.kill()


_IMPATIENT = (
    "import sys; from chatserver.store.mongo import database; database.WAIT_S = 1.0;"
    " from chatserver.command.cli import main; sys.exit(main(sys.argv[1:]))"
)
"""The command, but for the minute that it waits for a database that does not answer."""


def refused(*arguments: str) -> str:
    """The one sentence of a command that is refused."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
    done = subprocess.run(
        [sys.executable, "-c", _IMPATIENT, *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        env=clean,
    )
    assert done.returncode == 2 and done.stdout == "", done
    *log, sentence = done.stderr.splitlines()
    assert all("WARNING" in line for line in log), done.stderr
    assert sentence.startswith("chatserver: ") and sentence.endswith(".")
    return sentence.removeprefix("chatserver: ")


def start_refused(data: Path, uri: str) -> str:
    sentence = refused("serve", "--port", "0", "--data", str(data), "--mongodb", uri)
    assert not data.exists(), "nothing was made"
    return sentence


async def contents(uri: str) -> dict[str, list[Any]]:
    """Everything in a database, and its indexes."""
    async with database(uri) as db:
        found = {}
        for name in await db.list_collection_names():
            found[name] = [await db[name].find().to_list(None), await db[name].index_information()]
    return found


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:27017/x", "looks like mongodb://"),
        ("mongodb://127.0.0.1:port/x", "looks like mongodb://"),
        ("mongodb://", "looks like mongodb://"),
        (
            "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200",
            "start it, or correct the address",
        ),
        ("mongodb://no.such.host.invalid/x?serverSelectionTimeoutMS=200", "correct the address"),
    ],
)
def test_a_database_that_is_not_there_is_one_sentence_and_exit_code_2(
    data: Path, uri: str, words: str
) -> None:
    assert words in start_refused(data, uri)


@pytest.mark.parametrize(
    ("collection", "document", "words"),
    [
        ("notes", {"_id": 1}, "made by another program"),
        ("meta", {"_id": "schema", "version": SCHEMA + 1, "created_seq": 0}, "newer chatserver"),
    ],
)
async def test_a_database_that_is_not_for_this_version_is_refused_and_left_as_it_was(
    data: Path, nx_server: NxServer, collection: str, document: dict[str, Any], words: str
) -> None:
    uri = nx_server.uri()

    async with database(uri) as db:
        await db[collection].insert_one(document)
    before = await contents(uri)
    assert words in start_refused(data, uri)
    assert await contents(uri) == before


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(13, "Unauthorized", frozenset({"find", "insert"})), "readWrite role"),
        (Refusal(18, "AuthenticationFailed", frozenset({"ping"})), "name and the password"),
    ],
    ids=lambda value: value.name if isinstance(value, Refusal) else "",
)
async def test_missing_rights_are_one_sentence_and_exit_code_2(
    data: Path, proxy: MongoProxy, refusal: Refusal, words: str
) -> None:
    proxy.refusal = refusal
    uri = through(proxy)
    assert words in start_refused(data, uri)
    proxy.refusal = None
    assert await contents(uri) == {}
