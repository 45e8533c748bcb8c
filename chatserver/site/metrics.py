"""What is measured, as Prometheus reads it. One registry an application, none that is global.

What happens often is counted by its owner in plain integers and read when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from chatserver.core.histogram import Histogram

Together = Callable[[Iterable[float]], float]
"""How the numbers of several processes become one: `sum`, `max` or `min`."""

Numbers = dict[str, Any]
"""What one process has counted, by name: numbers by the value of their label, or what a histogram holds. As JSON."""


class Metrics:
    """The numbers of one server, each read from its owner when asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._watched = _Watched()
        self._registry.register(self._watched)

    def gauge(
        self, name: str, help_text: str, read: Callable[[], float], together: Together = sum
    ) -> None:
        """Show `read()` as `chatserver_<name>`."""
        self._watched.add(name, help_text, lambda: {"": read()}, "", together)

    def counter(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show `read()`, which only grows, as `chatserver_<name>_total`."""
        self._watched.add(name, help_text, lambda: {"": read()}, "", None)

    def gauges(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """As `gauge`, one number for each value of `label`."""
        self._watched.add(name, help_text, read, label, sum)

    def counters(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """As `counter`, one number for each value of `label`."""
        self._watched.add(name, help_text, read, label, None)

    def histogram(self, name: str, help_text: str, counted: Histogram) -> None:
        """Show what its owner counts as `chatserver_<name>`."""
        self._watched.add_histogram(name, help_text, counted)

    def numbers(self) -> Numbers:
        """What this process has counted, for another one's page."""
        return self._watched.numbers()

    def page(self, others: Sequence[Numbers] = ()) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its media type; `others` are those of the processes beside this one."""
        self._watched.others = others
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Watched(Collector):
    """Numbers that are read when they are asked for."""

    def __init__(self) -> None:
        self._histograms: list[tuple[str, str, Histogram]] = []
        self._rows: list[_Row] = []
        self.others: Sequence[Numbers] = ()

    def add(
        self,
        name: str,
        help_text: str,
        read: Callable[[], Mapping[str, float]],
        label: str,
        together: Together | None,
    ) -> None:
        self._rows.append(_Row(f"chatserver_{name}", help_text, read, label, together))

    def add_histogram(self, name: str, help_text: str, counted: Histogram) -> None:
        self._histograms.append((f"chatserver_{name}", help_text, counted))

    def collect(self) -> Iterable[Metric]:
        """One family for each number that is watched."""
        everything = [self.numbers(), *self.others]
        for row in self._rows:
            kind = CounterMetricFamily if row.together is None else GaugeMetricFamily
            family = kind(row.name, row.help_text, labels=[row.label] if row.label else [])
            found = [numbers.get(row.name, {}) for numbers in everything]
            for value in dict.fromkeys(value for each in found for value in each):
                number = (row.together or sum)(each[value] for each in found if value in each)
                family.add_metric([value] if row.label else [], number)
            yield family
        for name, help_text, counted in self._histograms:
            bounds = [*map(floatToGoString, counted.bounds), "+Inf"]
            held = [numbers[name] for numbers in everything if name in numbers]
            counts = map(sum, zip(*(each["counts"] for each in held), strict=True))
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            total = sum(each["total"] for each in held)
            yield HistogramMetricFamily(name, help_text, buckets=buckets, sum_value=total)

    def numbers(self) -> Numbers:
        """What this process has counted."""
        found: Numbers = {row.name: dict(row.read()) for row in self._rows}
        for name, _, counted in self._histograms:
            found[name] = {"counts": list(counted.counts), "total": counted.total}
        return found


class _Row(NamedTuple):
    name: str
    help_text: str
    read: Callable[[], Mapping[str, float]]
    label: str
    together: Together | None
    """None: it is a counter."""


def by_transport(transports: Iterable[str], always: Iterable[str]) -> Mapping[str, float]:
    """How many there are of each; those of `always` even where there is none."""
    counts: Counter[str] = Counter(transports)
    return {name: counts[name] for name in (*always, *(set(counts) - set(always)))}
