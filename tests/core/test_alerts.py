"""What an account wishes of being called: what is given is taken, the rest stays, and a night may reach over midnight."""

from __future__ import annotations

import pytest

from chatserver.core.alerts import MUTED_MAX, Wishes, wishes_of
from chatserver.core.errors import InvalidField


def test_what_is_given_is_taken_and_the_rest_stays() -> None:
    first = wishes_of(
        {"text": True, "quietFrom": 1320, "quietTo": 420, "muted": ["bob", "", "bob"]}
    )
    assert first == Wishes(True, 1320, 420, "", ("bob", ""))
    later = wishes_of({"text": None, "zone": "Europe/Berlin"}, first)
    assert later == Wishes(True, 1320, 420, "Europe/Berlin", ("bob", ""))
    assert wishes_of(later.as_fields()) == later


@pytest.mark.parametrize(
    ("begins", "ends", "quiet", "loud"),
    [
        (1320, 420, [1320, 1439, 0, 419], [420, 1319]),
        (60, 120, [60, 119], [59, 120]),
        (0, 0, [], [0, 719]),
    ],
)
def test_a_quiet_time_may_reach_over_midnight(
    begins: int, ends: int, quiet: list[int], loud: list[int]
) -> None:
    wishes = Wishes(quiet_from=begins, quiet_to=ends)
    assert all(map(wishes.is_quiet, quiet)) and not any(map(wishes.is_quiet, loud))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"text": 1}, "text"),
        ({"quietFrom": 1440}, "quietFrom"),
        ({"quietTo": -1}, "quietTo"),
        ({"zone": 5}, "zone"),
        ({"zone": "x" * 10_000}, "zone"),
        ({"muted": "bob"}, "muted"),
        ({"muted": ["a"] * (MUTED_MAX + 1)}, "muted"),
        ({"muted": [7]}, "muted"),
    ],
)
def test_what_makes_no_sense_is_named(fields: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidField) as refused:
        wishes_of(fields)
    assert refused.value.problem()["field"] == name
