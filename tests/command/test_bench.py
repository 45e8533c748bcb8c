"""What the benchmark says of another checkout."""

from scripts.benchmark.bench import by_traffic
from scripts.benchmark.cases import BESIDE, CASES
from scripts.benchmark.figures import Figure, Row
from scripts.benchmark.ours import OURS


def row(name: str, cpu_us: float) -> Row:
    return Row(name, "", {"cpu_us": Figure.of([cpu_us])})


def test_each_traffic_has_this_version_and_the_other_right_under_it_with_their_ratio() -> None:
    rows = {
        "few": [row(OURS, 10.0), row("the other", 20.0)],
        "many": [row(OURS, 3.0), row("the other", 2.0)],
    }
    found = [(each.name, each.figures["ratio"].median) for each in by_traffic(rows)]
    assert found == [("few", 1.0), ("few: the other", 0.5), ("many", 1.0), ("many: the other", 1.5)]


def test_cases_beside_another_version_are_cases() -> None:
    assert set(BESIDE) <= set(CASES)
