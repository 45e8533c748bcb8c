"""Of which Python `scripts/_environment` makes `.venv`."""

import os
import subprocess
from pathlib import Path

HOME = Path(__file__).parents[2]
SYSTEM = "/usr/bin/python3"


def chosen(python3: str, folder: Path, **environment: str) -> str:
    """What is chosen where `python3` on the path answers with `python3`, a shell script."""
    script = folder / "python3"
    script.write_text(f"#!/bin/sh\n{python3}\n")
    script.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    asked = ["sh", "-c", ". scripts/_environment; interpreter", "scripts/serve"]
    ended = subprocess.run(
        asked,
        cwd=HOME,
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return ended.stdout.strip()


def system_can_be() -> bool:
    asked = ["sh", "-c", f'. scripts/_environment; {SYSTEM} -c "$CAN_BE"', "scripts/serve"]
    ended = subprocess.run(asked, cwd=HOME, capture_output=True, timeout=20, check=False)
    return ended.returncode == 0


def test_a_python_that_was_optimised_is_kept(tmp_path: Path) -> None:
    assert chosen("exit 0", tmp_path) == "python3"


def test_one_that_was_not_gives_way_to_the_systems_where_that_can_be(tmp_path: Path) -> None:
    assert chosen("exit 1", tmp_path) == (SYSTEM if system_can_be() else "python3")


def test_one_that_was_asked_for_is_taken_whatever_it_is(tmp_path: Path) -> None:
    assert chosen("exit 1", tmp_path, PYTHON="/opt/my/python") == "/opt/my/python"


def test_the_first_look_asks_how_a_python_was_built(tmp_path: Path) -> None:
    """The script on the path notes what it was asked."""
    chosen(f'echo "$2" > {tmp_path}/asked; exit 0', tmp_path)

    assert "--enable-optimizations" in (tmp_path / "asked").read_text()
