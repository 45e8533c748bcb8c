"""This project's server under measurement."""

import os
import shutil
import subprocess
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from chatserver.store.sqlite.schema import MIGRATIONS
from tests.support.process import READY_S, Program, ServerProcess

from . import seed
from .crowd import Crowd
from .load import Conn
from .machine import installed
from .servers import EVENT_BYTES, get, on_server_core, upgrade

OURS = "chatserver"
HOME = Path(__file__).parents[2]
UNLIMITED = {"meter": "off"}
UNLIMITED_ONCE = {"send-rate": "1000000", "send-burst": "1000000"}
"""For a version from before `--meter`."""

ID_CHARS = 12
STAMP_CHARS = 18


class ChatServer:
    """`chatserver serve` with command-line `options`, on a data folder made for its crowd."""

    ways = frozenset({"ws", "sse", "poll"})
    captures: tuple[str, ...] = ('"cursor":',)
    prefix: tuple[str, ...] = ()
    """Before the server's command: what watches it."""
    ready_s = READY_S

    def __init__(
        self, options: dict[str, str], messages: int = 0, checkout: Path | None = None
    ) -> None:
        """`checkout` is the folder of another version of this project, to be measured in place of this one, by the Python of
        its own `.venv` where it has one."""
        self.name = OURS if checkout is None else f"{OURS} in {checkout.name}"
        self._checkout = checkout
        limits = (checkout or HOME) / "chatserver/core/limits.py"
        unlimited = UNLIMITED if "meter:" in limits.read_text() else UNLIMITED_ONCE
        self._options = {**unlimited, **options}
        self._messages = messages
        self.senders = 1000
        """So many have written them."""
        self._process: Program | None = None
        self._run = token_hex(4)
        self._clients = 0

    def start(self, crowd: Crowd) -> None:
        """See `Server.start`."""
        self.folder = Path(mkdtemp(prefix="bench-"))
        # Every version opens the files of the first one.
        steps = MIGRATIONS if self._checkout is None else MIGRATIONS[:1]
        seed.fill(self.folder / "data", crowd, self._messages, self.senders, steps)
        self.launch()

    def launch(self) -> None:
        """Starts the process on the data folder as it is."""
        # A switch has no value.
        options = [
            word for name, value in self._options.items() for word in (f"--{name}", value) if word
        ]
        process = ServerProcess(self.folder / "data", *options)
        if self._checkout is not None:
            process.folder = self._checkout
            process.environment = {**os.environ, "PYTHONPATH": str(self._checkout)}
            python = self._checkout / ".venv" / "bin" / "python"
            if python.exists():
                process.command[0] = str(python)
        process.command = [*self.prefix, *process.command]
        process.ready_s = self.ready_s
        self._process = on_server_core(process)
        self._process.start()

    def end(self) -> None:
        """Ends the process and keeps the data."""
        if self._process is not None:
            try:
                self._process.stop()
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._process = None

    def crash(self) -> None:
        """Ends the process as a power cut does, and keeps the data."""
        assert self._process is not None
        self._process.kill()
        self._process = None

    def stop(self) -> None:
        """See `Server.stop`."""
        if self._process is not None:
            self.end()
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self) -> int:
        """See `Server.port`."""
        assert self._process is not None
        return self._process.port

    @property
    def pid(self) -> int:
        """See `Server.pid`."""
        assert self._process is not None
        return self._process.pid

    @property
    def started_at_s(self) -> float:
        """When the process was started, on the monotonic clock."""
        assert self._process is not None
        return self._process.started_at_s

    def version(self) -> str:
        """See `Server.version`."""
        return f"on Tornado {installed('tornado')}"

    def headers(self, user: int) -> str:
        """Request headers that sign `user` in."""
        return f"Authorization: Bearer {seed.token(user)}\r\n"

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
            f'"from":{{"id":"{seed.user_id(0)}","name":"{" ".join(seed.name(0))}",'
            f'"color":"{seed.COLOR}"}},"to":null,"text":"","clientId":"{prefix}"}}'
        )
        padding = "x" * max(0, EVENT_BYTES - len(event) - STAMP_CHARS - ID_CHARS)
        return f'{{"type":"send","text":"{{stamp}}{padding}","clientId":"{prefix}{{id}}"}}'


class OnSocketIO(ChatServer):
    """The same server, whose clients come by Socket.IO, over WebSocket alone."""

    ways = frozenset({"ws"})

    def __init__(self) -> None:
        # As the peers' pings: none falls into a measurement.
        super().__init__({"socketio": "", "heartbeat-s": "300", "silence-s": "300"})
        self.name = f"{OURS}, Socket.IO"

    def version(self) -> str:
        """See `Server.version`."""
        return f"on python-socketio {installed('python-socketio')}"

    def connect(self, way: str, user: int, sends: bool = False) -> Conn:
        """See `Server.connect`."""
        opening = upgrade("/socket.io/?EIO=4&transport=websocket", self.port)
        hello = f'40{{"token":"{seed.token(user)}"}}'
        said = self.message().replace('{"type":"send",', '42["client-talking",{') + "]"
        return Conn("ws", opening, sends, hello=hello, then=said if sends else "")
