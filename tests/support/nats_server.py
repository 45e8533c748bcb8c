"""A real nats-server on loopback for tests: with a token, and with every write synced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.ports import free_port

TOKEN = "a-token-of-the-tests"
READY_S = 30.0


class NatsServer:
    """One process; its data and its port stay the same over `kill` and `start`."""

    def __init__(self, folder: Path, jetstream: bool = True) -> None:
        self.folder = folder
        self.port = free_port()
        self._jetstream = jetstream
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it takes connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        options = {"host": "127.0.0.1", "port": self.port, "authorization": {"token": TOKEN}}
        if self._jetstream:
            store = str(self.folder / "data")
            options["jetstream"] = {"store_dir": store, "sync_interval": "always"}
        config.write_text(json.dumps(options))
        ports = self.folder / "ports"
        ports.mkdir(exist_ok=True)
        for old in ports.iterdir():
            old.unlink()
        program = str(Path(sys.executable).parent / "nats-server")
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(config), "--ports_file_dir", str(ports)], stdout=log, stderr=log
            )
        until_s = time.monotonic() + READY_S
        # The file of ports is written when it listens.
        while not list(ports.iterdir()):
            assert self._process.poll() is None and time.monotonic() < until_s, self.log()
            time.sleep(0.005)

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "nats.log").read_text()

    def kill(self) -> None:
        """kill -9, and wait for its end. Safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None, "it was started"
        os.kill(self._process.pid, number)
