"""Are the tests worth anything? Plants the faults of a table, one at a time, and says which test noticed each.

    scripts/mutate                     all of them, in some minutes
    scripts/mutate --only cursor       those with this in their name or file
    scripts/mutate --list              what there is

The faults are planted in copies of the checkout, in a temporary folder. Exit code 1 where one survived, 2 where
the table does not fit the code, or the tests fail without any fault.
"""

from __future__ import annotations

import argparse
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from scripts.mutation.fault import Fault, Misfit, check
from scripts.mutation.faults import FAULTS
from scripts.mutation.trial import Copy, Verdict

HOME = Path(__file__).parent.parent.parent


def chosen(part: str) -> tuple[Fault, ...]:
    """The faults with `part` in their name or file."""
    part = part.casefold()
    return tuple(f for f in FAULTS if part in f.name.casefold() or part in f.file)


def verdicts(faults: tuple[Fault, ...], copies: list[Copy]) -> Iterator[Verdict]:
    """Try the faults, one in each copy at a time; each verdict as it comes."""
    waiting: queue.SimpleQueue[Fault] = queue.SimpleQueue()
    for fault in faults:
        waiting.put(fault)
    answers: queue.SimpleQueue[Verdict | BaseException] = queue.SimpleQueue()

    def work(copy: Copy) -> None:
        try:
            while True:
                answers.put(copy.try_out(waiting.get_nowait()))
        except queue.Empty:
            pass
        except BaseException as error:
            answers.put(error)

    for copy in copies:
        threading.Thread(target=work, args=(copy,), daemon=True).start()
    for _ in faults:
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        yield answer


def report(verdict: Verdict) -> str:
    """One line of what became of a fault."""
    took = f"{verdict.took_s:5.1f} s"
    if verdict.trouble:
        return f"BROKEN    {took}  {verdict.fault.name}\n{verdict.trouble}"
    if verdict.noticed_by is None:
        return f"SURVIVED  {took}  {verdict.fault.name}  ({', '.join(verdict.fault.tests)})"
    return f"noticed   {took}  {verdict.fault.name}  ({verdict.noticed_by})"


def run(faults: tuple[Fault, ...], jobs: int) -> int:
    """Try them all; how many were not noticed. Raises `Misfit` where a test fails without a fault."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copies = [Copy(HOME, Path(folder) / str(number)) for number in range(jobs)]
        tests = tuple(dict.fromkeys(test for fault in faults for test in fault.tests))
        complaint = copies[0].complaint(tests)
        if complaint is not None:
            raise Misfit(f"Without any fault the tests are not green: {complaint}")
        bad = 0
        for verdict in verdicts(faults, copies):
            bad += verdict.noticed_by is None
            print(report(verdict), flush=True)
    print(f"{len(faults) - bad} of {len(faults)} faults were noticed.")
    return bad


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PART", help="in the name or the file")
    parser.add_argument("--list", action="store_true", help="print the names, and plant nothing")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at a time (2)")
    options = parser.parse_args()
    faults = chosen(options.only)
    if not faults or options.jobs < 1:
        parser.error("there is no such fault, or nobody to plant it")
    if options.list:
        print("\n".join(f"{fault.file}: {fault.name}" for fault in faults))
        return
    try:
        check(FAULTS, HOME)
        sys.exit(1 if run(faults, min(options.jobs, len(faults))) else 0)
    except Misfit as misfit:
        print(f"mutate: {misfit}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
