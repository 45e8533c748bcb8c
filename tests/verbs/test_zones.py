"""Time zones: what an account may choose, and what time it is there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from chatserver.core.errors import InvalidField, Unavailable
from chatserver.verbs import zones
from chatserver.verbs.zones import COMMON, local_time, zone
from tests.verbs.test_accounts import opened, person


def test_what_is_offered_can_be_chosen_and_so_can_none() -> None:
    assert [zone(each) for each in ("", *COMMON)] == ["", *COMMON]


@pytest.mark.parametrize(
    "name", [None, 1, "Asia/Nowhere", "Asia", "../UTC", "/etc/passwd", "UTC\0", "A" * 300, "a/" * 9]
)
def test_what_is_no_zone_is_refused(name: object) -> None:
    with pytest.raises(InvalidField) as refused:
        zone(name)
    assert refused.value.field == "zone"


@pytest.mark.parametrize(
    ("name", "clock"),
    [("", "12:00"), ("Asia/Kolkata", "17:30"), ("Gone/Since", "12:00"), ("Asia", "12:00")],
)
def test_the_time_is_that_of_the_zone_and_of_utc_where_there_is_none_any_more(
    name: str, clock: str
) -> None:
    assert f"{local_time(12 * 3_600_000, name):%H:%M}" == clock


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
def test_a_zone_that_could_not_be_read_once_is_there_again_later(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It used to be remembered as none: until a restart, everybody in it was shown the time of UTC."""
    name = f"Etc/GMT+{1 + (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO).index(number)}"

    def fail(name: str) -> ZoneInfo:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(zones, "ZoneInfo", fail)
        for ask in (lambda: zone(name), lambda: local_time(0, name)):
            with pytest.raises(Unavailable):
                ask()
    assert zone(name) == name
    assert local_time(0, name).utcoffset()


async def test_a_zone_is_kept_with_the_account_and_changes_nothing_else(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        before = await house.accounts.me(ann.id)
        assert before["zone"] == ""
        place = house.journal.head_seq
        for name in ("Asia/Tokyo", "Asia/Tokyo", ""):
            changed = await house.accounts.change(login, {"zone": name})
            assert changed == await house.accounts.me(ann.id) == {**before, "zone": name}
        with pytest.raises(InvalidField):
            await house.accounts.change(login, {"zone": "Asia/Nowhere"})
        assert house.journal.head_seq == place, "it is nobody else's news"
