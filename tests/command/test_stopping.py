"""SIGTERM ends a server in order at any moment: right after it says that it listens, and while it starts."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.store.mongo_server import NxServer
from tests.support.ports import LOOK_S
from tests.support.process import ServerProcess

TIMES = 20


@contextmanager
def starting(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A server that has been started, and has said nothing yet."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "chatserver", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(process: subprocess.Popen[str], come: Callable[[], bool], name: str) -> None:
    """Return when it has come, in the middle of the start."""
    while not come():
        assert process.poll() is None, f"it ended before {name}"
        time.sleep(LOOK_S)


def people_in(folder: Path) -> int:
    """The accounts of a database that is being made; not looked at before it is there."""
    if not (folder / "keys.json").exists():
        return 0
    with suppress(sqlite3.Error):
        db = sqlite3.connect(f"file:{folder / 'chat.sqlite3'}?mode=ro", uri=True)
        with closing(db):
            return int(db.execute("SELECT count(*) FROM users").fetchone()[0])
    return 0


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the lock of the folder": lambda folder: (folder / "chat.lock").exists(),
    "the keys": lambda folder: (folder / "keys.json").exists(),
    "the first account": lambda folder: people_in(folder) >= 1,
    "the third account": lambda folder: people_in(folder) >= 3,
}


@pytest.mark.timeout(400)
def test_a_signal_right_after_the_line_ends_in_order(data: Path) -> None:
    """A supervisor may send it as soon as it has read the line."""
    server = ServerProcess(data)
    for _ in range(TIMES):
        server.start()
        assert server.stop() == 0
    assert server.complaints() == []
    assert sum(line.endswith("drained") for line in server.log) == TIMES


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_in_order_and_leaves_the_folder_free(
    data: Path, number: signal.Signals
) -> None:
    """At moments spread over the start, demo accounts included."""
    for moment, (name, come) in enumerate(MOMENTS.items()):
        folder = data / str(moment)
        options = ("--data", str(folder), "--demo", "--log-level", "warning")
        with starting(*options) as process:
            wait_until(process, partial(come, folder), name)
            process.send_signal(number)
            _, log = process.communicate(timeout=60)
            assert (process.returncode, log) == (0, ""), name
        with ServerProcess(folder, demo=True) as server:
            assert server.stop() == 0
        assert server.complaints() == []


def test_a_signal_while_a_database_is_waited_for_ends_in_order(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        uri = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/chat"
        with starting("--data", str(data), "--mongodb", uri) as process:
            assert process.stderr is not None
            assert "waiting for the database" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
            assert process.returncode == 0, log
            assert "stopped before it had started" in log and "Traceback" not in log


def _has_begun(kept: Database[dict[str, Any]], people: int) -> bool:
    held = kept["meta"].find_one({"_id": "lease"}) is not None
    return held and kept["users"].count_documents({}) >= people


def test_a_signal_during_the_start_gives_the_lease_of_the_database_back(
    data: Path, nx_server: NxServer
) -> None:
    """Or the next start would have to wait until it has run out."""
    uri = nx_server.uri()
    with MongoClient[dict[str, Any]](uri) as client:
        kept = client.get_default_database()
        for people in (0, 1, 2):
            with starting("--data", str(data), "--mongodb", uri, "--demo") as process:
                begun = partial(_has_begun, kept, people)
                wait_until(process, begun, f"the lease and {people} accounts")
                process.send_signal(signal.SIGTERM)
                _, log = process.communicate(timeout=60)
                assert process.returncode == 0, log
    with ServerProcess(data, "--mongodb", uri) as server:
        assert server.stop() == 0
    assert not [line for line in server.log if "without a word" in line], "no lease was waited for"
    assert server.complaints() == []


_HASTY = (
    "import sys; from chatserver.command import cli, serve; serve.STOP_S = 0.5;"
    " sys.exit(cli.main(sys.argv[1:]))"
)
"""The command, with half a second to stop."""


def test_a_stop_ends_in_time_though_the_database_is_frozen(data: Path, nx_server: NxServer) -> None:
    """Its own bounds are seconds, one after another."""
    server = ServerProcess(data, "--mongodb", nx_server.uri())
    server.command = [sys.executable, "-c", _HASTY]
    with server:
        nx_server.signal(signal.SIGSTOP)
        try:
            assert server.stop() == 0
        finally:
            nx_server.signal(signal.SIGCONT)
    assert server.complaints() == []
    assert any("takes longer than 0.5 s" in line for line in server.log)
    assert not any("drained" in line for line in server.log)
