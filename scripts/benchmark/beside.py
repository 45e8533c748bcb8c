"""What goes on beside a measurement, in a thread of its own."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Beside(ABC):
    """Does one thing again and again, `every_s` seconds apart, for as long as it is entered."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._do()

    @abstractmethod
    def _do(self) -> None:
        """The thing, once."""
