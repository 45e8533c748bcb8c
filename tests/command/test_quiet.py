"""One rule for the whole log: one line when it begins, a count a second, one line when it is over."""

from __future__ import annotations

import io
import logging

from chatserver.command.quiet import KINDS, OVER_AFTER_S, QuietHandler


class Log:
    """A logger on the handler, with a clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.stream = io.StringIO()
        self.handler = QuietHandler(self.stream, lambda: self.now_s)
        self.handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.log = logging.Logger("test", logging.DEBUG)
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def test_an_outage_of_a_hundred_seconds_is_a_hundred_lines_and_not_a_line_for_each_refusal() -> (
    None
):
    it = Log()
    for _ in range(100):
        for _ in range(76):
            it.log.warning("%s %s %d", "GET", "/poll", 503)
            it.now_s += 1 / 76
        it.handler.settle()
    it.now_s += OVER_AFTER_S
    it.handler.settle()
    assert it.lines[0] == "WARNING test: GET /poll 503"
    assert "WARNING test: GET /poll 503 (76 times like this)" in it.lines
    assert it.lines[-1] == "WARNING test: over: 7600 times in 100 s: GET /poll 503"
    assert len(it.lines) <= 102
    counted = sum(int(line.split("(")[1].split()[0]) for line in it.lines[1:-1])
    assert abs(counted - 7599) <= 76, "none is lost but those that the last line counts"


def test_what_happens_once_is_one_line_at_once_and_never_called_over() -> None:
    it = Log()
    it.log.error("once %d", 1)
    assert it.lines == ["ERROR test: once 1"]
    it.now_s += OVER_AFTER_S
    it.handler.settle()
    assert it.lines == ["ERROR test: once 1"]


def test_a_second_of_its_kind_is_not_lost() -> None:
    it = Log()
    it.log.error("%s went wrong", "this")
    it.log.error("%s went wrong", "that")
    assert it.lines == ["ERROR test: this went wrong"]
    it.now_s += 1
    it.handler.settle()
    assert it.lines[1:] == ["ERROR test: that went wrong"]


def test_after_it_is_over_it_begins_anew() -> None:
    it = Log()
    for _ in range(2):
        it.log.error("down")
        it.now_s += OVER_AFTER_S
        it.handler.settle()
    assert it.lines == ["ERROR test: down"] * 2


def test_other_lines_are_not_held_back_by_an_outage() -> None:
    it = Log()
    it.log.warning("%d refused", 1)
    it.log.warning("%d refused", 2)
    it.log.info("%d refused", 2)
    it.log.warning("something else")
    assert len(it.lines) == 3


def test_two_mistakes_of_ours_are_two_kinds_and_a_repeat_is_not_written_with_its_trace_again() -> (
    None
):
    it = Log()
    for wrong in ("int('x')", "{}['x']", "int('y')"):
        try:
            eval(wrong)
        except Exception:
            it.log.exception("%s failed", "GET")
    assert it.stream.getvalue().count("Traceback") == 2
    it.now_s += 1
    it.handler.settle()
    assert it.stream.getvalue().count("Traceback") == 2


def test_lines_for_debugging_are_written_as_they_come() -> None:
    it = Log()
    for _ in range(5):
        it.log.debug("again")
    assert len(it.lines) == 5


def test_the_kinds_that_are_counted_are_bounded() -> None:
    it = Log()
    for number in range(KINDS * 2):
        it.log.error(f"kind {number} %s", "x")
    assert len(it.handler._stories) == KINDS


def test_what_has_happened_to_somebody_is_not_counted_away() -> None:
    it = Log()
    for name in ("ann", "bob", "ann"):
        it.log.info("registered %s", name)
    assert it.lines == ["INFO test: registered ann", "INFO test: registered bob"]
