"""Branch coverage of the floors, each by the tests of its own folder.

    scripts/coverage                   core, journal, delivery, http, transports, verbs
    scripts/coverage core journal      these
    scripts/coverage core --missing    which lines and branches were not run

Servers that the tests start are counted too, and the processes of these, where they end by themselves. Some files of a folder run beside each
other, since most of each is waiting; one that fails so is run once more, alone. Exit code 1 where a floor is under
95 %, or a test failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent.parent
FLOORS = ("core", "journal", "delivery", "http", "transports", "verbs")
WANTED_PERCENT = 95.0
BESIDE = 4
"""Files of tests that run at the same time."""

CONFIG = """
[run]
branch = True
parallel = True
source = {source}
data_file = {data}
patch = subprocess, fork, _exit
sigterm = True
[report]
exclude_also =
    if TYPE_CHECKING:
    \\.\\.\\.$
"""


class Failed(Exception):
    """The tests of a floor are not green; the message is what they said."""


def coverage(*arguments: str | Path) -> str:
    """Run coverage.py; what it printed. Raises `Failed`."""
    command = [sys.executable, "-m", "coverage", *map(str, arguments)]
    done = subprocess.run(command, cwd=HOME, text=True, capture_output=True)
    if done.returncode:
        raise Failed(f"{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return done.stdout


def run_all(rules: str, tests: Path) -> None:
    """Run the tests of a folder, each file by itself, the largest first. Raises `Failed`."""

    def run(file: Path) -> None:
        coverage("run", rules, "-m", "pytest", "-p", "no:cacheprovider", file)

    def failed(file: Path) -> bool:
        try:
            run(file)
        except Failed:
            return True
        return False

    files = sorted(tests.glob("test_*.py"), key=lambda file: -file.stat().st_size)
    with ThreadPoolExecutor(BESIDE) as pool:
        again = [file for file, bad in zip(files, pool.map(failed, files), strict=True) if bad]
    for file in again:
        print(f"coverage: {file.relative_to(HOME)} once more, alone", file=sys.stderr, flush=True)
        run(file)


def measured(floor: str, folder: Path) -> dict[str, Any]:
    """What coverage.py reports of a floor, by file and in all. Raises `Failed`."""
    config = folder / f"{floor}.ini"
    source, data = HOME / "chatserver" / floor, folder / f"{floor}.data"
    config.write_text(CONFIG.format(source=source, data=data))
    rules = f"--rcfile={config}"
    run_all(rules, HOME / "tests" / floor)
    coverage("combine", rules, folder)
    coverage("json", rules, "-o", folder / "report.json")
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def missing(report: dict[str, Any]) -> list[str]:
    """A line for each file of which something was not run."""
    lines = []
    for name, file in sorted(report["files"].items()):
        branches = [f"{start}->{end}" for start, end in file["missing_branches"]]
        if file["missing_lines"] or branches:
            percent = file["summary"]["percent_covered"]
            spots = " ".join([*map(str, file["missing_lines"]), *branches])
            lines.append(f"    {percent:5.1f} %  {Path(name).name}: {spots}")
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="coverage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "floors", nargs="*", metavar="FLOOR", help="all of them where none is named"
    )
    parser.add_argument("--missing", action="store_true", help="say what was not run")
    options = parser.parse_args()
    if unknown := set(options.floors) - set(FLOORS):
        parser.error(f"there is no such floor: {', '.join(sorted(unknown))}")
    low = False
    for floor in options.floors or FLOORS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                report = measured(floor, Path(folder))
            except Failed as failure:
                sys.exit(f"coverage: the tests of {floor} are not green:\n{failure}")
        percent = report["totals"]["percent_covered"]
        low = low or percent < WANTED_PERCENT
        print(f"{floor:>10} {percent:5.1f} %", flush=True)
        if options.missing:
            print("\n".join(missing(report)), flush=True)
    sys.exit(1 if low else 0)


if __name__ == "__main__":
    main()
