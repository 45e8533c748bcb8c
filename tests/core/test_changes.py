"""A change is read as it was recorded, and says about whom others may decide at the same time."""

from __future__ import annotations

from typing import get_args

import orjson
import pytest

from chatserver.core.changes import (
    AccountEnd,
    BlockChange,
    Change,
    FriendChange,
    LoginsEnd,
    PasswordChange,
    ProfileChange,
    ReadChange,
    change_of,
    record_of,
    subject_of,
)
from chatserver.core.conversations import BROADCASTS, Direct

EVERY: list[tuple[Change, tuple[str, ...] | None]] = [
    (FriendChange("bob", "ann", "none", True), ("ann", "bob")),
    (BlockChange("bob", "ann", False), ("ann", "bob")),
    (ProfileChange("ann", "Ann", "", "#112233"), ("ann",)),
    (ReadChange("ann", BROADCASTS, 5), None),
    (ReadChange("ann", Direct("bob"), 5), None),
    (LoginsEnd("ann", ("one", "two")), None),
    (PasswordChange("ann", "$argon2id$", None), ("ann",)),
    (AccountEnd("ann"), ("ann",)),
]


@pytest.mark.parametrize(("change", "about"), EVERY, ids=lambda each: type(each).__name__)
def test_a_change_is_read_as_it_was_recorded(change: Change, about: tuple[str, ...] | None) -> None:
    assert change_of(orjson.loads(orjson.dumps(record_of(change)))) == change
    assert subject_of(change) == about


def test_every_kind_of_change_is_tried_and_none_is_none() -> None:
    assert {type(change) for change, _ in EVERY} == set(get_args(Change))
    assert [record_of(None), change_of(None), subject_of(None)] == [None, None, None]
