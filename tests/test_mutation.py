"""The table of planted faults fits the code: it cannot rot unseen. `scripts/mutate` plants them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.mutation.__main__ import chosen, report
from scripts.mutation.fault import Fault, Misfit, check, planted
from scripts.mutation.faults import FAULTS
from scripts.mutation.trial import Verdict

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
