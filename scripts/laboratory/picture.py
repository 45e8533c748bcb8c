"""What a comparison found, as a picture: every message a dot."""

from __future__ import annotations

import statistics
from html import escape
from math import log10

from scripts.laboratory.comparison import Comparison, Lane
from scripts.laboratory.table import words_of

STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1c1f24}.soft{fill:#5b626d}.line{stroke:#dfe2e7}"
    "circle{fill:#2f6f5e;fill-opacity:.5}.median{stroke:#b3261e;stroke-width:2}rect{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e7e9ed}.soft{fill:#a0a7b3}.line{stroke:#343944}"
    "circle{fill:#7cc4ae}.median{stroke:#ff8a80}rect{fill:#16181d}}"
)


WIDTH, ROW_PX, LEFT, RIGHT = 820, 56, 170, 24
LOWEST_MS = 0.3
LOW, HIGH = -0.5, 4.2
"""The ends of the scale, as powers of ten of a millisecond."""
TICKS = {1: "1 ms", 10: "10 ms", 100: "100 ms", 1000: "1 s", 10000: "10 s"}


def picture(comparison: Comparison) -> str:
    """An SVG: a row a transport, a dot a message on a scale of powers of ten, a line at the median."""
    height = 60 + ROW_PX * len(comparison.lanes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Delivery latency of the five transports</title>",
        f"<style>{STYLE}</style><rect width='{WIDTH}' height='{height}' rx='8'/>",
        *_axis(height),
    ]
    for place, lane in enumerate(comparison.lanes):
        parts += _row(lane, comparison.latencies_ms(lane), 16 + ROW_PX * (place + 0.5))
    return "\n".join([*parts, "</svg>", ""])


def _x(ms: float) -> float:
    share = (log10(max(ms, LOWEST_MS)) - LOW) / (HIGH - LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _axis(height: int) -> list[str]:
    parts = []
    for ms, label in TICKS.items():
        x = f"{_x(ms):.0f}"
        parts.append(f'<line class="line" x1="{x}" x2="{x}" y1="16" y2="{height - 36}"/>')
        parts.append(
            f'<text class="soft" x="{x}" y="{height - 16}" text-anchor="middle">{label}</text>'
        )
    return parts


def _row(lane: Lane, values_ms: list[float], middle: float) -> list[str]:
    parts = [f'<text x="16" y="{middle:.0f}">{escape(lane.name)}</text>']
    for number, ms in enumerate(values_ms):
        # Spread in height by the message's number, so that equal times stay visible.
        offset = (number * 7 % 13 - 6) * 2.4
        parts.append(f'<circle cx="{_x(ms):.1f}" cy="{middle + offset:.1f}" r="2.5"/>')
    if values_ms:
        median_ms = statistics.median(values_ms)
        x = f"{_x(median_ms):.1f}"
        span = f'y1="{middle - 20:.0f}" y2="{middle + 20:.0f}"'
        parts.append(f'<line class="median" x1="{x}" x2="{x}" {span}/>')
        words = f"median {words_of(median_ms)}"
        parts.append(f'<text class="soft" x="16" y="{middle + 16:.0f}">{words}</text>')
    return parts
