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
from collections.abc import Mapping
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey
from typing import Any

SOCKETS_A_TURN = 128
"""About 3 ms for sockets that end, 13 for those that say something. What is left comes next: the kernel gives ready
sockets in turn (epoll_wait(2): round robin)."""


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop for `asyncio.Runner`; asyncio's own where there is no epoll."""
    if not hasattr(select, "epoll"):
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(FewAtOnce(SOCKETS_A_TURN))


class FewAtOnce(selectors.BaseSelector):
    """Epoll, which names at most `most` ready sockets at once."""

    def __init__(self, most: int) -> None:
        self._most = most
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
        # Epoll knows milliseconds; rounded up, or the loop would turn without rest just before a timer.
        wait_s = -1 if timeout is None else max(0.0, math.ceil(timeout * 1e3) * 1e-3)
        try:
            ready = self._epoll.poll(wait_s, self._most)
        except InterruptedError:
            return []
        found = []
        for fd, mask in ready:
            key = self._keys.get(fd)
            if key is not None:
                # An error or the end is for whoever reads and whoever writes.
                reads = EVENT_READ if mask & ~select.EPOLLOUT else 0
                writes = EVENT_WRITE if mask & ~select.EPOLLIN else 0
                found.append((key, (reads | writes) & key.events))
        return found

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


def _mask(events: int) -> int:
    read = select.EPOLLIN if events & EVENT_READ else 0
    return read | (select.EPOLLOUT if events & EVENT_WRITE else 0)


def _fd(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
