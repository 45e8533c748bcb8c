"""This project's server on MongoDB: the database at `MONGODB_URI`, else an nx-27017 of the benchmark's own."""

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

from tests.store.mongo_server import NxServer
from tests.support.process import DidNotStart

from . import machine
from .crowd import Crowd
from .ours import OURS, ChatServer

MIGRATE_MAX_S = 3600
ON_MONGODB = f"{OURS} on MongoDB"


class Database:
    """A server that speaks MongoDB's protocol, with its data in `folder` where it is our own."""

    def __init__(self, folder: Path) -> None:
        self._nx = NxServer(folder)
        self._base = os.environ.get("MONGODB_URI", "")

    def start(self) -> None:
        """Starts nx-27017, on the load generator's core; does nothing where there is a real MongoDB."""
        if not self._base:
            self._nx.start()
            self._base = f"mongodb://127.0.0.1:{self._nx.port}"

    def stop(self) -> None:
        """Ends what `start` started."""
        if not self._nx.stopped:
            self._nx.kill()

    def uri(self, name: str) -> str:
        """The URI of the database `name` in it."""
        return re.sub(r"(//[^/?]+)(/[^?]*)?", rf"\1/{name}", self._base, count=1)

    def version(self) -> str:
        """What it is, in a word."""
        if not self._nx.stopped:
            return f"nx-27017 {machine.installed('nx-27017')}"
        return f"MongoDB {asyncio.run(_version(self._base))}"


async def _version(uri: str) -> str:
    from motor.motor_asyncio import AsyncIOMotorClient

    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(uri)
    try:
        return str((await client.server_info())["version"])
    finally:
        client.close()


def move(folder: Path, uri: str) -> float:
    """Moves a data folder into the database at `uri` with `chatserver migrate`; returns the seconds."""
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "chatserver", "migrate", "--from", folder, "--to", uri],
        capture_output=True,
        text=True,
        timeout=MIGRATE_MAX_S,
        check=False,
    )
    if done.returncode:
        raise DidNotStart(f"migrate failed: {done.stderr[-600:]}")
    return time.monotonic() - began_s


class MongoChatServer(ChatServer):
    """`chatserver serve --mongodb` with what `seed` makes, moved into a new database of `database`."""

    def __init__(self, database: Database) -> None:
        super().__init__({})
        self.name = ON_MONGODB
        self._database = database
        self._uri = database.uri(f"bench_{token_hex(4)}")

    def start(self, crowd: Crowd) -> None:
        """See `Server.start`."""
        super().start(crowd)
        self.end()
        move(self.folder / "data", self._uri)
        self._options["mongodb"] = self._uri
        self.launch()

    def version(self) -> str:
        """See `Server.version`."""
        return f"{self._database.version()}, Motor {machine.installed('motor')}"
