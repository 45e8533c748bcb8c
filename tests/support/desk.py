"""What a test needs of the machine, and not every machine has."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def leave_out(reason: str) -> NoReturn:
    """Leave the running test out, at somebody's desk; in CI nothing may be, and so it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
