"""Up to where events may have been dropped by age, remembered: everybody who has missed something asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


class DropMark:
    """The mark that `read` reads of the log; nobody moves it but within `moving`."""

    def __init__(self, read: Callable[[], Awaitable[int]]) -> None:
        self._read = read
        self._known: int | None = None
        self._moving = 0
        self._moved = 0

    async def seq(self) -> int:
        """The mark, as of now or a moment later."""
        if self._known is not None:
            return self._known
        moved = self._moved
        seq = await self._read()
        if not self._moving and moved == self._moved:
            self._known = seq
        return seq

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Events are being dropped: the mark is read anew each time, and once more afterwards."""
        self._moving += 1
        self._moved += 1
        self._known = None
        try:
            yield
        finally:
            self._moving -= 1
