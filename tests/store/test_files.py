"""The two stores are built alike: who knows one of them finds the same rooms in the other."""

from __future__ import annotations

from pathlib import Path

STORES = Path(__file__).resolve().parents[2] / "chatserver" / "store"


def test_both_stores_have_the_same_files() -> None:
    sqlite, mongo = (
        {path.name for path in (STORES / name).iterdir()} for name in ("sqlite", "mongo")
    )
    assert {each for each in sqlite ^ mongo if not each.startswith("__pycache__")} == set()
    assert "store.py" in sqlite
