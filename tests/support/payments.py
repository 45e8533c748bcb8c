"""Payments of tests, which append to a journal without a verb."""

from __future__ import annotations

from chatserver.core.prices import Payment, free_of_charge


def paid() -> Payment:
    """A payment for one append."""
    return free_of_charge("a test")
