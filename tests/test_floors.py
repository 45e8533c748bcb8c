"""The house keeps its floors: a module imports its own floor and those below, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "chatserver"

FLOORS = {
    "core": 0,
    "store": 1,
    "journal": 1,
    "keys": 2,
    "sessions": 2,
    "service": 2,
    "friendships": 2,
    "accounts": 2,
    "attendance": 2,
    "delivery": 2,
    "migrate": 2,
    "transports": 3,
    "lab": 4,
    "gate": 3,
    "web_base": 3,
    "api": 4,
    "pages": 4,
    "metrics": 3,
    "front": 4,
    "app": 4,
    "server": 4,
    "settings": 1,
    "demo": 5,
    "parts": 5,
    "cli": 5,
    "__main__": 5,
}

ONLY_IN = {
    "sqlite3": ("store/sqlite",),
    "motor": ("store/mongo",),
    "pymongo": ("store/mongo",),
    "bson": ("store/mongo",),
    "nats": ("journal/jetstream",),
    "cryptography": ("keys", "sessions", "passwords"),
    "prometheus_client": ("metrics",),
}

IMPURE = {"asyncio", "tornado", "time", "random", "os", "secrets", "socket", "threading", "pathlib"}

MODULES = sorted(
    str(path.relative_to(PACKAGE).with_suffix(""))
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
)


def imports(module: str) -> set[str]:
    """Everything that a module imports, as dotted names."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
            assert node.level == 0, f"{module}: relative import"
    return names


def floor(module: str) -> int:
    return FLOORS[module.split("/")[0]]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_floor_and_those_below(module: str) -> None:
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "chatserver" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS[parts[1]] <= floor(module), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_used_in_the_one_place_that_needs_it(module: str) -> None:
    for name in imports(module):
        root = name.split(".")[0]
        if root in ONLY_IN:
            assert module.startswith(ONLY_IN[root]), f"{module} imports {root}"
        if root == "tornado":
            assert floor(module) in (3, 4), f"{module} imports tornado"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("core/")])
def test_the_core_is_pure(module: str) -> None:
    for name in imports(module):
        root = name.split(".")[0]
        assert root not in IMPURE, f"{module} imports {root}"


def test_service_and_delivery_know_only_the_contracts_of_store_and_journal() -> None:
    for module in ("service", "friendships", "accounts", "delivery", "sessions"):
        for name in imports(module):
            if name.startswith(("chatserver.store", "chatserver.journal")):
                assert ".base" in name, f"{module} imports {name}"


def test_transports_never_see_the_store() -> None:
    for module in (m for m in MODULES if m.startswith("transports/")):
        for name in imports(module):
            # The shapes of a user and a login are no store.
            if name.startswith("chatserver.store"):
                assert name in ("chatserver.store.base.Login", "chatserver.store.base.User"), name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_can_be_held_in_mind(module: str) -> None:
    lines = len((PACKAGE / f"{module}.py").read_text().splitlines())
    assert lines <= 450, f"{module} has {lines} lines"
