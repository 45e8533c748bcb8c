"""`python -m chatserver`: the same as the command `chatserver`."""

import sys

from chatserver.cli import main

sys.exit(main())
