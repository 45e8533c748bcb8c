"""The attacks on connections. Each returns what others felt, by name."""

import contextlib
import http.client
import json
import socket
import time

from scripts.attacks.target import USERS, Target
from tests.support.herd import come, socket_request
from tests.support.probe import Probe

SECONDS = 10.0


def _asked(probe: Probe, path: str) -> dict[str, object]:
    kept, new = probe.kept, probe.new
    return {
        f"{path} over a kept connection, p99 / worst ms": f"{kept.p99_ms} / {kept.worst_ms}",
        f"{path} over new ones, p99 / worst ms": f"{new.p99_ms} / {new.worst_ms}",
        "not answered": kept.failed + new.failed,
    }


def herd(target: Target) -> dict[str, object]:
    """All connect at once, with logins."""
    requests = [socket_request(target.port, target.token(user)) for user in range(USERS)]
    with Probe(target.port, "/healthz") as probe:
        came = come(target.port, requests)
    greeted = sorted(came.greeted_s) or [0.0]
    figures = {
        "greeted / cut": f"{len(came.greeted_s)} / {came.cut}",
        "the first / median / last greeted after s": f"{greeted[0]:.2f} / "
        f"{greeted[len(greeted) // 2]:.2f} / {greeted[-1]:.2f}",
        **_asked(probe, "/healthz"),
    }
    came.close()
    return figures


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + bytes(4) + payload


def flood(target: Target) -> dict[str, object]:
    """Twenty sockets of one user, five of each kind, say as much as they can."""
    words: tuple[bytes, ...] = (
        _frame(9, b""),
        _frame(1, b'{"type":"ping"}'),
        _frame(1, b'{"type":"typing"}'),
        _frame(1, json.dumps({"type": "send", "text": "hello"}).encode()),
    )
    came = come(target.port, [socket_request(target.port, target.token(0))] * 20)
    with Probe(target.port, "/api/me", target.token(1)) as probe:
        until_s, refused = time.monotonic() + SECONDS, 0
        talkers = [(s, words[i % len(words)] * 400) for i, s in enumerate(came.sockets)]
        while time.monotonic() < until_s:
            said = 0
            for sock, data in list(talkers):
                try:
                    said += sock.send(data)  # a whole number of frames, or the socket is full
                except BlockingIOError:
                    pass
                except OSError:
                    talkers.remove((sock, data))
                    refused += 1
                with contextlib.suppress(OSError):
                    while sock.recv(65536):
                        pass
            if not said:
                time.sleep(0.001)
    came.close()
    return {**_asked(probe, "/api/me"), "sockets closed by the server": refused}


def idle(target: Target) -> dict[str, object]:
    """More connections than descriptors, which say nothing, without an account."""
    sockets = []
    for _ in range(1060):
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(("127.0.0.1", target.port))
        sockets.append(sock)
    time.sleep(1)
    with Probe(target.port, "/healthz") as probe:
        time.sleep(SECONDS)
    for sock in sockets:
        sock.close()
    time.sleep(3)
    return {**_asked(probe, "/healthz"), **_statuses(target)}


def _statuses(target: Target) -> dict[str, object]:
    found: dict[str, object] = {}
    headers = {"Authorization": f"Bearer {target.token(1)}"}
    for path in ("/readyz", "/api/friends", "/api/messages"):
        client = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
        client.request("GET", path, headers=headers)
        found[f"{path} afterwards"] = client.getresponse().status
        client.close()
    return found


def unread(target: Target) -> dict[str, object]:
    """Connections that ask for a long answer and never read."""
    headers = {"Authorization": f"Bearer {target.token(2)}"}
    client = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    for number in range(200):  # so much that the kernel does not take all of an answer
        body = json.dumps({"text": f"{number}" + "\N{GRINNING FACE}" * 3900})
        client.request(
            "POST", "/api/messages", body, {**headers, "Content-Type": "application/json"}
        )
        assert client.getresponse().read() and client.sock, number
    before_mb = target.memory_mb()
    request = (
        f"GET /api/messages?limit=200 HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
        f"Authorization: Bearer {target.token(2)}\r\n\r\n"
    ).encode()
    sockets = []
    for _ in range(120):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", target.port))
        sock.sendall(request)
        sockets.append(sock)
    time.sleep(5)
    held_mb = target.memory_mb()
    time.sleep(40)
    after_mb = target.memory_mb()
    client = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    client.request("GET", "/metrics")
    page = client.getresponse().read().decode()
    client.close()
    return {
        "given up": next((line for line in page.splitlines() if '"stuck"' in line), "none"),
        "memory before / held / after 45 s, MB": f"{before_mb} / {held_mb} / {after_mb}",
    }
