"""A server under measurement: how its process starts and how clients talk to it."""

from typing import Protocol

from tests.support.process import Program

from . import machine
from .crowd import Crowd
from .load import Conn

EVENT_BYTES = 220
"""Size of a message as its receivers get it, JSON without framing, the same for every server: about
what this project's event of a short chat line is."""


class Server(Protocol):
    """One server, started for one crowd. `ways` are the transports it can be measured on."""

    name: str
    ways: frozenset[str]
    captures: tuple[str, ...]

    def start(self, crowd: Crowd) -> None:
        """Starts the process and returns when it serves. Raises `DidNotStart` or `Missing`."""

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


def on_server_core(server: Program) -> Program:
    """The same server, to be started on the core that is measured."""
    server.command = [*machine.ON_SERVER_CORE, *server.command]
    return server


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
