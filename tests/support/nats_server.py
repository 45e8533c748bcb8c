"""A real nats-server on loopback for tests: with a token, and with every write synced; alone, or one of three."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.ports import free_port

TOKEN = "a-token-of-the-tests"
READY_S = 60.0


class NatsServer:
    """One process; its data and its port stay the same over `kill` and `start`."""

    def __init__(self, folder: Path, jetstream: bool = True) -> None:
        self.folder = folder
        self.port = free_port()
        self._jetstream = jetstream
        self.route_port = free_port()
        self.rights: Mapping[str, object] = {"token": TOKEN}
        """Its block `authorization`."""
        self.routes: Sequence[int] = ()
        """Of a cluster, the `route_port`s of all."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """As the others of a cluster call it."""
        return f"nats-{self.port}"

    @property
    def uri(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it takes connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        options: dict[str, object] = {"host": "127.0.0.1", "port": self.port}
        options |= {"server_name": self.name, "authorization": self.rights}
        if self._jetstream:
            store = str(self.folder / "data")
            options["jetstream"] = {"store_dir": store, "sync_interval": "always"}
        if self.routes:
            routes = [f"nats://127.0.0.1:{port}" for port in self.routes]
            where: dict[str, object] = {"host": "127.0.0.1", "port": self.route_port}
            options["cluster"] = {"name": "tests", **where, "routes": routes}
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

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was started"
        return self._process.pid

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process is not None

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)


def trio(folder: Path) -> list[NatsServer]:
    """Three that are one cluster, not started yet."""
    servers = [NatsServer(folder / str(number)) for number in range(3)]
    for server in servers:
        server.routes = [each.route_port for each in servers]
    return servers
