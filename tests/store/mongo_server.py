"""A server that speaks MongoDB's protocol, for tests: `MONGODB_URI` where it is set, else nx-27017.

nx-27017 is started on a free port with its data in a temporary folder. It can be killed and started
again on the same data, to see what a server does whose database goes away.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from tests.support.ports import free_port, wait_for_port
from tests.support.process import DidNotStart


class NxServer:
    """nx-27017 over `folder`, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait_s: float = 60.0) -> None:
        """Start it, and wait until it takes connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log, pid = self.folder / "server.log", self.folder / "server.pid"
        command: list[str | Path]
        command = [Path(sys.executable).with_name("nx-27017"), "--data-dir", self.folder / "data"]
        command += ["-p", str(self.port), "--log-file", log, "--pid-file", pid]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdout=out,
                stderr=out,
            )
        process = self._process
        try:
            wait_for_port(self.port, wait_s, lambda: process.poll() is None)
        except TimeoutError as error:
            raise DidNotStart(f"nx-27017 did not start: {log.read_text()[-2000:]}") from error

    def kill(self) -> None:
        """As `kill -9`."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None, "started before"
        self._process.send_signal(number)

    @property
    def stopped(self) -> bool:
        return self._process is None

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait(20)
            self._process = None

    def uri(self, name: str | None = None, options: str = "") -> str:
        """The URI of a database in it, by default of a new one."""
        return f"mongodb://127.0.0.1:{self.port}/{name or fresh_name()}{options}"


def fresh_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def given_uri() -> str | None:
    """The URI of a fresh database in the server that the environment names, if it names one."""
    given = os.environ.get("MONGODB_URI")
    if given is None:
        return None
    address, _, options = given.partition("?")
    scheme, _, rest = address.partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host}/{fresh_name()}" + (f"?{options}" if options else "")


@asynccontextmanager
async def database(uri: str) -> AsyncIterator[Any]:
    """The database of `uri`, past every store."""
    client: Any = AsyncIOMotorClient(uri)
    try:
        yield client.get_default_database()
    finally:
        client.close()
