"""How long an answer takes, seen from a process of its own: `python -m tests.support.probe PORT PATH [TOKEN]`.

It asks every few milliseconds over one connection that stays, and now and then over a new one, until its standard input
ends; then it prints what it saw as JSON.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Self

EVERY_S = 0.005
NEW_EVERY_S = 0.05
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Waits:
    """Milliseconds, of `asked` requests, of which `failed` were not answered."""

    asked: int
    failed: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Probe:
    """A probe that runs while it is entered; then `kept` and `new` say what it saw."""

    kept: Waits
    new: Waits

    def __init__(self, port: int, path: str, token: str = "") -> None:
        self._command = [sys.executable, "-m", "tests.support.probe", str(port), path, token]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        said, _nothing = self._process.communicate("", TIMEOUT_S + 5)
        seen = json.loads(said)
        self.kept, self.new = (Waits(**seen[name]) for name in ("kept", "new"))


class _Asking(threading.Thread):
    def __init__(self, port: int, request: bytes, every_s: float, keeps: bool) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.waits_ms: list[float] = []
        self.failed = 0
        self._port, self._request, self._every_s, self._keeps = port, request, every_s, keeps
        self._sock: socket.socket | None = None

    def run(self) -> None:
        while not self.over.is_set():
            began_s = time.monotonic()
            try:
                self._ask()
            except OSError:
                self.failed += 1
                self._drop()
            self.waits_ms.append((time.monotonic() - began_s) * 1000)
            self.over.wait(self._every_s)

    def _ask(self) -> None:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
        self._sock.sendall(self._request)
        if b" 200 " not in self._sock.recv(65536)[:20]:
            raise OSError("not answered")
        if not self._keeps:
            self._drop()

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def seen(self) -> dict[str, float]:
        waits = sorted(self.waits_ms) or [0.0]
        return {
            "asked": len(waits),
            "failed": self.failed,
            "p50_ms": round(waits[len(waits) // 2], 1),
            "p99_ms": round(waits[len(waits) * 99 // 100], 1),
            "worst_ms": round(waits[-1], 1),
        }


def _main() -> None:
    port, path, token = sys.argv[1:]
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    request = f"{head}\r\n".encode()
    asking = {
        "kept": _Asking(int(port), request, EVERY_S, True),
        "new": _Asking(int(port), request, NEW_EVERY_S, False),
    }
    for each in asking.values():
        each.start()
    print("ready", flush=True)
    sys.stdin.read()
    for each in asking.values():
        each.over.set()
    for each in asking.values():
        each.join(TIMEOUT_S)
    print(json.dumps({name: each.seen() for name, each in asking.items()}))


if __name__ == "__main__":
    _main()
