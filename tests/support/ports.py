"""Ports of the loopback: a free one, and waiting until somebody listens there."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress

LOOK_S = 0.01
"""Between two looks at something that cannot say when it is ready."""


PORTS = range(10_000, 30_000)
"""Below those that the system gives to whoever connects: one of them would be taken by any client, also while a server
that a test has killed is not yet there again."""


def free_port() -> int:
    """A port of the loopback that nobody has, drawn at random: other tests draw beside this one."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for_port(
    port: int, limit_s: float = 30.0, alive: Callable[[], bool] = lambda: True
) -> None:
    """Return when `port` takes connections. Raises `TimeoutError` after `limit_s`, or once not `alive`."""
    give_up_at_s = time.monotonic() + limit_s
    while alive() and time.monotonic() < give_up_at_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(LOOK_S)
    raise TimeoutError(f"nobody listens on {port}")
