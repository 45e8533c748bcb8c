"""Are the tests worth anything? Plants the faults of a table, one at a time, and says which test noticed each.

    scripts/mutate                     all of them, in some minutes
    scripts/mutate --only cursor       those with this in their name or file
    scripts/mutate --anew              also those of which an earlier run knows who noticed them
    scripts/mutate --list              what there is

The faults are planted in copies of the checkout, in a temporary folder. What was noticed is kept in `.cache`: a run
that was stopped goes on there, and a fault is tried again when its file or its tests have changed. Exit code 1 where
one survived or its tests fail without it, 2 where the table does not fit the code.
"""

from __future__ import annotations

import argparse
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.mutation.fault import Fault, Misfit, check
from scripts.mutation.faults import FAULTS
from scripts.mutation.kept import Kept
from scripts.mutation.trial import Copy, Verdict

HOME = Path(__file__).parent.parent.parent
KEPT = HOME / ".cache" / "mutation.json"


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


def red(copies: list[Copy], faults: tuple[Fault, ...], kept: Kept) -> set[str]:
    """Those tests of `faults` that fail without any; what was green before, with the same code, is not run again."""
    every = dict.fromkeys(test for fault in faults for test in fault.tests)
    tests = [test for test in every if kept.noticed_by(kept.green(test)) is None]
    parts = [tuple(tests[number :: len(copies)]) for number in range(len(copies))]

    def look(copy: Copy, part: tuple[str, ...]) -> tuple[str, ...]:
        failed = copy.red(part) if part else ()
        kept.keep((kept.green(test), "green") for test in part if test not in failed)
        return failed

    with ThreadPoolExecutor(len(copies)) as pool:
        return {test for failed in pool.map(look, copies, parts) for test in failed}


def run(faults: tuple[Fault, ...], jobs: int, kept: Kept) -> int:
    """Try them all; how many were not noticed. Raises `Misfit` where nothing can be tested."""
    waiting = tuple(fault for fault in faults if kept.noticed_by(fault) is None)
    if len(waiting) < len(faults):
        print(f"{len(faults) - len(waiting)} were noticed before, as they are now.", flush=True)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copies = [Copy(HOME, Path(folder) / str(n)) for n in range(min(jobs, len(waiting)))]
        failing = red(copies, waiting, kept) if waiting else set()
        for fault in (fault for fault in waiting if failing & set(fault.tests)):
            bad += 1
            print(report(Verdict(fault, None, 0.0, "Its tests fail without it.")), flush=True)
        trusted = tuple(fault for fault in waiting if not failing & set(fault.tests))
        for verdict in verdicts(trusted, copies):
            print(report(verdict), flush=True)
            if verdict.noticed_by is None:
                bad += 1
            else:
                kept.keep([(verdict.fault, verdict.noticed_by)])
        for copy in copies:
            copy.close()
    print(f"{len(faults) - bad} of {len(faults)} faults were noticed.")
    return bad


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PART", help="in the name or the file")
    parser.add_argument("--list", action="store_true", help="print the names, and plant nothing")
    parser.add_argument("--anew", action="store_true", help="try also what is known")
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
        kept = Kept(HOME, KEPT)
        if options.anew:
            kept.forget()
        sys.exit(1 if run(faults, options.jobs, kept) else 0)
    except Misfit as misfit:
        print(f"mutate: {misfit}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
