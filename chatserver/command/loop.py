"""The event loop of the server: in one of its turns so many sockets are looked at, and no more.

By itself asyncio takes whatever is ready into one turn: thousands of connections that end in the same moment, when a proxy
goes or a herd leaves, were one turn of 50 ms and more, in which nobody else was heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import select
import selectors
import time
from collections.abc import Callable, Mapping
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey
from typing import Any

SOCKETS_A_TURN = 128
"""About 3 ms for sockets that end, 13 for those that say something. What is left comes next: the kernel gives ready
sockets in turn (epoll_wait(2): round robin)."""

SOCKETS_AT_LEAST = 8
LONG_S = 0.010
SHORT_S = 0.005
"""A turn that was longer than the one halves how many sockets the next looks at, one that was shorter doubles it: a request
that Tornado answers or refuses costs ten times what a frame does, and 128 of them were a turn of 60 to 127 ms."""


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop for `asyncio.Runner`; asyncio's own where there is no epoll."""
    if not hasattr(select, "epoll"):
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(FewAtOnce(SOCKETS_A_TURN))


class FewAtOnce(selectors.BaseSelector):
    """Epoll, which names at most `most` ready sockets at once, fewer after a long turn. `clock_s` is monotonic seconds."""

    def __init__(self, most: int, clock_s: Callable[[], float] = time.perf_counter) -> None:
        self._most = self._now = most
        self._clock_s = clock_s
        self._began_s = clock_s()
        self._epoll = select.epoll()
        self._keys: dict[int, SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """As `selectors` says. Raises KeyError where it is registered, OSError where it cannot be."""
        fd = _fd(fileobj)
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} is registered")
        self._epoll.register(fd, _mask(events))
        key = self._keys[fd] = SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:
        """As `selectors` says. Raises KeyError where it is not registered."""
        key = self._keys.pop(_fd(fileobj))
        with contextlib.suppress(OSError):  # it was closed meanwhile, and so is not there any more
            self._epoll.unregister(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """As `selectors` says. Raises KeyError where it is not registered."""
        key = self._keys[_fd(fileobj)]
        if events != key.events:
            self._epoll.modify(key.fd, _mask(events))
        key = self._keys[key.fd] = SelectorKey(fileobj, key.fd, events, data)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Up to `most` of those that are ready, after `timeout` seconds at the latest (None: whenever)."""
        if timeout is None:
            wait_s = -1.0
        elif timeout <= 0.0:
            wait_s = 0.0
        else:
            # Epoll knows milliseconds; rounded up, or the loop would turn without rest just before a timer.
            wait_s = math.ceil(timeout * 1e3) * 1e-3
        took_s = self._clock_s() - self._began_s
        if took_s > LONG_S or self._now < self._most:
            self._pace(took_s)
        try:
            ready = self._epoll.poll(wait_s, self._now)
        except InterruptedError:
            return []
        finally:
            self._began_s = self._clock_s()
        found = []
        for fd, mask in ready:
            key = self._keys.get(fd)
            if key is None:
                continue
            ready_for = EVENT_READ
            if mask != _IN:  # an error or the end is for whoever reads and whoever writes
                reads = EVENT_READ if mask & ~_OUT else 0
                ready_for = reads | (EVENT_WRITE if mask & ~_IN else 0)
            found.append((key, ready_for & key.events))
        return found

    def _pace(self, took_s: float) -> None:
        """How many are looked at, after a turn that was so long."""
        if took_s > LONG_S:
            self._now = max(min(SOCKETS_AT_LEAST, self._most), self._now // 2)
        elif took_s < SHORT_S:
            self._now = min(self._most, self._now * 2)

    def get_map(self) -> Mapping[Any, SelectorKey]:
        """What is registered, by descriptor."""
        return self._keys

    def get_key(self, fileobj: Any) -> SelectorKey:
        """What is registered for this. Raises KeyError."""
        return self._keys[_fd(fileobj)]

    def close(self) -> None:
        """Let go of everything."""
        self._epoll.close()
        self._keys.clear()


# Not there without epoll, where nobody asks.
_IN, _OUT = getattr(select, "EPOLLIN", 0), getattr(select, "EPOLLOUT", 0)


def _mask(events: int) -> int:
    read = select.EPOLLIN if events & EVENT_READ else 0
    return read | (select.EPOLLOUT if events & EVENT_WRITE else 0)


def _fd(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
