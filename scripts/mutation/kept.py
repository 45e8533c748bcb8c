"""What earlier runs found, kept in `.cache`: a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from pathlib import Path

from scripts.mutation.fault import Fault


def _digest(parts: Iterable[str | bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
        found.update(b"\0")
    return found.hexdigest()


class Kept:
    """Who noticed which fault, as long as the fault, the file it is planted in and the tests stay as they were."""

    def __init__(self, home: Path, path: Path) -> None:
        self._home = home
        self._path = path
        self._lock = threading.Lock()
        self._keys: dict[Fault, str] = {}
        sources = sorted((home / "chatserver").rglob("*.py"))
        self._tree = _digest(source.read_bytes() for source in sources)
        self._noticed: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def forget(self) -> None:
        """Try everything anew."""
        self._noticed.clear()

    def noticed_by(self, fault: Fault) -> str | None:
        """The test that noticed `fault`; None where that is not known."""
        return self._noticed.get(self._key(fault))

    def keep(self, found: Iterable[tuple[Fault, str]]) -> None:
        """Remember which test noticed which fault, also over a crash."""
        with self._lock:
            self._noticed.update((self._key(fault), by) for fault, by in found)
            self._path.parent.mkdir(exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self._noticed, indent=0))
            new.replace(self._path)

    def green(self, test: str) -> Fault:
        """A row that stands for `test` without any fault: that it is green is kept like a verdict."""
        return Fault("", "setup.cfg", self._tree, "", (test,))

    def _key(self, fault: Fault) -> str:
        """As the files are when it is first asked for: they may be edited while the faults are tried."""
        if fault not in self._keys:
            self._keys[fault] = self._digest_of(fault)
        return self._keys[fault]

    def _digest_of(self, fault: Fault) -> str:
        files = sorted({test.partition("::")[0] for test in fault.tests} | {fault.file})
        texts = [p.read_bytes() for p in (self._home / name for name in files) if p.is_file()]
        return _digest([fault.file, fault.text, fault.replacement, *fault.tests, *texts])
