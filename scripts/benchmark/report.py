"""Tables for people, JSON for programs, plots for the documents."""

import json
from math import isfinite
from pathlib import Path

from .figures import Column, Row, Table
from .ours import OURS
from .plots import bars


def cell(row: Row, column: Column) -> str:
    """A figure as text: the median, and behind it the lowest and the highest round."""
    figure = row.figures.get(column.key)
    if figure is None:
        return ""
    if not isfinite(figure.median):
        return "–"
    text = f"{figure.median:,.{column.digits}f}"
    if len(figure.rounds) > 1 and figure.low != figure.high:
        text += f" ({figure.low:,.{column.digits}f}–{figure.high:,.{column.digits}f})"
    return text


def reason(missing: str) -> str:
    """The last line of why there are no figures: that is where programs say it."""
    lines = missing.strip().splitlines()
    return lines[-1].strip()[:160] if lines else "no reason given"


def lines_of(table: Table) -> list[list[str]]:
    """The table's cells, heading first; a server without figures gives its reason."""
    lines = [["server", *(column.heading for column in table.columns)]]
    for row in table.rows:
        name = f"{row.name} · {row.version}" if row.version else row.name
        if row.figures:
            lines.append([name, *(cell(row, column) for column in table.columns)])
        else:
            lines.append([name, f"not measured: {reason(row.missing)}"])
    return lines


def remarks(table: Table) -> list[str]:
    """The goals with their outcome, then the notes."""
    said = []
    for check in table.checks:
        outcome = "reached" if check.reached else "not reached"
        said.append(f"{check.text}: {check.value:,.2f}, {outcome}")
    return said + table.notes


def terminal(table: Table) -> str:
    """The table with aligned columns."""
    lines = lines_of(table)
    full = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[i]) for line in full) for i in range(len(lines[0]))]
    text = [f"\n{table.title}"]
    for line in lines:
        cells = [line[0].ljust(max(widths[0], 24))]
        if len(line) == len(lines[0]):
            cells += [each.rjust(width) for each, width in zip(line[1:], widths[1:], strict=True)]
        else:
            cells += line[1:]
        text.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*text, *(f"  · {remark}" for remark in remarks(table))])


def markdown(table: Table, plot: str = "") -> str:
    """The table for a document, with its plot."""
    lines = lines_of(table)
    text = [f"## {table.title}", ""]
    if plot:
        text += [f"![{table.title}]({plot})", ""]
    text += [f"| {' | '.join(lines[0])} |", "|" + " --- |" * len(lines[0])]
    for line in lines[1:]:
        text.append(f"| {' | '.join(line)} |" + " |" * (len(lines[0]) - len(line)))
    said = remarks(table)
    return "\n".join([*text, "", *(f"- {remark}" for remark in said), *([""] if said else [])])


def about(machine: dict[str, str], settings: dict[str, object]) -> str:
    """Where and how it was measured, one line each."""
    return "\n".join(
        f"- {key}: {value}" for key, value in {**machine, **settings}.items() if value != ""
    )


def write(
    folder: Path, tables: list[Table], machine: dict[str, str], settings: dict[str, object]
) -> None:
    """Writes `benchmark.json`, `benchmark.md` and a plot a table into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {
        "machine": machine,
        "settings": settings,
        "tables": [table.as_json() for table in tables],
    }
    (folder / "benchmark.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    parts = [f"# Measured\n\n{about(machine, settings)}\n"]
    for table in tables:
        plot = bars(table, OURS)
        if plot:
            (folder / f"{table.key}.svg").write_text(plot)
        parts.append(markdown(table, f"{table.key}.svg" if plot else ""))
    (folder / "benchmark.md").write_text("\n".join(parts))
