"""The guard of the benchmark: what costs more than a tenth more than it did is told, and nothing else."""

from __future__ import annotations

import json

from scripts.benchmark.guard import CASES, KEPT, instructions, judge


def test_a_tenth_more_is_told_and_less_is_not() -> None:
    kept = {"a": 1000, "b": 1000, "c": 1000}
    assert judge(kept, {"a": 1101, "b": 1100, "c": 500}) == ["a: 1,101 instructions, 1.10 of 1,000"]


def test_what_nothing_is_kept_of_is_told() -> None:
    assert judge({}, {"new": 7}) == ["new: 7 instructions, and nothing is kept to compare with"]


def test_the_count_is_read_of_what_callgrind_writes() -> None:
    dump = "version: 1\nevents: Ir\nsummary: 216316263\n\nfn=(1) main\n1 5\n\ntotals: 216316263\n"
    assert instructions(dump) == 216_316_263


def test_each_case_has_a_figure_that_is_kept() -> None:
    for cases in json.loads(KEPT.read_text()).values():
        assert cases.keys() == CASES.keys()
