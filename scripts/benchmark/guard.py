"""The guard against slow decay: what the main work costs in instructions, beside the figures that are kept.

Seconds change with the machine and its mood, instructions hardly: runs of the same code differ by a hundredth. Counted by
callgrind (valgrind), in the server's process alone, without what the kernel does for it. A command, not a test.
"""

import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from . import machine
from .crowd import Crowd, circles, star, strangers
from .figures import Figure
from .load import Conn, Load, Traffic
from .ours import ChatServer

KEPT = Path(__file__).parents[2] / "docs" / "benchmark" / "guard.json"
"""Instructions by version of Python and by case; written by `--guard-keep`."""

WORSE = 1.10
"""So much of what is kept is too much."""

READY_S = 180.0
WARM = 20
"""People who are there before the counting begins: what is made once is not counted."""

COUNTED_S, IN_FLIGHT = 3.0, 8
"""How long messages are sent, and how many at once: what is written is a batch, as in a chat."""

NEEDED = ("valgrind", "callgrind_control")


class CountedServer(ChatServer):
    """The server under callgrind, which counts when it is told to."""

    def __init__(self, folder: Path, checkout: Path | None = None) -> None:
        """`folder` is for the counts; `checkout` as for `ChatServer`."""
        super().__init__({}, checkout=checkout)
        self.prefix = (
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/counted",
            f"--log-file={folder}/log",
        )
        self.ready_s = READY_S
        self._counted = folder / "counted"
        self._dumps = 0

    @contextmanager
    def counting(self) -> Iterator[list[int]]:
        """Count for as long as it is entered; afterwards the list holds the instructions."""
        found: list[int] = []
        self._control("-i", "on")
        yield found
        self._control("-i", "off")
        self._control("-d")
        self._dumps += 1
        found.append(instructions(Path(f"{self._counted}.{self._dumps}").read_text()))

    def _control(self, *words: str) -> None:
        subprocess.run(
            ["callgrind_control", *words, str(self.pid)],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )


def instructions(dump: str) -> int:
    """What callgrind has counted since the dump before."""
    return int(re.findall(r"^totals: (\d+)", dump, re.MULTILINE)[-1])


@dataclass(frozen=True, slots=True)
class Work:
    """One case: who is there, and what is done, which returns the instructions and the units that they are for."""

    crowd: Crowd
    do: Callable[[CountedServer, Path, Crowd], tuple[int, float]]


def _arrivals(way: str) -> Callable[[CountedServer, Path, Crowd], tuple[int, float]]:
    def do(server: CountedServer, program: Path, crowd: Crowd) -> tuple[int, float]:
        first = [server.connect(way, user) for user in range(WARM)]
        rest = [server.connect(way, user) for user in range(WARM, crowd.users)]
        with Load(program, server.port, first, server.captures) as warm:
            warm.open()
            machine.wait_until_idle(server.pid)
            with Load(program, server.port, rest, server.captures) as load:
                with server.counting() as found:
                    load.open()
                    machine.wait_until_idle(server.pid)
                return found[0], len(rest)

    return do


def _messages(way: str, unit: str) -> Callable[[CountedServer, Path, Crowd], tuple[int, float]]:
    def do(server: CountedServer, program: Path, crowd: Crowd) -> tuple[int, float]:
        hearers = [server.connect(way, user) for user in range(1, crowd.users)]
        conns: list[Conn] = [server.connect("ws", 0, True), *hearers]
        traffic = Traffic(COUNTED_S, 0, IN_FLIGHT, crowd.users)
        with Load(program, server.port, conns, server.captures) as load:
            load.open()
            machine.wait_until_idle(server.pid)
            load.run(traffic)
            with server.counting() as found:
                counted = load.run(traffic)
            return found[0], counted[unit]

    return do


CASES: Mapping[str, Work] = {
    "a WebSocket that comes": Work(circles(17, 10), _arrivals("ws")),
    "an event stream that comes": Work(circles(17, 10), _arrivals("sse")),
    "a message heard by nobody else": Work(strangers(1), _messages("ws", "sent")),
    "a delivery to one of 100": Work(star(100), _messages("ws", "delivered")),
    "a round trip of one of 100 polls": Work(star(100), _messages("poll", "answers")),
}


def count(name: str, program: Path, checkout: Path | None = None) -> int:
    """Instructions of one unit of a case, of this version or of the one in `checkout`."""
    work = CASES[name]
    with TemporaryDirectory(prefix="guard-") as folder:
        server = CountedServer(Path(folder), checkout)
        try:
            server.start(work.crowd)
            total, units = work.do(server, program, work.crowd)
        finally:
            server.stop()
    return round(total / units)


def judge(kept: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """A line for each case that costs too much, or of which nothing is kept."""
    found = []
    for name, count_now in now.items():
        before = kept.get(name)
        if before is None:
            found.append(f"{name}: {count_now:,} instructions, and nothing is kept to compare with")
        elif count_now > before * WORSE:
            found.append(
                f"{name}: {count_now:,} instructions, {count_now / before:.2f} of {before:,}"
            )
    return found


def beside(program: Path, checkout: Path, rounds: int) -> None:
    """Prints what each case costs here and in `checkout`, counted in turns: the medians, and the spread of their ratio."""
    for name in CASES:
        pairs = [(count(name, program), count(name, program, checkout)) for _ in range(rounds)]
        ratio = Figure.of([now / then for now, then in pairs])
        now, then = (round(statistics.median(side)) for side in zip(*pairs, strict=True))
        spread = f"({ratio.low:.2f}–{ratio.high:.2f})"
        print(
            f"{name}: {now:,} instructions, {then:,} there: {ratio.median:.2f} {spread}", flush=True
        )


def guard(program: Path, keep: bool, against: Path | None = None, rounds: int = 3) -> int:
    """Counts, and compares or keeps; `against` is another checkout, counted instead of what is kept. Returns 1 where something
    costs too much, 2 where nothing can be counted."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        print(f"Instructions cannot be counted here: there is no {missing[0]}.", file=sys.stderr)
        return 2
    if against is not None:
        beside(program, against, rounds)
        return 0
    version = ".".join(platform.python_version_tuple()[:2])
    everything: dict[str, dict[str, int]] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept, now = everything.get(version, {}), dict[str, int]()
    for name in CASES:
        now[name] = count(name, program)
        of_kept = f", {now[name] / kept[name]:.2f} of what is kept" if name in kept else ""
        print(f"{name}: {now[name]:,} instructions{of_kept}", flush=True)
    if keep:
        KEPT.write_text(json.dumps({**everything, version: now}, indent=1) + "\n")
        return 0
    too_much = judge(kept, now)
    print(*(f"too much: {line}" for line in too_much), sep="\n", file=sys.stderr)
    return 1 if too_much else 0
