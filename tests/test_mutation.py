"""The table of planted faults fits the code: it cannot rot unseen. `scripts/mutate` plants them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.mutation.__main__ import chosen, report
from scripts.mutation.fault import Fault, Misfit, check, planted
from scripts.mutation.faults import FAULTS
from scripts.mutation.kept import Kept
from scripts.mutation.trial import COPIED, FILES, Copy, Verdict

HOME = Path(__file__).parent.parent


def test_every_text_stands_once_where_it_should_and_every_test_exists() -> None:
    check(FAULTS, HOME)


def test_there_are_forty_faults_at_least_on_every_floor_some() -> None:
    assert len(FAULTS) >= 40
    floors = {fault.file.split("/")[1] for fault in FAULTS}
    assert floors >= {"core", "journal", "store", "delivery", "http", "transports", "verbs", "site"}


def fault(text: str = "x", tests: tuple[str, ...] = ("setup.cfg",)) -> Fault:
    return Fault("a fault", "chatserver/core/bounded.py", text, "y", tests)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (fault("never there"), "0 times"),
        (fault("import"), "times"),
        (fault("class Bounded"), "no Python"),
        (fault("entries_max: int", ("tests/none.py",)), "no tests/none.py"),
        (fault("entries_max: int", ("tests/test_mutation.py::test_none",)), "no test_none"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_a_sentence(row: Fault, says: str) -> None:
    with pytest.raises(Misfit, match=says):
        check((row,), HOME)


def test_the_same_name_twice_is_refused() -> None:
    with pytest.raises(Misfit, match="twice"):
        check((FAULTS[0], FAULTS[0]), HOME)


def test_a_fault_changes_its_text_and_nothing_else() -> None:
    assert planted(fault("b"), "abc") == "ayc"


def test_faults_are_chosen_by_a_part_of_name_or_file() -> None:
    assert chosen("") == FAULTS
    assert {one.file for one in chosen("core/hub")} == {"chatserver/core/hub.py"}
    assert chosen("Clientid")


def test_what_survived_is_told_apart() -> None:
    assert report(Verdict(fault(), None, 1.0)).startswith("SURVIVED")
    assert report(Verdict(fault(), "tests/x.py::test_y", 1.0)).startswith("noticed")
    assert report(Verdict(fault(), None, 1.0, "no such option")).startswith("BROKEN")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with one rule and its test."""
    for name in COPIED:
        (tmp_path / "home" / name).mkdir(parents=True)
    for name in FILES:
        shutil.copy(HOME / name, tmp_path / "home" / name)
    home = tmp_path / "home"
    shutil.copytree(HOME / "scripts/mutation", home / "scripts/mutation")
    (home / "chatserver/rule.py").write_text("def double(n):\n    return n * 2\n")
    test = "from chatserver.rule import double\n\ndef test_double():\n    assert double(3) == 6\n"
    (home / "tests/test_rule.py").write_text(test)
    return home


RULE = Fault("no rule", "chatserver/rule.py", "n * 2", "n", ("tests/test_rule.py",))


def test_a_fault_is_noticed_or_survives_and_is_taken_out_again(small: Path) -> None:
    copy = Copy(small, small.parent / "copy")
    try:
        assert copy.red(RULE.tests) == ()
        noticed = copy.try_out(RULE)
        assert (noticed.noticed_by, noticed.trouble) == ("tests/test_rule.py::test_double", "")
        survived = copy.try_out(replace(RULE, replacement="n + n"))
        assert (survived.noticed_by, survived.trouble) == (None, "")
        assert (copy.folder / RULE.file).read_text() == (small / RULE.file).read_text()
    finally:
        copy.close()


def test_what_was_noticed_is_kept_until_the_file_or_the_test_changes(small: Path) -> None:
    path = small / ".cache/mutation.json"
    Kept(small, path).keep([(RULE, "tests/test_rule.py::test_double")])
    assert Kept(small, path).noticed_by(RULE) == "tests/test_rule.py::test_double"
    assert Kept(small, path).noticed_by(replace(RULE, replacement="1")) is None
    (small / "tests/test_rule.py").write_text("def test_double():\n    pass\n")
    assert Kept(small, path).noticed_by(RULE) is None
