"""`python -m chatserver`: the same as the command `chatserver`."""

import sys

from chatserver.command.cli import main

sys.exit(main())
