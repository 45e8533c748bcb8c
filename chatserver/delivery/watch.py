"""The sockets of all connections in one epoll, which is itself one descriptor of the event loop.

A socket that asyncio watches costs a handle, a context, a key and a bound method: half a kilobyte, and for each time that
something comes a turn through all of them. Here it is one entry in a dictionary.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from typing import Protocol

LOOKED_AT_A_TURN = 64
"""Connections that are read in one turn of the loop, about 6 ms; the kernel gives those that are ready in turn."""


class Readable(Protocol):
    """Something with a socket."""

    def readable(self) -> None:
        """Something has come, or the other side has ended. Must not raise."""
        ...


class Watch:
    """Tells whose socket has something to read, for as long as it has; of `most` of them in one turn of the loop."""

    def __init__(self, most: int = LOOKED_AT_A_TURN) -> None:
        self._most = most
        self._watched: dict[int, Readable] = {}
        self._epoll: select.epoll | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def open(self) -> None:
        """Take the descriptor that is needed, while there are some. Idempotent; raises OSError where there is none."""
        if self._epoll is None and hasattr(select, "epoll"):
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)

    def add(self, fd: int, item: Readable) -> None:
        """Watch `fd` for `item`. Raises as `open`."""
        if self._epoll is None:
            self.open()
        if self._epoll is None:
            asyncio.get_running_loop().add_reader(fd, item.readable)
            return
        self._epoll.register(fd, select.EPOLLIN)
        self._watched[fd] = item

    def drop(self, fd: int) -> None:
        """Watch it no more. To be called before it is closed."""
        if self._epoll is None:
            asyncio.get_running_loop().remove_reader(fd)
            return
        del self._watched[fd]
        with contextlib.suppress(OSError):  # it was closed by somebody else
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Watch nothing more."""
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            self._watched.clear()
            asyncio.get_running_loop().remove_reader(epoll.fileno())
            epoll.close()

    def _look(self) -> None:
        assert self._epoll is not None
        watched = self._watched.get
        for fd, _ in self._epoll.poll(0, self._most):
            item = watched(fd)
            if item is not None:
                item.readable()
