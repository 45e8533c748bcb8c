"""This project's server under measurement."""

import shutil
import sys
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from .crowd import Crowd
from .load import Conn
from .machine import installed
from .servers import EVENT_BYTES, Process, get, upgrade

OURS = "chatserver"
ROOT = Path(__file__).parents[2]
UNLIMITED = {"send-rate": "1000000", "send-burst": "1000000"}
"""The rate limit counts messages all the same; it only never says no."""

STOP_MAX_S = 35
"""Draining takes 30 s at the most."""

ID_CHARS = 12
STAMP_CHARS = 18


class ChatServer:
    """`chatserver serve` with command-line `options`, on a data folder made for its crowd."""

    ways = frozenset({"ws", "sse", "poll"})
    captures: tuple[str, ...] = ('"cursor":',)

    def __init__(self, options: dict[str, str], messages: int = 0) -> None:
        self.name = OURS
        self._options = {**UNLIMITED, **options}
        self._messages = messages
        self._process: Process | None = None
        self._port = 0
        self._run = token_hex(4)
        self._clients = 0

    def start(self, crowd: Crowd) -> None:
        """See `Server.start`."""
        # Imported here: the peers can be measured where the server's packages are not installed.
        from . import seed

        self.seed = seed
        self.folder = Path(mkdtemp(prefix="bench-"))
        seed.fill(self.folder / "data", crowd, self._messages)
        self.launch()

    def launch(self) -> None:
        """Starts the process on the data folder as it is."""
        command: list[str | Path] = [sys.executable, "-m", "chatserver", "serve", "--port", "0"]
        command += ["--data", self.folder / "data"]
        for option, value in self._options.items():
            command += [f"--{option}", value]
        self._process = Process(command, self.folder, {"PYTHONPATH": str(ROOT)})
        self._port = self._process.wait_for_port()

    def end(self) -> None:
        """Ends the process and keeps the data."""
        if self._process is not None:
            self._process.stop(STOP_MAX_S)
            self._process = None

    def stop(self) -> None:
        """See `Server.stop`."""
        if self._process is not None:
            self.end()
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self) -> int:
        """See `Server.port`."""
        return self._port

    @property
    def pid(self) -> int:
        """See `Server.pid`."""
        assert self._process is not None
        return self._process.pid

    @property
    def started_at(self) -> float:
        """When the process was started, on the monotonic clock."""
        assert self._process is not None
        return self._process.started_at

    def version(self) -> str:
        """See `Server.version`."""
        return f"on Tornado {installed('tornado')}"

    def headers(self, user: int) -> str:
        """Request headers that sign `user` in."""
        return f"Authorization: Bearer {self.seed.token(user)}\r\n"

    def connect(self, way: str, user: int, sends: bool = False) -> Conn:
        """See `Server.connect`."""
        self._clients += 1
        client, signed_in = f"client=b{self._clients}", self.headers(user)
        if way == "ws":
            subprotocol = "Sec-WebSocket-Protocol: chat.v1\r\n"
            opening = upgrade(f"/ws?{client}", self.port, signed_in + subprotocol)
            return Conn("ws", opening, sends, then=self.message() if sends else "")
        if way == "sse":
            return Conn("sse", get(f"/events?{client}", self.port, signed_in))
        asked = f"/poll?wait=55&{client}"
        return Conn(
            "poll",
            get(asked, self.port, signed_in),
            then=get(f"{asked}&after={{1}}", self.port, signed_in),
        )

    def message(self) -> str:
        """A `send` frame whose event has `EVENT_BYTES`."""
        self._clients += 1
        prefix = f"{self._run}-{self._clients}-"
        event = (
            '{"seq":1760000000000000,"type":"message","at":1760000000000,'
            f'"from":{{"id":"{self.seed.user_id(0)}","name":"{" ".join(self.seed.name(0))}",'
            f'"color":"{self.seed.COLOR}"}},"to":null,"text":"","clientId":"{prefix}"}}'
        )
        padding = "x" * max(0, EVENT_BYTES - len(event) - STAMP_CHARS - ID_CHARS)
        return f'{{"type":"send","text":"{{stamp}}{padding}","clientId":"{prefix}{{id}}"}}'
