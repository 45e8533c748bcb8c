"""The load generator, seen from Python: build it, write its plan, give it commands."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Self

SOURCES = Path(__file__).parent / "native"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\r": "\\r", "\n": "\\n"})


class LoadError(Exception):
    """The load generator did not do what it was told; the message says what it said."""


def build(sources: list[Path], program: Path) -> Path:
    """Compiles C `sources` into `program`, unless that is newer than all of them."""
    watched = [*sources, *sources[0].parent.glob("*.h")]
    if not program.exists() or program.stat().st_mtime < max(s.stat().st_mtime for s in watched):
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-o", program, *sources],
            check=True,
            timeout=120,
        )
    return program


def build_load(cache: Path) -> Path:
    """The compiled load generator."""
    return build(sorted(SOURCES.glob("*.c")), cache / "native" / "load")


@dataclass(frozen=True, slots=True)
class Conn:
    """One connection of a plan; see `struct conn` in `native/load.h`."""

    kind: str
    first: str
    sends: bool = False
    hello: str = ""
    then: str = ""

    def line(self) -> str:
        """The connection as a line of the plan."""
        texts = [text.translate(ESCAPES) for text in (self.first, self.hello, self.then)]
        return "\t".join(["conn", self.kind, str(int(self.sends)), *texts])


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one run sends.

    `rate` messages a second (0: as fast as `flight` lets); at most `flight` messages that not all
    of their receivers have (0: no bound); `expect` deliveries a message (0: unknown; it then ends
    when it has become quiet); a probe every `probe_every_s` (0: none).
    """

    duration_s: float
    rate: float = 0
    flight: int = 0
    expect: float = 0
    probe_every_s: float = 0

    def command(self) -> str:
        """The run as a command line of the load generator."""
        return f"run {self.duration_s} {self.rate} {self.flight} {self.expect} {self.probe_every_s}"


class Load:
    """A running load generator with its connections."""

    def __init__(
        self, program: Path, port: int, conns: list[Conn], captures: tuple[str, ...] = ()
    ) -> None:
        lines = [f"target\t127.0.0.1\t{port}"]
        lines += [f"capture\t{text.translate(ESCAPES)}" for text in captures]
        lines += [conn.line() for conn in conns]
        with NamedTemporaryFile("w", suffix=".plan", delete=False) as file:
            file.write("\n".join(lines) + "\n")
        self._plan = Path(file.name)
        self._process = subprocess.Popen(
            [program, self._plan],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.wanted = len(conns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the load generator and with it its connections."""
        self._process.kill()
        self._process.communicate()
        self._plan.unlink(missing_ok=True)

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            self._process.kill()
            _, said = self._process.communicate()
            raise LoadError(f"the load generator ended: {said[:500].decode(errors='replace')}")
        result: dict[str, Any] = json.loads(answer)
        return result

    def open(self, most: int = 0) -> float:
        """Opens the connections, `most` at once (0: a few); returns the seconds. Raises `LoadError` if not all opened."""
        result = self._ask(f"open {most}" if most else "open")
        if result["open"] != self.wanted:
            self._process.kill()
            _, said = self._process.communicate()
            raise LoadError(
                f"{result['open']} of {self.wanted} opened in time. {said[:300].decode(errors='replace')}"
            )
        return float(result["seconds"])

    def run(self, traffic: Traffic) -> dict[str, Any]:
        """Runs `traffic`; returns what was counted, as `print_result` in `traffic.c` names it."""
        return self._ask(traffic.command())
