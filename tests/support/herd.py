"""Many connections at once, made with bare sockets so that the herd costs less than the server that it meets."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

EVENTS_MAX = 512


def socket_request(port: int, token: str) -> bytes:
    """The opening request of a WebSocket."""
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


@dataclass
class Herd:
    """What became of one: when each was greeted, in seconds from the beginning, and how many were cut."""

    greeted_s: list[float] = field(default_factory=list)
    cut: int = 0
    sockets: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """Everybody goes."""
        for sock in self.sockets:
            sock.close()


def come(
    port: int, requests: Sequence[bytes], wanted: bytes = b'"hello"', limit_s: float = 60.0
) -> Herd:
    """Connect once for each of `requests`, all at the same time, and wait until each has heard `wanted`."""
    herd, poll = Herd(), select.epoll()
    began_s = time.monotonic()
    waiting: dict[int, tuple[socket.socket, bytes]] = {}
    heard: dict[int, bytes] = {}
    for request in requests:
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", port))
        herd.sockets.append(sock)
        waiting[sock.fileno()] = (sock, request)
        poll.register(sock.fileno(), select.EPOLLOUT)
    while waiting and time.monotonic() - began_s < limit_s:
        for fd, events in poll.poll(1.0, EVENTS_MAX):
            sock, request = waiting[fd]
            try:
                if events & select.EPOLLOUT:
                    sock.send(request)
                    poll.modify(fd, select.EPOLLIN)
                    continue
                data = sock.recv(65536)
            except OSError:
                data = b""
            heard[fd] = heard.get(fd, b"") + data
            if data and wanted not in heard[fd]:
                continue
            if data:
                herd.greeted_s.append(time.monotonic() - began_s)
            else:
                herd.cut += 1
            poll.unregister(fd)
            del waiting[fd]
    poll.close()
    return herd
