"""A reader's life is a table of stages with one way from each to the next."""

from __future__ import annotations

import importlib
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from chatserver.core.events import Event, Signal
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import Login
from chatserver.delivery.delivery import Delivery
from chatserver.transports import reader as rules
from chatserver.transports.reader import STAGES, Reader, Stage

TRANSPORTS = Path(rules.__file__).parent
WAYS_IN = ("handshake", "sse", "longpoll")


class Plain(Reader):
    """A reader that does nothing of its own."""

    transport = "plain"
    is_stream = True

    def take(self, run: list[Event], before: int) -> bool:
        return False

    def flush(self) -> None: ...

    def end(self, ending: Any) -> None: ...

    def visit(self, now_s: float) -> float | None:
        return None


def plain() -> Plain:
    login = Login("l", "ann", "token", "", None, 0, None, 0)
    return Plain(cast(Delivery, None), login, Mailbox("ann", 0, {}, 10, 10**6), "")


@pytest.mark.parametrize(("stage", "following"), list(product(Stage, Stage)))
def test_a_reader_goes_on_only_as_the_table_says(stage: Stage, following: Stage) -> None:
    reader = plain()
    reader.stage = stage
    if following in STAGES[stage]:
        reader.enter(following)
        assert reader.stage is following
    else:
        with pytest.raises(RuntimeError, match=f"{stage.value} cannot become {following.value}"):
            reader.enter(following)


def test_every_stage_leads_to_the_end_and_nothing_leads_back_from_it() -> None:
    assert set(STAGES) == set(Stage)
    assert all(Stage.ENDED in STAGES[stage] for stage in Stage if stage is not Stage.ENDED)
    assert not STAGES[Stage.ENDED]


def test_of_signals_only_the_newest_about_somebody_waits_and_few_in_all() -> None:
    reader = plain()
    for n in range(3):
        reader.offer(Signal("typing", "bob", b"%d" % n))
    assert [one.payload for one in reader.take_signals()] == [b"2"]
    for n in range(rules.SIGNALS_KEPT + 5):
        reader.offer(Signal("presence", f"u{n}", b""))
    waiting = reader.take_signals()
    assert len(waiting) == rules.SIGNALS_KEPT
    assert waiting[0].about == "u5", "the oldest go"
    assert reader.take_signals() == []


@pytest.mark.parametrize("name", WAYS_IN)
def test_each_way_in_says_its_own_addresses(name: str) -> None:
    module = importlib.import_module(f"chatserver.transports.{name}")
    assert callable(module.routes)
