"""A soak: people and attackers at random, and a model that knows what everybody must and must not see.

    scripts/soak                       ten minutes
    scripts/soak --minutes 2 --seed 7  shorter, another way
    scripts/soak --day                 a day

Starts a server of its own on the loopback. People come, hop between transports, befriend, end friendships, block,
write, stall, vanish, sign out and go for good; strangers send bad frames, bad polls, floods, noise and halves of
requests. Nothing may be lost, doubled, out of order or seen by whom it may not, and in quiet moments memory,
descriptors, tasks and mailboxes return to where they were (after a first part, in which everything happens once;
`scripts/soaking/measure.py` states the tolerances). Exit code 1 where anything of that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from scripts.soaking.measure import Held
from scripts.soaking.soak import WRONG, Soak
from tests.support.process import DidNotStart

DONE = ("sent", "acknowledged", "received", "retries", "refused", "gone", "hops", "stalls") + (
    "sign-outs",
    "ends",
    "blocks",
    "left",
    "attacks",
)
REMARKS_SHOWN = 20


def table(counts: Counter[str], looks: list[Held]) -> str:
    """What was counted, as people read it."""
    names = (*DONE, *WRONG, "grown", "complaints")
    lines = [f"{name:>14} {counts[name]:>8}" for name in names]
    moments = ("at first", "in between", "at the end")
    lines += [f"{when:>14} {held}" for when, held in zip(moments, looks, strict=False)]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--day", action="store_true", help="a day instead")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn (1)")
    options = parser.parse_args()
    minutes = 24 * 60.0 if options.day else options.minutes
    if minutes <= 0:
        parser.error("a soak takes some time")
    # As Ctrl-C does: what is under way is ended in order, the server and its folder with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(
            Path(folder) / "data", minutes, options.seed, lambda text: print(text, flush=True)
        )
        try:
            counts, looks = asyncio.run(soak.run())
        except (DidNotStart, OSError) as error:
            sys.exit(f"soak: {error}")
        except KeyboardInterrupt:
            sys.exit("soak: interrupted")
    print(table(counts, looks))
    bad = sum(counts[name] for name in (*WRONG, "grown", "complaints"))
    if bad:
        print("\n".join(soak.remarks[:REMARKS_SHOWN]), file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
