"""Refusals say what clients rely on, and endings whether to come back."""

from __future__ import annotations

import pytest

from chatserver.core import errors
from chatserver.core.errors import ChatError, Ending, InvalidField, RateLimited, Unavailable

ENDINGS = [each for each in vars(errors).values() if isinstance(each, Ending)]


@pytest.mark.parametrize(
    "kind", [kind for kind in ChatError.__subclasses__() if not kind.__name__.startswith("_")]
)
def test_a_refusal_is_a_problem_with_code_status_and_detail(kind: type[ChatError]) -> None:
    error = InvalidField("text", "No.") if kind is InvalidField else kind("No.")
    problem = error.problem()
    assert problem["type"] == "about:blank"
    assert (problem["status"], problem["code"]) == (kind.status, kind.code)
    assert problem["detail"] == "No." and problem["title"] == error.title != ""
    assert (problem.get("field") == "text") == (kind is InvalidField)


@pytest.mark.parametrize(("wait_s", "told"), [(0.01, 1), (1.0, 1), (1.2, 2), (60.0, 60)])
def test_when_to_come_back_is_whole_seconds_and_never_too_early(wait_s: float, told: int) -> None:
    assert RateLimited("No.", wait_s).problem()["retryAfter"] == told
    assert Unavailable("No.", wait_s).problem()["retryAfter"] == told


def test_only_refusals_that_end_by_themselves_say_when() -> None:
    assert "retryAfter" not in errors.Forbidden("No.").problem()
    assert Unavailable("No.").problem()["retryAfter"] == 1


def test_a_close_code_says_whether_to_come_back() -> None:
    assert ENDINGS
    for ending in ENDINGS:
        if 4001 <= ending.close_code <= 4499:
            assert ending.retry
        elif ending.close_code == 4000 or ending.close_code >= 4500:
            assert not ending.retry
