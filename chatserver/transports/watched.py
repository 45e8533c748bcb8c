"""A connection on which Tornado answers, under the same bound in time as those that left it."""

from __future__ import annotations

import socket

from tornado.iostream import IOStream

from chatserver.delivery.connections import Connections


class WatchedStream(IOStream):
    """A connection on which Tornado answers, ended where its peer takes no byte for too long.

    It is looked after only while something waits to be written, so that a connection which is taken over leaves
    nothing behind.
    """

    def __init__(self, sock: socket.socket, connections: Connections) -> None:
        self._connections = connections
        self._progress_s = 0.0
        self._watched = False
        super().__init__(sock)

    def write_to_fd(self, data: memoryview) -> int:
        """Tornado's hook for where bytes go."""
        size = len(data)
        try:
            sent = super().write_to_fd(data)
        except BlockingIOError:
            self._watch()
            raise
        finally:
            del data  # Tornado wants the view back
        self._progress_s = self._connections.clockwork.clock_s()
        if sent < size:
            self._watch()
        return sent

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            clockwork = self._connections.clockwork
            self._progress_s = clockwork.clock_s()
            clockwork.look_after(self, self._connections.stuck_s)

    def visit(self, now_s: float) -> float | None:
        """Close it where the peer takes nothing."""
        if self.closed() or not self.writing():
            self._watched = False
            return None
        left_s = self._progress_s + self._connections.stuck_s - now_s
        if left_s > 0:
            return left_s
        self._connections.counts["stuck"] += 1
        self.close()
        return None
