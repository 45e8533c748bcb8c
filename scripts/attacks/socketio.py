"""Strangers and a user at `/socket.io/`: what others feel of it."""

import contextlib
import http.client
import threading
import time
from collections import Counter

from scripts.attacks.target import Target
from tests.support.probe import Probe

SECONDS = 10.0
STRANGERS = 4
OPENING = "/socket.io/?EIO=4&transport=polling"
EVIL = (b"4" + b"[" * 60_000, b"42" + b"[" * 60_000, b"x", b"\x1e" * 60_000, b"451-[]")


def _open_and_abuse(port: int, until_s: float, found: Counter[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", OPENING)
            answer = connection.getresponse()
            body = answer.read().decode()
            found[f"sessions asked for: {answer.status}"] += 1
            if answer.status == 200 and found["packets that are none"] < found.total() // 4:
                sid = body.partition('"sid":"')[2].partition('"')[0]
                evil = EVIL[found["packets that are none"] % len(EVIL)]
                connection.request("POST", f"{OPENING}&sid={sid}", evil)
                connection.getresponse().read()
                found["packets that are none"] += 1
            continue
        connection.close()
    connection.close()


def sessions(target: Target) -> dict[str, object]:
    """Strangers open sessions as fast as they can, sign in to none, and say what is no packet."""
    found: Counter[str] = Counter()
    until_s = time.monotonic() + SECONDS
    with Probe(target.port, "/api/me", target.token(1)) as probe:
        threads = [
            threading.Thread(target=_open_and_abuse, args=(target.port, until_s, found))
            for _ in range(STRANGERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    kept = probe.kept
    return {
        **found,
        "another user's /api/me, p99 / worst ms": f"{kept.p99_ms} / {kept.worst_ms}",
        "not answered": kept.failed + probe.new.failed,
    }
