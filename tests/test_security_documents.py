"""The documents on security keep their word: what they name exists, and every item of OWASP's list has its one place."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
ASVS = HOME / "docs/asvs.md"
DEFENCES = HOME / "docs/security.md"
DOCUMENTS = (ASVS, DEFENCES, HOME / "SECURITY.md")

VERDICTS = ("met", "partly", "not met", "in front", "n/a")

NUMBERS = """
1.1: 1 2; 1.2: 1* 2* 3* 4* 5* 6 7 8 9; 1.3: 1* 2* 3 4 5 6 7 8 9 10 11; 1.4: 1 2 3; 1.5: 1* 2;
2.1: 1* 2 3; 2.2: 1* 2* 3; 2.3: 1* 2 3 4; 2.4: 1;
3.2: 1* 2*; 3.3: 1* 2 3 4; 3.4: 1* 2* 3 4 5 6; 3.5: 1* 2* 3* 4 5; 3.7: 1 2;
4.1: 1* 2 3; 4.2: 1; 4.3: 1 2; 4.4: 1* 2 3 4;
5.1: 1; 5.2: 1* 2* 3; 5.3: 1* 2*; 5.4: 1 2 3;
6.1: 1* 2 3; 6.2: 1* 2* 3* 4* 5* 6* 7* 8* 9 10 11 12; 6.3: 1* 2* 3 4; 6.4: 1* 2* 3 4; 6.5: 1 2 3 4 5;
6.6: 1 2 3; 6.8: 1 2 3 4;
7.1: 1 2 3; 7.2: 1* 2* 3* 4*; 7.3: 1 2; 7.4: 1* 2* 3 4 5; 7.5: 1 2; 7.6: 1 2;
8.1: 1* 2; 8.2: 1* 2* 3; 8.3: 1*; 8.4: 1;
9.1: 1* 2* 3*; 9.2: 1* 2 3 4;
10.1: 1 2; 10.2: 1 2; 10.3: 1 2 3 4; 10.4: 1* 2* 3* 4* 5* 6 7 8 9 10 11; 10.5: 1 2 3 4 5; 10.6: 1 2;
10.7: 1 2 3;
11.1: 1 2; 11.2: 1 2 3; 11.3: 1* 2* 3; 11.4: 1* 2 3 4; 11.5: 1; 11.6: 1;
12.1: 1* 2 3; 12.2: 1* 2*; 12.3: 1 2 3 4;
13.1: 1; 13.2: 1 2 3 4 5; 13.3: 1 2; 13.4: 1* 2 3 4 5;
14.1: 1 2; 14.2: 1* 2 3 4; 14.3: 1* 2 3;
15.1: 1* 2 3; 15.2: 1* 2 3; 15.3: 1* 2 3 4 5 6 7;
16.1: 1; 16.2: 1 2 3 4 5; 16.3: 1 2 3 4; 16.4: 1 2 3; 16.5: 1 2 3;
17.1: 1; 17.2: 1 2 3 4; 17.3: 1 2
"""
"""The items of ASVS 5.0.0 of levels 1 (with a star) and 2, by section."""

_SPAN = re.compile(r"`([^`]+)`")
_FILE = re.compile(r"[A-Za-z0-9_./-]+\.(?:py|md|js|cfg|toml|yaml)")
_ITEM = re.compile(r"\d+\.\d+\.\d+")


def levels() -> dict[str, int]:
    """Each item's level."""
    found: dict[str, int] = {}
    for part in NUMBERS.split(";"):
        section, _, numbers = part.partition(":")
        for number in numbers.split():
            found[f"{section.strip()}.{number.rstrip('*')}"] = 1 if number.endswith("*") else 2
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of each row of a document's tables; heads too, the lines under them not."""
    lines = [line for line in text.splitlines() if re.match(r"\| (?!---)", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def verdicts() -> list[tuple[str, str]]:
    """Each item with what is said of it, as often as it is said."""
    found = []
    for cells in rows(ASVS.read_text().partition("\n## V1 ")[2]):
        items = [cell.strip() for cell in cells[0].split(",")]
        if all(_ITEM.fullmatch(item) for item in items):
            found += [(item, cells[1]) for item in items]
    return found


def spans(path: Path) -> list[str]:
    """What stands between backticks."""
    return [str(span) for span in _SPAN.findall(path.read_text())]


@cache
def names(path: Path) -> frozenset[str]:
    """What a file of tests defines: its functions and classes, or the titles of its tests in JavaScript."""
    text = path.read_text()
    if path.suffix == ".js":
        titles = re.findall(r"^test\('((?:[^'\\]|\\.)*)'", text, re.MULTILINE)
        return frozenset(title.replace("\\'", "'") for title in titles)
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(HOME)))
def test_every_file_that_is_named_exists(document: Path) -> None:
    named = {span.partition("::")[0] for span in spans(document)}
    missing = [name for name in named if _FILE.fullmatch(name) and not (HOME / name).is_file()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(HOME)))
def test_every_test_that_is_named_exists(document: Path) -> None:
    missing = []
    for span in spans(document):
        name, is_test, title = span.partition("::")
        if is_test and not ((HOME / name).is_file() and title in names(HOME / name)):
            missing.append(span)
    assert not missing


def test_every_defence_has_its_test() -> None:
    """One that cannot have any says so by a dash."""
    text = DEFENCES.read_text().partition("## What stands in the way")[2].partition("\n## ")[0]
    table = [cells for cells in rows(text) if cells != ["threat", "defence", "test"]]
    assert len(table) > 50
    assert not [threat for threat, _, test in table if "::" not in test and test != "–"]


def test_the_numbers_are_as_many_as_in_the_standard() -> None:
    assert Counter(levels().values()) == {1: 70, 2: 183}


def test_every_item_of_levels_1_and_2_stands_once() -> None:
    counts = Counter(item for item, _ in verdicts())
    assert not levels().keys() - counts.keys(), "missing"
    assert not counts.keys() - levels().keys(), "of another level, or no item at all"
    assert not [item for item, times in counts.items() if times > 1], "more than once"


def test_every_item_has_one_of_the_verdicts() -> None:
    assert not [item for item, verdict in verdicts() if verdict not in VERDICTS]


def test_the_counts_are_those_of_the_tables() -> None:
    counts = Counter((levels()[item], verdict) for item, verdict in verdicts())
    told = {cells[0]: cells[1:] for cells in rows(ASVS.read_text().partition("\n## V1 ")[0])}
    for level in (1, 2):
        numbers = [counts[level, verdict] for verdict in VERDICTS]
        assert told[f"level {level}"] == [str(number) for number in (sum(numbers), *numbers)]


def test_what_is_not_met_is_told_with_its_consequence() -> None:
    text = ASVS.read_text().partition("## In short")[2].partition("\n## ")[0]
    told = set(_ITEM.findall(text))
    assert not [item for item, verdict in verdicts() if verdict == "not met" and item not in told]
