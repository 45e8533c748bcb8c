"""Servers as a user runs them: a process that says where it listens, on a free port of the loopback."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, ClassVar, Self

from tests.support.ports import free_port

READY_S = 60.0
STOP_S = 35.0
"""The contract promises an exit within 30 s of SIGTERM."""

COMPLAINTS = re.compile("Traceback|ERROR|CRITICAL|Exception|was never awaited|never retrieved")

SECRETS = re.compile(
    r"cst_[\w-]{20}|chatserver(_form)?=[\w.-]{20}|[0-9a-f]{8}\.[\w-]{40}|\$argon2id\$|correct horse|better horse"
)
"""Tokens, cookies and what is sealed in them or in a form, hashes of passwords, and the passwords of the tests."""


class DidNotStart(AssertionError):
    """A server ended, or said nothing for too long; the message holds what it printed."""


class Program:
    """A program that prints `listening on http://…:PORT` when it is ready; its output is kept in `log`."""

    def __init__(
        self,
        *command: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = [str(word) for word in command]
        self.folder = folder
        self.environment = environment
        self.port = 0
        self.ready_s = READY_S
        self.started_at_s = 0.0
        """When the process was started, on the monotonic clock."""
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._ready: queue.Queue[str | None] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def whole_command(self) -> list[str]:
        """What is run."""
        return self.command

    def start(self) -> Self:
        """Start, and return when it says that it listens. Raises `DidNotStart`."""
        self.started_at_s = time.monotonic()
        self._process = subprocess.Popen(
            self.whole_command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self.environment,
            cwd=self.folder,
        )
        self._ready = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, self._ready), daemon=True)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        self.await_ready()
        return self

    def await_ready(self) -> None:
        """Return when the port is known and taken. Raises `DidNotStart`, the process killed."""
        give_up_at_s = self.started_at_s + self.ready_s
        for _ in self._readers:
            try:
                line = self._ready.get(timeout=max(0.0, give_up_at_s - time.monotonic()))
            except queue.Empty:
                break
            if line is not None:
                found = re.search(r"listening on https?://[^ ]*:(\d+)", line)
                assert found is not None
                self.port = int(found.group(1))
                return
        raise self.failed_start()

    def failed_start(self) -> DidNotStart:
        """Kill it; the error that says so."""
        self.kill()
        return DidNotStart("the server did not start:\n" + "\n".join(self.log)[-2000:])

    def _read(self, stream: IO[str], ready: queue.Queue[str | None]) -> None:
        for line in stream:
            self.log.append(line.rstrip("\n"))
            if re.search("listening on https?://", line):
                ready.put(line)
        ready.put(None)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As a crash or a power cut ends it."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """As an operator ends it; its exit code."""
        return self._signal(signal.SIGTERM)

    def terminate(self) -> None:
        """Send SIGTERM, and go on without waiting; `wait` tells the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code, once there is one."""
        assert self._process is not None
        code = self._process.wait(STOP_S)
        for reader in self._readers:
            reader.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        return code

    def _signal(self, number: int) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


class ServerProcess(Program):
    """`chatserver serve`, started and stopped as often as a test likes on the same data and port."""

    module: ClassVar[str] = "chatserver"
    """What is run. The tests run one that hashes passwords quickly (`tests.conftest`); what measures runs this."""

    def __init__(self, data: Path, *options: str, demo: bool = False) -> None:
        # A setting in the tester's own environment must not reach the server under test.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
        super().__init__(sys.executable, "-m", self.module, environment=clean)
        self.data = data
        # Not 0: what the system gives away, it may give to a client while this one is killed and started again.
        self.port = free_port()
        self.options = (*options, "--demo") if demo else options

    def whole_command(self) -> list[str]:
        where = ["--data", str(self.data), "--port", str(self.port)]
        return [*self.command, "serve", *where, *self.options]

    def complaints(self) -> list[str]:
        """Lines of the log that no healthy server writes, and those with a secret in them; each with the lines that belong to it."""
        found: list[str] = []
        inside = False
        for line in self.log:
            inside = bool(COMPLAINTS.search(line) or SECRETS.search(line)) or (
                inside and not line[:4].isdigit()
            )
            if inside:
                found.append(line)
        return found
