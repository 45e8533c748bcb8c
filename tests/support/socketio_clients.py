"""The official Socket.IO clients, from npm, each in a process of Node's."""

from __future__ import annotations

import asyncio
import fcntl
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.clients import WAIT_S, opened

HOME = Path(__file__).parent.parent.parent
FOLDER = HOME / ".cache" / "socketio"
SCRIPT = Path(__file__).with_name("socketio_client.cjs")
PACKAGES = {
    "v4": ("socket.io-client", "4.8.1"),
    "v3": ("socket.io-client-v3", "3.1.3"),
    "v2": ("socket.io-client-v2", "2.5.0"),
}


def install() -> Path:
    """The folder that has the clients: of the cache, or from the registry, once. Raises where it cannot be reached."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other tests may be at it
        if not all(_is_there(name, version) for name, version in PACKAGES.values()):
            wanted = [f"{name}@npm:socket.io-client@{at}" for name, at in PACKAGES.values()]
            quietly = ["--loglevel=error", "--no-audit", "--no-fund", "--prefix", str(FOLDER)]
            subprocess.run(["npm", "install", *quietly, *wanted], check=True, timeout=50)
    return FOLDER


def _is_there(name: str, version: str) -> bool:
    manifest = FOLDER / "node_modules" / name / "package.json"
    return manifest.exists() and json.loads(manifest.read_text())["version"] == version


def browser_script() -> Path:
    """What a page loads."""
    return install() / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js"


class NodeClient:
    """One client. `items` is everything with a `seq` that it heard, as pairs of event and data."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.items: list[tuple[str, dict[str, Any]]] = []
        opened.append(self)

    @classmethod
    async def start(cls, version: str, url: str, **options: Any) -> NodeClient:
        process = await asyncio.create_subprocess_exec(
            "node",
            str(SCRIPT),
            str(install()),
            PACKAGES[version][0],
            url,
            json.dumps(options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def next(self, *events: str) -> dict[str, Any]:
        """The data of the next of these events."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while True:
                line = await self._process.stdout.readline()
                assert line, "the client has ended"
                said = json.loads(line)
                has_place = (said.get("data") or {}).get("seq") is not None
                if has_place and said["event"] not in ("hello", "answer"):
                    self.items.append((said["event"], said["data"]))
                if said["event"] in events:
                    return dict(said["data"] or {})

    async def until_text(self, text: str) -> None:
        """Return when this message is there."""
        while (await self.next("server-talking"))["text"] != text:
            pass

    async def connected(self) -> dict[str, Any]:
        """Return when it is connected and greeted; the hello."""
        await self.next("connect")
        return await self.next("hello")

    def _say(self, **what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    def emit(self, name: str, data: Any) -> None:
        """Say something, and have it answered: `next("answer")`."""
        self._say(emit=name, data=data)

    def drop(self) -> None:
        """Break the connection, as the library does where it finds it broken."""
        self._say(drop=True)

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
