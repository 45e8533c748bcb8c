"""A server that sends one byte at a time: does the load generator still count exactly?"""

import socket
import struct
import threading
from pathlib import Path

from .load import Conn, Load, Traffic
from .servers import get, upgrade

CONNECTIONS = 3
DELIVERIES = 7
SEND_MAX_S = 5
OPENINGS = {b"/ws": b"HTTP/1.1 101 Switching\r\n\r\n", b"/sse": b"HTTP/1.1 200 OK\r\n\r\n"}


def deliveries_counted(load_program: Path) -> int:
    """How many of `DELIVERIES` deliveries the load generator counts, over three transports.

    Tildes that are no stamps, a ping between frames and a frame beyond 64 KiB stand among them.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        conns = [
            Conn("ws", upgrade("/ws", port), sends=True, then="{stamp}~~"),
            Conn("sse", get("/sse", port)),
            Conn("poll", get("/poll", port), then=get("/poll?after={1}", port)),
        ]
        thread = threading.Thread(target=_serve, args=(listener,))
        thread.start()
        try:
            with Load(load_program, port, conns, ('"cursor":',)) as load:
                load.open()
                return int(load.run(Traffic(0.1, 1, 1, DELIVERIES))["delivered"])
        finally:
            thread.join()


def _drip(client: socket.socket, payload: bytes) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in payload:
        client.send(bytes([byte]))


def _frame(text: bytes) -> bytes:
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    if len(text) < 65536:
        return b"\x81\x7e" + struct.pack("!H", len(text)) + text
    return b"\x81\x7f" + struct.pack("!Q", len(text)) + text


def _serve(listener: socket.socket) -> None:
    clients: dict[bytes, socket.socket] = {}
    for _ in range(CONNECTIONS):
        client, _ = listener.accept()
        client.settimeout(SEND_MAX_S)
        path = client.recv(4096).split()[1]
        clients[path] = client
        _drip(client, OPENINGS.get(path, b""))
    frame = clients[b"/ws"].recv(4096)
    text = bytes(byte ^ frame[2 + i % 4] for i, byte in enumerate(frame[6:]))
    answer = b'{"cursor":42,"events":[' + text + b"," + text + b"]}"
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer)
    _drip(clients[b"/ws"], _frame(b"~no~" + text) + b"\x89\x02hi" + _frame(text + b"y" * 200))
    clients[b"/ws"].sendall(_frame(b"z" * 70_000 + text))
    _drip(clients[b"/sse"], b"data: ~x " + text + b"\n\ndata: " + text[:18])
    _drip(clients[b"/poll"], head + answer)
    again = clients[b"/poll"].recv(4096)
    if not again.startswith(b"GET /poll?after=42 "):
        raise AssertionError(f"polled again with {again[:40]!r}")
    for client in clients.values():
        client.close()
