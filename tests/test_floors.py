"""The house keeps its floors: a folder imports its own floor and those above it in one list."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "chatserver"

FLOORS = ["core", "journal", "store", "verbs", "delivery", "http", "transports", "site", "command"]
"""In order: each may import itself and what stands before it."""

ONLY_IN = {
    "sqlite3": ("store/sqlite/",),
    "motor": ("store/mongo/",),
    "pymongo": ("store/mongo/",),
    "bson": ("store/mongo/",),
    "nats": ("journal/",),
    "cryptography": ("verbs/keys", "verbs/webpush"),
    "socketio": ("transports/socketio",),
    "prometheus_client": ("site/metrics",),
    "tornado": ("http/", "transports/", "site/"),
}

IMPURE = {"asyncio", "time", "random", "os", "secrets", "socket", "threading", "pathlib"}

LINES_MAX = 400
FUNCTION_LINES_MAX = 40

MODULES = sorted(
    str(path.relative_to(PACKAGE).with_suffix(""))
    for path in PACKAGE.rglob("*.py")
    if "/" in str(path.relative_to(PACKAGE))
)


@cache
def parse(module: str) -> ast.Module:
    """Read once for all that is asked of it."""
    return ast.parse((PACKAGE / f"{module}.py").read_text())


@cache
def imports(module: str) -> frozenset[str]:
    """Everything that a module imports, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and node.level == 0, f"{module}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def floor(module: str) -> int:
    return FLOORS.index(module.split("/")[0])


def test_the_floors_are_the_folders() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - {"web"} == set(FLOORS)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_floor_and_those_before_it(module: str) -> None:
    for name in imports(module):
        root, _, rest = name.partition(".")
        if root == "chatserver" and rest.split(".")[0] in FLOORS:
            assert FLOORS.index(rest.split(".")[0]) <= floor(module), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_used_in_the_one_place_that_needs_it(module: str) -> None:
    for name in imports(module):
        root = name.split(".")[0]
        if root in ONLY_IN:
            assert module.startswith(ONLY_IN[root]), f"{module} imports {root}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("core/")])
def test_the_core_is_pure(module: str) -> None:
    for name in imports(module):
        root = name.split(".")[0]
        assert root not in IMPURE, f"{module} imports {root}"


@pytest.mark.parametrize("module", [m for m in MODULES if m != "command/build"])
def test_only_one_file_picks_a_backend(module: str) -> None:
    backends = ("chatserver.store.sqlite", "chatserver.store.mongo", "chatserver.journal.local")
    home = module.replace("/", ".").rpartition(".")[0]
    for name in imports(module):
        if name.startswith(backends):
            assert name.startswith(f"chatserver.{home}"), f"{module} imports {name}"


def test_both_stores_have_the_same_rooms() -> None:
    sqlite, mongo = (
        {path.name for path in (PACKAGE / "store" / name).glob("*.py")}
        for name in ("sqlite", "mongo")
    )
    assert sqlite == mongo


@pytest.mark.parametrize("module", MODULES)
def test_a_module_can_be_held_in_mind(module: str) -> None:
    lines = len((PACKAGE / f"{module}.py").read_text().splitlines())
    assert lines <= LINES_MAX, f"{module} has {lines} lines"
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{module}: {node.name} has {length} lines"
