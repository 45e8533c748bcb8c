"""One part of several servers fails in mid-traffic, and what became of every message is counted.

    scripts/faults                         every case three times, about half an hour
    scripts/faults --only cut --repeat 1   one of them
    scripts/faults --seed 7                another way

Starts three servers behind a real nginx in round robin, over real NATS servers and a database that speaks MongoDB's protocol
(or one server with two processes). People hop between transports, vanish, retry, befriend, end friendships and block
in the middle of it; and while the fault lasts others are put out, and every node is asked whether it knows. Nothing that
was acknowledged may be lost, doubled, out of order, reset, or seen by whom it may not. Exit code 1 where anything is.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scripts.faulting.cases import CASES, Case, Target, servers
from scripts.faulting.crowd import Crowd
from scripts.faulting.stale import Ends
from scripts.soaking.soak import ended
from tests.support.clients import close_opened
from tests.support.process import ServerProcess

MUST_BE_0 = ("lost", "doubled", "disordered", "resets", "forbidden", "complaints")
COLUMNS = ("sent", "acknowledged", "received", "changes", "asked", "hops", "retries", *MUST_BE_0)
RUN_S = 400.0
REMARKS_SHOWN = 12


async def one_run(case: Case, target: Target, seed: str) -> tuple[Counter[str], list[str], float]:
    """What was counted, what was wrong in words, and the longest time without an acknowledgement (s)."""
    crowd = Crowd(target.url, seed)
    ends = Ends(target.url, target.nodes, target.victim.url)
    try:
        async with asyncio.timeout(RUN_S):
            await crowd.prepare()
            await ends.prepare()

            async def fault() -> None:
                await asyncio.gather(ends.run(), case.happen(target))

            longest_s = await crowd.run(fault())
            target.notes.append(f"from {crowd.longest_at_s:.1f} s on")
            counts, remarks = await ends.close()
    finally:
        # Of a run that broke off; one that came to its end has none left.
        await ended([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])
        await close_opened()
    counts += crowd.counts
    complaints = [c for c in target.complaints() if not any(each in c for each in case.said)]
    counts["complaints"] += len(complaints)
    return counts, [*crowd.remarks, *remarks, *complaints], longest_s


def run(case: Case, nth: int, seed: int) -> Counter[str]:
    """One run on servers of its own; prints its line, and what was wrong."""
    with tempfile.TemporaryDirectory() as folder, servers(case, Path(folder), nth) as target:
        try:
            counts, remarks, longest_s = asyncio.run(
                one_run(case, target, f"{seed} {case.name} {nth}")
            )
        except (Exception, ExceptionGroup) as error:
            # A run that does not come to its end is a wrong one; the others go on.
            counts, longest_s = Counter(lost=1), float("nan")
            where = traceback.format_exception(error, limit=-3)
            remarks = ["the run ended early:", *where, *target.complaints()]
    cells = "".join(f"{counts[name]:>{max(6, len(name) + 1)}}" for name in COLUMNS)
    print(f"{case.name:>17}{cells}{longest_s:>9.1f} s  {', '.join(target.notes)}", flush=True)
    if remarks:
        print("\n".join(f"    {each}" for each in remarks[:REMARKS_SHOWN]), flush=True)
    return counts


def chosen(names: Sequence[str]) -> list[Case]:
    return [case for case in CASES if not names or case.name in names]


def main() -> None:
    """The command line."""
    cases = "\n".join(f"  {case.name:17}{case.what}" for case in CASES)
    parser = argparse.ArgumentParser(
        prog="faults",
        description=f"{__doc__}\nCases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="CASE")
    parser.add_argument("--repeat", type=int, default=3, help="how often each (3)")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn (1)")
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat is 1 or more")
    # As Ctrl-C does: what is under way is ended in order, the servers and their folder with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ServerProcess.module = (
        "tests.support.quick"  # how passwords are hashed is not what this is about
    )
    heads = "".join(f"{name:>{max(6, len(name) + 1)}}" for name in COLUMNS)
    print(f"{'case':>17}{heads}  longest without an acknowledgement", flush=True)
    total: Counter[str] = Counter()
    try:
        for case in chosen(options.only):
            for nth in range(options.repeat):
                total += run(case, nth, options.seed)
    except KeyboardInterrupt:
        sys.exit("faults: interrupted")
    wrong = {name: total[name] for name in MUST_BE_0 if total[name]}
    print(f"wrong: {wrong}" if wrong else "nothing was lost, doubled, out of order, reset or shown")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
