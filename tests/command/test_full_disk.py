"""A full disk, a limit of file size, a disk that may only be read: each is called by its name, at the start and while the
server runs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.site.conftest import Browser
from tests.support.desk import leave_out
from tests.support.process import ServerProcess

SIZE_KB = 3072
WITHIN_S = 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk that is small; root alone may make one."""
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k,mode=700", "tmpfs", str(tmp_path)],
        capture_output=True,
    )
    if mount.returncode:
        leave_out("nobody but root can make a disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path, leave_bytes: int = 0) -> None:
    status = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(status.f_bavail * status.f_frsize - leave_bytes))


def serve(data: Path, *options: str, file_bytes: int | None = None) -> str:
    """What a start says that comes to nothing."""

    def bound() -> None:
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    done = subprocess.run(
        [sys.executable, "-m", "chatserver", "serve", "--port", "0", "--data", str(data), *options],
        capture_output=True,
        text=True,
        timeout=90,
        preexec_fn=bound,
    )
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr and "backup" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("leave_bytes", [0, 4096, 8192, 65536, 131072])
def test_a_start_on_a_full_disk_says_so(disk: Path, leave_bytes: int) -> None:
    fill(disk, leave_bytes)
    assert "is full: make room on it" in serve(disk / "data")


def test_a_start_with_data_from_before_on_a_full_disk_says_so(disk: Path) -> None:
    with ServerProcess(disk / "data") as running:
        Browser(running.url).http.close()
        running.kill()  # its log is still there to be taken in
    fill(disk)
    assert "is full: make room on it" in serve(disk / "data")
    (disk / "filler").unlink()
    with ServerProcess(disk / "data") as running:
        assert running.stop() == 0


def test_a_disk_that_may_only_be_read_is_called_so(disk: Path) -> None:
    with ServerProcess(disk / "data") as running:
        assert running.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert "Read-only file system" in serve(disk / "data")


@pytest.mark.parametrize("file_bytes", [1024, 20_480, 102_400])
def test_a_limit_of_file_size_is_called_so(tmp_path: Path, file_bytes: int) -> None:
    """SQLite calls it a disk I/O error, for which it used to be told to restore a backup."""
    assert "ulimit -f" in serve(tmp_path / "data", "--demo", file_bytes=file_bytes)


def until(http: httpx.Client, path: str, status: int) -> httpx.Response:
    give_up_at_s = time.monotonic() + WITHIN_S
    while (answer := http.get(path)).status_code != status:
        assert time.monotonic() < give_up_at_s, answer.text
    return answer


def test_a_disk_that_runs_full_is_told_to_everybody_and_room_ends_it(disk: Path) -> None:
    with ServerProcess(disk / "data", "--meter", "off") as running:
        one = Browser(running.url)
        sent = []
        fill(disk, 256 * 1024)
        for number in range(2000):
            body = {"text": f"{number} " + "x" * 3000, "clientId": str(number)}
            answer = one.http.post("/api/messages", json=body)
            if answer.status_code != 201:
                break
            sent.append(number)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        until(one.http, "/readyz", 503)
        assert one.http.get("/healthz").status_code == 200
        assert one.http.get("/api/messages").status_code == 200
        (disk / "filler").unlink()
        until(one.http, "/readyz", 200)
        # The same message again: it was not kept, and is posted once.
        assert one.http.post("/api/messages", json=body).status_code == 201
        assert one.http.post("/api/messages", json=body).status_code == 200
        found = [
            int(event["text"].split()[0]) for event in one.events() if event["type"] == "message"
        ]
        assert found == [*sent, number]
        one.http.close()
        assert running.stop() == 0
    assert any("is full: make room on it" in line for line in running.log)
