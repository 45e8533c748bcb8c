"""What a stream needs of its connection. Whoever writes a new way in looks here for what it may count on."""

from __future__ import annotations

from typing import Protocol

from chatserver.core.mailbox import Pipe


class Outlet(Protocol):
    """A way out for bytes, of which some may have to wait. Nothing here waits or raises."""

    def count_bytes(self) -> None:
        """Count what comes and leaves from now on."""
        ...

    @property
    def bytes_up(self) -> int:
        """What came since it is counted; 0 where it is not."""
        ...

    @property
    def bytes_down(self) -> int:
        """What the kernel took since then."""
        ...

    @property
    def waits(self) -> bool:
        """Whether something has not left yet. The owner's `drained` is called when it has."""
        ...

    @property
    def pipe(self) -> Pipe | None:
        """Where the owner may write by itself until it is told `clogged` or ends it; None where it may not now.

        What it corks goes first all the same (`uncork`). `bytes_down` does not count that.
        """
        ...

    def keep(self, data: bytes, sent: int) -> None:
        """Send what the pipe did not take: `data` but for the first `sent` bytes."""
        ...

    def send(self, data: bytes) -> None:
        """Send what is corked and `data`, now if the kernel takes it."""
        ...

    def cork(self, data: bytes) -> None:
        """Have `data` leave with the next `send`."""
        ...

    def uncork(self) -> bytes:
        """What is corked, for the owner to write at once, before anything else."""
        ...

    def pause(self) -> None:
        """Read no more until `resume`: the peer feels it in its own socket."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...

    def close_soon(self) -> None:
        """Close once what was sent has left and the peer has closed, or a little later."""
        ...

    def abort(self) -> None:
        """Close now; what has not left is lost. Idempotent."""
        ...


class _Nowhere:
    """An outlet that is none: nothing waits, and whatever is sent is gone."""

    bytes_up = 0
    bytes_down = 0
    waits = False
    pipe = None

    def count_bytes(self) -> None: ...

    def keep(self, data: bytes, sent: int) -> None: ...

    def send(self, data: bytes) -> None: ...

    def cork(self, data: bytes) -> None: ...

    def uncork(self) -> bytes:
        return b""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close_soon(self) -> None: ...

    def abort(self) -> None: ...


NOWHERE: Outlet = _Nowhere()


class Owner(Protocol):
    """Whose connection it is. What raises here ends the connection, with one line in the log."""

    def receive_data(self, data: bytes) -> None:
        """Bytes came."""
        ...

    def clogged(self) -> None:
        """From now on something has to wait, until `drained`. Called from inside `send` or `keep`."""
        ...

    def drained(self) -> None:
        """Everything that had to wait has left."""
        ...

    def stuck(self) -> None:
        """The peer has taken no byte for too long: say goodbye; the connection is cut right after."""
        ...

    def connection_lost(self) -> None:
        """The connection is gone, from whichever side; called once, last."""
        ...


class Nobody:
    """The owner of a connection that is only told to go."""

    def receive_data(self, data: bytes) -> None: ...

    def clogged(self) -> None: ...

    def drained(self) -> None: ...

    def stuck(self) -> None: ...

    def connection_lost(self) -> None: ...
