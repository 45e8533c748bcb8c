"""One word for one idea: the names in the code are those of the glossary, and their twins are not used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
MODULES = sorted((HOME / "chatserver").rglob("*.py"))

TWINS = {
    "service": "verb",
    "gate": "admission",
    "door": "transport",
    "front": "transport",
    "lane": "tally",
    "lanes": "index range",
    "joined": "encoding",
    "wire": "connection",
    "told": "answered",
    "parts": "house",
    "manager": "reader",
    "helper": "verb",
    "helpers": "verb",
    "util": "verb",
    "utils": "verb",
    "info": "view",
}
"""What is not said in a name that we give, and the word of the glossary that is (or that comes closest)."""

ONLY_A_PERSON_IS_TOLD = ("core", "journal", "store", "delivery")


def glossary() -> set[str]:
    text = (HOME / "docs/architecture.md").read_text().partition("## Glossary")[2]
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {word.strip() for row in rows[1:] for word in row.split(",")}


def names_given(tree: ast.Module) -> Iterator[str]:
    """Names of classes, functions, parameters and attributes that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            yield from (a.arg for a in (*node.args.posonlyargs, *node.args.args))
            yield from (a.arg for a in node.args.kwonlyargs)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def words_of(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word.lower() for word in spaced.split("_") if word]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOME)))
def test_no_twin_of_a_word_is_a_name(path: Path) -> None:
    names = {*names_given(ast.parse(path.read_text())), path.stem}
    found = {name for name in names for word in words_of(name) if word in TWINS}
    assert not found, f"say {[TWINS[w] for n in found for w in words_of(n) if w in TWINS]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOME)))
def test_only_a_person_is_told(path: Path) -> None:
    if path.relative_to(HOME / "chatserver").parts[0] in ONLY_A_PERSON_IS_TOLD:
        names = names_given(ast.parse(path.read_text()))
        assert not [name for name in names if "tell" in words_of(name)]


def test_the_glossary_has_every_word_that_is_to_be_said_instead() -> None:
    assert set(TWINS.values()) <= glossary()


@pytest.mark.parametrize(
    "word",
    [
        "admission",
        "answered",
        "audience",
        "bucket",
        "change",
        "clockwork",
        "conversation",
        "cursor",
        "draft",
        "event",
        "follower",
        "generation",
        "hub",
        "journal",
        "kind",
        "mailbox",
        "mend",
        "notice",
        "outlet",
        "presence",
        "pull",
        "reader",
        "reset",
        "seq",
        "signal",
        "snapshot",
        "stage",
        "take",
        "transport",
        "verb",
    ],
)
def test_the_glossary_explains_what_the_rooms_are_built_of(word: str) -> None:
    assert word in {each for entry in glossary() for each in (entry, *entry.split())}


def test_no_docstring_counts_floors() -> None:
    for path in MODULES:
        assert not re.search(r"\bFloor \d", path.read_text()), path


def test_no_twin_is_in_the_documents_either() -> None:
    gone = r"\b(HouseGate|fresh_events|fall_behind|web_base|PollDoor|SqlitePort|pollwire)\b"
    for path in (*(HOME / "docs").rglob("*.md"), HOME / "README.md"):
        assert not re.search(gone, path.read_text()), path
