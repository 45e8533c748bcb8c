"""The limit of descriptors is raised at the start, said, and what it allows bounds the connections."""

from __future__ import annotations

import resource
from pathlib import Path

import httpx

from chatserver.command.descriptors import RESERVE
from tests.support.process import ServerProcess


def limited(data: Path, soft: int, hard: int, *options: str) -> ServerProcess:
    """A server that is started with these limits."""
    server = ServerProcess(data, *options)
    shell = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    server.command = ["sh", "-c", shell, "sh", *server.command]
    return server


def room(pid: int) -> int:
    """For how many descriptors the kernel has room in its table for this process (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("FDSize:"))


def test_the_soft_limit_is_raised_to_the_hard_one_and_both_are_one_line(data: Path) -> None:
    with limited(data, 256, 1024) as server:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (1024, 1024)
        page = httpx.get(f"{server.url}/metrics").text
        # It would grow while people come, and stand still each time.
        assert room(server.pid) >= 1024
        assert server.stop() == 0
    line = f"descriptors: 1024, raised from 256; connections: {1024 - RESERVE}"
    assert [each for each in server.log if line in each]
    assert f"chatserver_open_connections_max {1024 - RESERVE}.0" in page


def test_a_limit_that_need_not_be_raised_is_just_named(data: Path) -> None:
    with limited(data, 1024, 1024) as server:
        assert server.stop() == 0
    line = f"descriptors: 1024; connections: {1024 - RESERVE}"
    assert [each for each in server.log if line in each]


def test_a_setting_that_is_lower_counts(data: Path) -> None:
    with limited(data, 256, 1024, "--connections", "20") as server:
        assert "chatserver_open_connections_max 20.0" in httpx.get(f"{server.url}/metrics").text
