"""A fault that somebody could make, and how it is planted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


class Misfit(Exception):
    """A row of the table no longer fits the code; the message says how."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: what goes wrong, where, and who should notice.

    `text` stands exactly once in `file`, and `replacement` takes its place. `tests` are paths or node ids, as few
    and as quick as possible.
    """

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


def planted(fault: Fault, source: str) -> str:
    """`source` with the fault in it. Raises `Misfit` where its text is not there exactly once."""
    found = source.count(fault.text)
    if found != 1:
        raise Misfit(f"“{fault.name}”: its text stands {found} times in {fault.file}, not once.")
    return source.replace(fault.text, fault.replacement)


def missing_test(test: str, home: Path) -> str | None:
    """Why there is no such test, by its file and the name of its function; None where there is one."""
    path, _, name = test.partition("::")
    if not (home / path).exists():
        return f"There is no {path}."
    function = name.partition("[")[0]
    if name and not re.search(
        rf"(def {function}\(|^{function} = )", (home / path).read_text(), re.M
    ):
        return f"There is no {function} in {path}."
    return None


def check(faults: tuple[Fault, ...], home: Path) -> None:
    """Raises `Misfit` for the first row that does not fit the checkout at `home`."""
    seen: set[str] = set()
    for fault in faults:
        if fault.name in seen:
            raise Misfit(f"“{fault.name}” is there twice.")
        seen.add(fault.name)
        changed = planted(fault, (home / fault.file).read_text())
        try:
            compile(changed, fault.file, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise Misfit(f"“{fault.name}”: with it {fault.file} is no Python: {error}.") from None
        for test in fault.tests:
            if (missing := missing_test(test, home)) is not None:
                raise Misfit(f"“{fault.name}”: {missing}")
