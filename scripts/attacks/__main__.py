"""`scripts/attack [NAME…]`: carry out the attacks, one server each, and print what others felt."""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

from scripts.attacks.attacks import flood, herd, idle, unread
from scripts.attacks.prices import nag, reads, register
from scripts.attacks.socketio import sessions
from scripts.attacks.target import Target
from tests.support.temporary import temporary_folder

ATTACKS: dict[str, Callable[[Target], dict[str, object]]] = {
    "herd": herd,
    "flood": flood,
    "idle": idle,
    "unread": unread,
    "reads": reads,
    "nag": nag,
    "register": register,
    "sessions": sessions,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ATTACKS)}; all")
    parser.add_argument("--checkout", type=Path, help="attack the version in this folder")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in options.names or ATTACKS:
        began_s = time.monotonic()
        descriptors = 1024 if name == "idle" else None
        messages = 100_000 if name == "reads" else 0
        with Target(options.checkout, descriptors, messages) as target:
            figures = {**ATTACKS[name](target), **target.cost()}
        print(f"{name} ({time.monotonic() - began_s:.0f} s)")
        for figure, value in figures.items():
            print(f"  {figure:<44} {value}")


if __name__ == "__main__":
    with temporary_folder("attacks-"):
        main()
