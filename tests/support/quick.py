"""The program as it is, but for passwords, which are hashed at a thousandth of the price: `python -m tests.support.quick`.

Hashing a password takes 35 ms on purpose (`chatserver.verbs.keys`), and the tests register some thousand people. No setting
of the program can do this, and none should.
"""

from __future__ import annotations

import sys

from chatserver.command.cli import main
from chatserver.verbs import keys

if __name__ == "__main__":
    keys.ARGON2_MEMORY_KIB, keys.ARGON2_PASSES = 64, 1
    sys.exit(main())
