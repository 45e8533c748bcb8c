"""Measured values with their spread, and the rows and tables made of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with the lowest and the highest of the rounds it comes from."""

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """The figure of one value a round. Raises `ValueError` without any."""
        if not values:
            raise ValueError("a figure needs at least one round")
        return cls(median(values), min(values), max(values), tuple(values))

    def over(self, other: "Figure") -> "Figure":
        """The ratio to `other`, round by round where both have as many: shared moods drop out."""
        if len(self.rounds) == len(other.rounds):
            pairs = zip(self.rounds, other.rounds, strict=True)
            return Figure.of([mine / its for mine, its in pairs if its])
        return Figure.of([mine / other.median for mine in self.rounds])


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the figure's key, its heading and how many digits it deserves."""

    key: str
    heading: str
    digits: int = 1


@dataclass(slots=True)
class Row:
    """One server's figures; `missing` says why there are none."""

    name: str
    version: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A goal: the figure shall be at most `limit` (at least, where `least`)."""

    text: str
    value: float
    limit: float
    least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.limit if self.least else self.value <= self.limit


@dataclass(slots=True)
class Table:
    """What a case found. The first column is the one that its plot shows."""

    key: str
    title: str
    columns: list[Column]
    rows: list[Row]
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, name: str) -> Row | None:
        """The row of that name, if it has figures."""
        return next((row for row in self.rows if row.name == name and row.figures), None)

    def as_json(self) -> dict[str, Any]:
        """Everything, raw rounds included."""
        checks = [{**asdict(check), "reached": check.reached} for check in self.checks]
        return {**asdict(self), "checks": checks}


def ratio_check(table: Table, mine: str, other: str, key: str, limit: float) -> None:
    """Adds the goal that `mine` costs at most `limit` times `other`, where both were measured."""
    my_row, other_row = table.row(mine), table.row(other)
    if my_row is None or other_row is None:
        return
    ratio = my_row.figures[key].over(other_row.figures[key]).median
    table.checks.append(Check(f"at most {limit:.3g} × {other}", ratio, limit))


def limit_check(
    table: Table, mine: str, key: str, text: str, limit: float, least: bool = False
) -> None:
    """Adds a goal for one figure of `mine`, where it was measured."""
    row = table.row(mine)
    if row is not None and key in row.figures:
        table.checks.append(Check(text, row.figures[key].median, limit, least))
