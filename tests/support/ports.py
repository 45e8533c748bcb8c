"""Ports of the loopback: a free one, and waiting until somebody listens there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

LOOK_S = 0.01
"""Between two looks at something that cannot say when it is ready."""


def free_port() -> int:
    """A port that nobody listens on; another process may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(
    port: int, limit_s: float = 10.0, alive: Callable[[], bool] = lambda: True
) -> None:
    """Return when `port` takes connections. Raises `TimeoutError` after `limit_s`, or once not `alive`."""
    give_up_at_s = time.monotonic() + limit_s
    while alive() and time.monotonic() < give_up_at_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(LOOK_S)
    raise TimeoutError(f"nobody listens on {port}")
