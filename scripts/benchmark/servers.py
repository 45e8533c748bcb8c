"""A server under measurement: how its process starts and how clients talk to it."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from . import machine
from .crowd import Crowd
from .load import Conn

START_MAX_S = 60
READY_LINE = re.compile(r"listening on https?://[^\s:]+:(\d+)")

EVENT_BYTES = 220
"""Size of a message as its receivers get it, JSON without framing, the same for every server: about
what this project's event of a short chat line is."""


class StartError(Exception):
    """A server did not start; the message holds the end of what it printed."""


class Server(Protocol):
    """One server, started for one crowd. `ways` are the transports it can be measured on."""

    name: str
    ways: frozenset[str]
    captures: tuple[str, ...]

    def start(self, crowd: Crowd) -> None:
        """Starts the process and returns when it serves. Raises `StartError` or `Missing`."""

    def stop(self) -> None:
        """Ends the process; without one it does nothing."""

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""

    @property
    def pid(self) -> int:
        """The process whose CPU time and memory are counted."""

    def version(self) -> str:
        """What is measured, for the report."""

    def connect(self, way: str, user: int, sends: bool = False) -> Conn:
        """A connection of `user` over `way` (`ws`, `sse`, `poll`); only a WebSocket `sends`."""


class Process:
    """A server's process on the server core, its output in a file."""

    def __init__(
        self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "output.log"
        self.started_at = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
                # The benchmark has no other thread when it starts a server.
                preexec_fn=machine.pin_to_server_core,
            )
        self.pid = self._process.pid

    def said(self) -> str:
        """What the process has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for_port(self) -> int:
        """Waits for the line that names the port."""
        while time.monotonic() < self.started_at + START_MAX_S:
            found = READY_LINE.search(self.said())
            if found:
                return int(found[1])
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        self.stop()
        raise StartError(f"did not start: {self.said()[-600:]}")

    def stop(self, patience_s: float = 0) -> None:
        """Ends the process; with `patience_s`, asks it first and waits that long."""
        if patience_s:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        self._process.kill()
        self._process.wait()


def upgrade(path: str, port: int, headers: str = "") -> str:
    """A WebSocket's opening request."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: c29tZSBzaXh0ZWVuIGJ5dA==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )


def get(path: str, port: int, headers: str = "") -> str:
    """A GET request on a connection that stays open."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n"


def padded(event: str, wanted_bytes: int = EVENT_BYTES) -> str:
    """`event` with its `{pad}` filled so that, with its stamp, it has `wanted_bytes`."""
    stamp_growth = 18 - len("{stamp}")
    missing = wanted_bytes - (len(event) - len("{pad}") + stamp_growth)
    return event.replace("{pad}", "x" * max(missing, 0))


PEER_EVENT = padded(
    '{"seq":1760000000000000,"type":"message","at":1760000000000,'
    '"from":{"id":"sender","name":"Ann Smith","color":"#225588"},"to":null,"text":"{stamp}{pad}"}'
)
"""What a peer is given and hands on as it is: it neither stores it nor looks who may see it."""
