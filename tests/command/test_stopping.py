"""SIGTERM ends a server in order at any moment: right after it says that it listens, and while it starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.store.mongo_server import NxServer
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
    for moment in range(6):
        with starting("--data", str(data), "--demo", "--log-level", "warning") as process:
            lock = data / "chat.lock"
            while not lock.exists():
                time.sleep(0.002)
            time.sleep(moment * 0.05)
            process.send_signal(number)
            _, log = process.communicate(timeout=60)
            assert (process.returncode, log) == (0, "")
            lock.unlink()
    with ServerProcess(data, demo=True) as server:
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


def test_a_signal_during_the_start_gives_the_lease_of_the_database_back(
    data: Path, nx_server: NxServer
) -> None:
    """Or the next start would have to wait until it has run out."""
    uri = nx_server.uri()
    for moment in range(4):
        with starting("--data", str(data), "--mongodb", uri, "--demo") as process:
            time.sleep(0.6 + 0.2 * moment)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode in (0, -signal.SIGTERM), "or it was not yet there to hear it"
    with ServerProcess(data, "--mongodb", uri) as server:
        assert server.stop() == 0
    assert not [line for line in server.log if "without a word" in line], "no lease was waited for"
    assert server.complaints() == []
