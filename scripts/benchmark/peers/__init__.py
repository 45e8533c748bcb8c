"""The peers: for each a small server program on the installed package, and how to talk to it."""

import http.client
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import mkdtemp

from tests.support.ports import free_port, wait_for_port
from tests.support.process import Program

from .. import install
from ..crowd import Crowd
from ..install import Missing
from ..load import Conn, build
from ..machine import installed
from ..servers import PEER_EVENT, get, on_server_core, upgrade

HERE = Path(__file__).parent
Command = Callable[[Path], tuple[list[str | Path], str]]


@dataclass
class Peer:
    """A server with rooms, run from a command.

    `prepare` takes the cache folder, installs what is needed, returns the command and the version.
    """

    name: str
    ways: frozenset[str]
    prepare: Command
    cache: Path
    captures: tuple[str, ...] = ()
    _process: Program | None = None
    _rooms: tuple[int, ...] = ()
    _port: int = 0
    _version: str = ""

    def start(self, crowd: Crowd) -> None:
        """See `Server.start`."""
        command, self._version = self.prepare(self.cache)
        self._rooms = crowd.rooms
        self._folder = Path(mkdtemp(prefix="bench-"))
        self._process = on_server_core(self.program(command))
        self._process.start()
        self._port = self._process.port

    def program(self, command: list[str | Path]) -> Program:
        """What is started."""
        return Program(*command)

    def stop(self) -> None:
        """See `Server.stop`."""
        if self._process is not None:
            self._process.kill()
            self._process = None
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def port(self) -> int:
        """See `Server.port`."""
        return self._port

    @property
    def pid(self) -> int:
        """See `Server.pid`."""
        assert self._process is not None
        return self._process.pid

    def version(self) -> str:
        """See `Server.version`."""
        return self._version

    def connect(self, way: str, user: int, sends: bool = False) -> Conn:
        """See `Server.connect`."""
        path = f"/{way}?room={self._rooms[user]}"
        if way == "ws":
            return Conn("ws", upgrade(path, self.port), sends, then=PEER_EVENT if sends else "")
        if way == "sse":
            return Conn("sse", get(path, self.port, "Accept: text/event-stream\r\n"))
        return Conn("poll", get(path, self.port), then=self.next_poll(path))

    def next_poll(self, path: str) -> str:
        """The request of every poll but the first."""
        return get(f"{path}&cursor={{1}}", self.port)


class NchanPeer(Peer):
    """Nchan: its configuration names the port, and a poll's cursor travels in two headers."""

    def program(self, command: list[str | Path]) -> Program:
        """Writes the configuration for nginx."""
        nginx, module = command
        port = free_port()
        written = self._folder / "nginx.conf"
        template = Template((HERE / "nchan.conf").read_text())
        written.write_text(template.safe_substitute(prefix=self._folder, module=module, port=port))
        return _Nginx(port, nginx, "-p", self._folder, "-c", written, "-e", "stderr")

    def next_poll(self, path: str) -> str:
        """Asks for what came after the last answer."""
        return get(path, self.port, "If-Modified-Since: {1}\r\nIf-None-Match: {2}\r\n")


class _Nginx(Program):
    """nginx says nothing when it listens."""

    def __init__(self, port: int, *command: str | Path) -> None:
        super().__init__(*command)
        self.port = port

    def await_ready(self) -> None:
        """Looks whether it takes connections."""
        try:
            wait_for_port(self.port, alive=lambda: self.running)
        except TimeoutError:
            raise self.failed_start() from None


class SocketIOPeer(Peer):
    """Socket.IO 4 on either platform: Engine.IO's packets inside WebSocket frames or polls."""

    def connect(self, way: str, user: int, sends: bool = False) -> Conn:
        """See `Server.connect`."""
        path = f"/socket.io/?EIO=4&room={self._rooms[user]}"
        if way == "ws":
            message = f'42["message",{PEER_EVENT}]' if sends else ""
            opening = upgrade(f"{path}&transport=websocket", self.port)
            return Conn("ws", opening, sends, hello="40", then=message)
        again = get(f"{path}&transport=polling&sid={self._session(path)}", self.port)
        return Conn("poll", again, then=again)

    def _session(self, path: str) -> str:
        """Opens a polling session up to the point where it only polls."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        client.request("GET", f"{path}&transport=polling")
        session = str(json.loads(client.getresponse().read()[1:])["sid"])
        with_session = f"{path}&transport=polling&sid={session}"
        client.request("POST", with_session, b"40", {"Content-Type": "text/plain;charset=UTF-8"})
        client.getresponse().read()
        client.request("GET", with_session)
        client.getresponse().read()
        client.close()
        return session


def _c_floor(cache: Path) -> tuple[list[str | Path], str]:
    return [build([HERE / "floor.c"], cache / "native" / "floor")], "cc -O2"


def _python_floor(*how: str) -> Command:
    return lambda _: ([sys.executable, HERE / "floor_server.py", *how], sys.version.split()[0])


def _tornado(_: Path) -> tuple[list[str | Path], str]:
    return [sys.executable, HERE / "tornado_server.py"], installed("tornado")


def _bun(cache: Path) -> tuple[list[str | Path], str]:
    version = install.node_package(cache, "bun")
    return [cache / "node/node_modules/.bin/bun", HERE / "bun_server.js"], version


def _on_node(package: str, program: str) -> Command:
    def prepare(cache: Path) -> tuple[list[str | Path], str]:
        version = install.node_package(cache, package)
        node = shutil.which("node")
        if node is None:
            raise Missing("node is not installed")
        # A module finds its packages beside itself, so the program is copied to where they are.
        copied = shutil.copy(HERE / program, cache / "node" / program)
        return [node, copied], version

    return prepare


def _python_socketio(cache: Path) -> tuple[list[str | Path], str]:
    python = install.python_packages(cache, "python-socketio", "aiohttp")
    version = install.python_version(python, "python-socketio")
    return [python, HERE / "socketio_server.py"], version


def _nchan(cache: Path) -> tuple[list[str | Path], str]:
    nginx, module, version = install.nchan_module(cache)
    return [nginx, module], version


def all_peers(cache: Path) -> list[Peer]:
    """Every peer, in the order of the tables."""
    ws, polls = frozenset({"ws"}), frozenset({"ws", "poll"})
    streams, everything = frozenset({"ws", "sse"}), frozenset({"ws", "sse", "poll"})
    headers = ("Last-Modified: ", "Etag: ")
    return [
        Peer("C loop of send()", everything, _c_floor, cache),
        Peer("Python loop of send()", streams, _python_floor(), cache),
        Peer("Python loop of send(), joined", streams, _python_floor("join"), cache),
        Peer("Bun publish", ws, _bun, cache),
        NchanPeer("Nchan on nginx", everything, _nchan, cache, headers),
        Peer("ws on Node", ws, _on_node("ws", "ws_server.mjs"), cache),
        SocketIOPeer(
            "Socket.IO on Node",
            polls,
            _on_node("socket.io", "socketio_server.mjs"),
            cache,
        ),
        Peer("Tornado write_message", everything, _tornado, cache, ('"cursor":',)),
        SocketIOPeer("python-socketio", polls, _python_socketio, cache),
    ]
