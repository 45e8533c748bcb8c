"""Bar charts as SVG, drawn by hand: no library, and readable on light and dark pages."""

from html import escape
from math import isfinite, log10

from .figures import Row, Table

WIDTH, NAMES_WIDTH, ROW_HEIGHT, HEAD_HEIGHT, FOOT_HEIGHT = 760, 200, 30, 54, 26
VALUES_WIDTH = 90
LOG_FROM_RATIO = 12
"""Where the longest bar is that many times the shortest, the scale is logarithmic, and says so."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 14px }
.axis { font-size: 11px; fill: #666 }
.ours { fill: #2563ae } .bar { fill: #a9b6c6 }
.spread { stroke: #222; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .axis { fill: #aaa }
  .bar { fill: #56657a } .ours { fill: #6aa5ee } .spread { stroke: #eee }
}
"""


class Scale:
    """From a value to a length in pixels."""

    def __init__(self, lowest: float, highest: float, room: float) -> None:
        self.log = lowest > 0 and highest / lowest > LOG_FROM_RATIO
        self._floor = log10(lowest / 2) if self.log else 0.0
        self._span = (log10(highest) if self.log else highest) - self._floor or 1.0
        self._room = room

    def length(self, value: float) -> float:
        """Pixels from the left edge of the bars."""
        at = log10(value) if self.log and value > 0 else value
        return max(0.0, (at - self._floor) / self._span * self._room)


def bars(table: Table, ours: str) -> str:
    """A chart of the table's first column, median and spread; empty text without figures."""
    column = table.columns[0]
    rows = [
        row
        for row in table.rows
        if column.key in row.figures and isfinite(row.figures[column.key].high)
    ]
    if not rows:
        return ""
    values = [row.figures[column.key] for row in rows]
    room = WIDTH - NAMES_WIDTH - VALUES_WIDTH
    scale = Scale(min(v.low for v in values), max(v.high for v in values), room)
    height = HEAD_HEIGHT + ROW_HEIGHT * len(rows) + FOOT_HEIGHT
    explained = (
        f"{column.heading}{', logarithmic' if scale.log else ''}; line: lowest to highest round"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(table.title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="8" y="20">{escape(table.title)}</text>',
        f'<text class="axis" x="{NAMES_WIDTH}" y="40">{escape(explained)}</text>',
    ]
    for index, row in enumerate(rows):
        parts += _bar(
            row,
            column.key,
            column.digits,
            scale,
            HEAD_HEIGHT + index * ROW_HEIGHT,
            row.name == ours,
        )
    return "\n".join([*parts, "</svg>\n"])


def _bar(row: Row, key: str, digits: int, scale: Scale, top: float, mine: bool) -> list[str]:
    figure = row.figures[key]
    middle, length = top + ROW_HEIGHT / 2, scale.length(figure.median)
    low, high = NAMES_WIDTH + scale.length(figure.low), NAMES_WIDTH + scale.length(figure.high)
    kind = "ours" if mine else "bar"
    beside, line = max(high, NAMES_WIDTH + length) + 8, f"{middle + 4:.1f}"
    size = f'width="{length:.1f}" height="{ROW_HEIGHT - 10}" rx="2"'
    spread = f'x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"'
    return [
        f'<text x="{NAMES_WIDTH - 10}" y="{line}" text-anchor="end">{escape(row.name)}</text>',
        f'<rect class="{kind}" x="{NAMES_WIDTH}" y="{top + 5:.1f}" {size}/>',
        f'<line class="spread" {spread}/>',
        f'<text x="{beside:.1f}" y="{line}">{figure.median:,.{digits}f}</text>',
    ]
