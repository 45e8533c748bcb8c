"""The command line; `scripts/bench --help` shows it."""

import argparse
import sys
import time
from pathlib import Path

from tests.support.temporary import temporary_folder

from . import machine, report
from .bench import Bench, pin_self
from .cases import BESIDE, CASES, ON_REQUEST
from .figures import Table
from .guard import guard
from .load import build_load

BUSY_LOAD_AVERAGE = 0.7
HOME = Path(__file__).parents[2]
CACHE = HOME / ".cache" / "bench"
OUT = HOME / "artifacts" / "benchmark"


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures this server beside its peers."
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a look in under two minutes: short rounds, smaller crowds",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(CASES),
        metavar="CASE",
        help=f"of {', '.join(CASES)}",
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="PART",
        help="only peers whose name holds PART",
    )
    parser.add_argument("--rounds", type=int, help="counted rounds (5; with --quick 3)")
    parser.add_argument("--round-s", type=float, help="seconds a round (2; with --quick 0.2)")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help=f"another checkout, with the Python of its .venv, measured in the same rounds of {', '.join(BESIDE)}",
    )
    parser.add_argument(
        "--guard",
        action="store_true",
        help="count the instructions of the main work, and fail where it is over 1.10 of what is kept; or, with --against,"
        " beside that version",
    )
    parser.add_argument(
        "--guard-keep", action="store_true", help="count as --guard does, and keep the figures"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of the case hour (60)")
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        help="folder for benchmark.json, benchmark.md and the plots (%(default)s)",
    )
    parser.add_argument(
        "--cache", type=Path, default=CACHE, help="where peers are installed (%(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    """Runs the cases and writes what they found. Returns 0; with `--guard` as `guard` does."""
    asked = arguments()
    pin_self()
    asked.cache.mkdir(parents=True, exist_ok=True)
    (asked.cache / ".gitignore").write_text("*\n")
    if asked.guard or asked.guard_keep:
        return guard(build_load(asked.cache), asked.guard_keep, asked.against, asked.rounds or 3)
    bench = Bench(
        cache=asked.cache,
        load=build_load(asked.cache),
        quick=asked.quick,
        rounds=asked.rounds or (3 if asked.quick else 5),
        round_s=asked.round_s or (0.2 if asked.quick else 2.0),
        peers_wanted=asked.peer,
        minutes=asked.minutes,
        against=asked.against,
    )
    described = machine.describe()
    tables: list[Table] = []
    print(report.about(described, {}))
    if float(described["load average before"]) > BUSY_LOAD_AVERAGE:
        bench.say(
            "this machine is busy with something else: expect spread, and no goal to be decided"
        )
    for name in asked.only or [name for name in CASES if name not in ON_REQUEST]:
        bench.say(name)
        if bench.against is not None and name not in BESIDE:
            bench.say(f"{name} measures this version alone")
        for table in CASES[name](bench):
            tables.append(table)
            print(report.terminal(table), flush=True)
    settings: dict[str, object] = {
        "command": " ".join(["scripts/bench", *sys.argv[1:]]),
        "rounds": bench.rounds,
        "seconds a round": bench.round_s,
        "took": f"{time.monotonic() - bench.started_at:.0f} s",
        "CPU time": "user and system of the server's process, on a core of its own",
        "figures": "median (lowest–highest) of the rounds",
    }
    report.write(asked.out, tables, described, settings)
    print(f"\nwritten to {asked.out} in {time.monotonic() - bench.started_at:.0f} s")
    return 0


if __name__ == "__main__":
    with temporary_folder("bench-"):
        sys.exit(main())
