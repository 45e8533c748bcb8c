"""What a comparison found, for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from scripts.laboratory.comparison import Comparison

HEADS = ("transport", "median", "95 %", "longest", "seen", "missed", "doubled", "first")
COUNTS = {"requests": "requests", "bytes up": "bytesUp", "bytes down": "bytesDown"}
"""Headings, and what the server calls what it has counted."""


def words_of(ms: float) -> str:
    """A time, in the unit that suits it."""
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.1f} ms"


def table(comparison: Comparison, counted: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a transport with aligned columns, and the order of their medians.

    `counted` is what the server says of each lane, by the lane's client.
    """
    rows: list[list[str]] = [[*HEADS, *COUNTS]]
    firsts = comparison.firsts()
    for lane in comparison.lanes:
        values = sorted(comparison.latencies_ms(lane))
        spread = ["", "", ""]
        if values:
            ninety_fifth = values[int(0.95 * (len(values) - 1))]
            spread = [words_of(ms) for ms in (statistics.median(values), ninety_fifth, values[-1])]
        missed = len(comparison.sent_at_s) - len(values)
        seen = [str(count) for count in (len(values), missed, lane.doubled, firsts[lane.name])]
        count = counted.get(lane.client, {})
        rows.append([lane.name, *spread, *seen, *(str(count.get(k, "–")) for k in COUNTS.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for name, *cells in rows:
        right = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([f"{name:<{widths[0]}}", *right]))
    order = sorted(
        comparison.lanes, key=lambda lane: statistics.median(comparison.latencies_ms(lane) or [1e9])
    )
    names = ", ".join(lane.name for lane in order)
    return "\n".join([*lines, "", f"In the order of their medians: {names}."])
