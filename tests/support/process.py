"""The server as a user runs it: a process with a data folder, on a free port of the loopback."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

READY_S = 30.0
STOP_S = 35.0
"""The contract promises an exit within 30 s of SIGTERM."""


class ServerProcess:
    """`chatserver serve`, started and stopped as often as a test likes on the same data and port."""

    def __init__(self, data: Path, *options: str, demo: bool = False) -> None:
        self.data = data
        self.options = (*options, "--demo") if demo else options
        self.command = [sys.executable, "-m", "chatserver"]
        self.folder: Path | None = None
        self.port = 0
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> ServerProcess:
        """Start, and return when it says that it listens."""
        command = [*self.command, "serve"]
        command += ["--data", str(self.data), "--port", str(self.port), *self.options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.folder,
        )
        ready: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, ready), daemon=True)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        for _ in self._readers:
            line = ready.get(timeout=READY_S)
            if line is not None:
                found = re.search(r"listening on http://[^ ]*:(\d+)", line)
                assert found is not None
                self.port = int(found.group(1))
                return self
        raise AssertionError("the server did not start:\n" + "\n".join(self.log))

    def _read(self, stream: object, ready: queue.Queue[str | None]) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self.log.append(line.rstrip("\n"))
            if "listening on http://" in line:
                ready.put(line)
        ready.put(None)

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

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def complaints(self) -> list[str]:
        """Lines of the log that no healthy server writes."""
        words = (
            "Traceback",
            "ERROR",
            "CRITICAL",
            "Exception",
            "was never awaited",
            "never retrieved",
        )
        return [line for line in self.log if any(word in line for word in words)]
