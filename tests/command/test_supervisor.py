"""The supervisor with workers that do no more than say so: who is replaced, what is refused, and how all end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = r"""
import logging, os, signal, sys, time
from pathlib import Path
from chatserver.command.embedded import EmbeddedNats
from chatserver.command.refusal import Refused, sentence_of
from chatserver.command.supervisor import Supervisor

logging.basicConfig(level="INFO")
folder = Path(sys.argv[1])

def line(text):
    os.write(1, f"{text}\n".encode())  # one piece, whoever else writes

def live(number, voice):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    line(f"worker {number} is {os.getpid()}")
    voice.say(port=8888)
    while not ended:
        signal.pause()
    line(f"worker {number} drained")
    return 0

def refuse(number, voice):
    raise Refused("the data are in use.")

def fail(number, voice):
    return 3 if number else live(number, voice)

work = {"live": live, "refuse": refuse, "fail": fail}[sys.argv[2]]
nats = EmbeddedNats(folder) if "nats" in sys.argv else None
try:
    Supervisor(3, work, nats, lambda port: line(f"all listen on {port}"), sentence_of).run()
except Refused as refusal:
    line(f"refused: {refusal}")
    sys.exit(2)
line(f"nats left: {nats and nats.pid}")
"""


class Running:
    """The program, and every line that it has said."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, pattern: str) -> re.Match[str]:
        """Read on to a line like this; the test's timeout bounds it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without {pattern}: {self.lines}")

    def workers(self) -> list[int]:
        """The processes of the three, once all are ready."""
        self.until("all listen on 8888")
        said = re.findall(r"worker (\d) is (\d+)", "\n".join(self.lines))
        return [pid for _, pid in sorted((int(number), int(pid)) for number, pid in said)]


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Running]:
    it = Running(str(folder), *words)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.wait()
        assert it.process.stdout is not None
        it.process.stdout.close()


def test_all_end_in_order_when_the_supervisor_is_asked_to(tmp_path: Path) -> None:
    with running(tmp_path, "live") as it:
        assert len(it.workers()) == 3
        it.process.send_signal(signal.SIGTERM)
        it.until("nats left: None")
        assert sum("drained" in line for line in it.lines) == 3
        assert it.process.wait() == 0


def test_a_worker_that_dies_is_replaced_and_the_others_are_not(tmp_path: Path) -> None:
    with running(tmp_path, "live") as it:
        pids = it.workers()
        os.kill(pids[1], signal.SIGKILL)
        assert it.until(r"worker (\d) is").group(1) == "1"
        assert any("process 1 ended (signal 9)" in line for line in it.lines)
        os.kill(pids[0], signal.SIGKILL)
        assert it.until(r"worker (\d) is").group(1) == "0"
        os.kill(pids[2], 0)
        it.process.send_signal(signal.SIGTERM)
        it.until("nats left")
        assert it.process.wait() == 0


def test_what_the_first_cannot_do_is_refused_once_and_nobody_else_is_started(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "refuse") as it:
        it.until("refused: the data are in use.")
        assert it.process.wait() == 2
        assert sum("in use" in line for line in it.lines) == 1


def test_a_worker_that_ends_while_all_start_ends_the_start(tmp_path: Path) -> None:
    with running(tmp_path, "fail") as it:
        it.until("refused: a process of the server ended while it started")
        assert it.process.wait() == 2
        assert any("worker 0 drained" in line for line in it.lines)


def test_when_the_supervisor_is_killed_its_workers_and_its_nats_server_end(tmp_path: Path) -> None:
    with running(tmp_path, "live", "nats") as it:
        it.workers()
        children = _children(it.process.pid)
        assert len(children) == 4
        it.process.kill()
        for _ in range(3):
            it.until("drained")
        while any(_runs(pid) for pid in children):
            time.sleep(0.01)


def test_a_nats_server_that_dies_is_started_again_with_the_same_address(tmp_path: Path) -> None:
    with running(tmp_path, "live", "nats") as it:
        workers = it.workers()
        (nats,) = set(_children(it.process.pid)) - set(workers)
        config = (tmp_path / "order" / "nats.conf").read_text()
        assert (tmp_path / "order" / "nats.conf").stat().st_mode & 0o077 == 0
        os.kill(nats, signal.SIGKILL)
        it.until("it is started again")
        while not (again := set(_children(it.process.pid)) - set(workers)):
            time.sleep(0.01)
        assert again != {nats}
        assert (tmp_path / "order" / "nats.conf").read_text() == config
        it.process.send_signal(signal.SIGTERM)
        it.until("nats left: None")
        assert it.process.wait() == 0


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
