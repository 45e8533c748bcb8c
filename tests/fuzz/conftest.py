"""How much is tried: so much in every run, and `--fuzz N` times as much where somebody has the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings


@pytest.fixture(autouse=True, scope="session")
def examples(fuzz: int) -> Iterator[None]:
    """Hypothesis tries so many times as much, and has no clock of its own: other things run beside the tests."""
    settings.register_profile("fuzz", max_examples=200 * fuzz, deadline=None)
    settings.load_profile("fuzz")
    yield
    settings.load_profile("default")
