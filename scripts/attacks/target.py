"""The server that is attacked: full of people, with its memory, CPU time and log counted."""

import os
import resource
import shutil
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from chatserver.store.sqlite.schema import MIGRATIONS
from scripts.benchmark import seed
from scripts.benchmark.crowd import town
from tests.support.process import ServerProcess

USERS = 5000
TICKS = os.sysconf("SC_CLK_TCK")


class Target:
    """A server for one attack, with `messages`. `descriptors` is its hard limit, where it should have fewer."""

    def __init__(self, checkout: Path | None, descriptors: int | None, messages: int = 0) -> None:
        self._messages = messages
        self._checkout = checkout
        self._descriptors = descriptors

    def __enter__(self) -> Self:
        self._folder = Path(mkdtemp(prefix="attack-"))
        steps = MIGRATIONS if self._checkout is None else MIGRATIONS[:1]
        seed.fill(self._folder / "data", town(USERS, 10), self._messages, migrations=steps)
        more = ("--socketio",) if self._checkout is None else ()  # older versions have none
        self._server = ServerProcess(self._folder / "data", "--send-burst", "1000", *more)
        if self._checkout is not None:
            self._server.folder = self._checkout
            self._server.environment = {**os.environ, "PYTHONPATH": str(self._checkout)}
        if self._descriptors is not None:
            limited = f'ulimit -n {self._descriptors} && exec "$@"'
            self._server.command = ["sh", "-c", limited, "sh", *self._server.command]
        self._server.start()
        self._began_s, self._cpu_s = time.monotonic(), self._cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def port(self) -> int:
        return self._server.port

    def token(self, user: int) -> str:
        """A bearer token of one of its people."""
        return seed.token(user)

    def data_bytes(self) -> int:
        """What its data folder holds."""
        files = (self._folder / "data").iterdir()
        return sum(file.stat().st_size for file in files if not file.name.endswith("-shm"))

    def memory_mb(self) -> float:
        """What the process holds."""
        pages = int(Path(f"/proc/{self._server.pid}/statm").read_text().split()[1])
        return round(pages * resource.getpagesize() / 1e6, 1)

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cost(self) -> dict[str, object]:
        """What the attack took of the server."""
        seconds = time.monotonic() - self._began_s
        lines = self._server.log
        return {
            "CPU share": round((self._cpu() - self._cpu_s) / seconds, 2),
            "memory after, MB": self.memory_mb(),
            "log lines / bytes": f"{len(lines)} / {sum(map(len, lines))}",
        }
