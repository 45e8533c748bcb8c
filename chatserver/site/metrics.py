"""What is measured, as Prometheus reads it. One registry an application, none that is global.

What happens often is counted by its owner in plain integers and read when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

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


class Metrics:
    """The numbers of one server, each read from its owner when asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._watched = _Watched()
        self._registry.register(self._watched)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show `read()` as `chatserver_<name>`."""
        self._watched.add(name, help_text, lambda: {"": read()}, "", counts=False)

    def counter(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show `read()`, which only grows, as `chatserver_<name>_total`."""
        self._watched.add(name, help_text, lambda: {"": read()}, "", counts=True)

    def gauges(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """As `gauge`, one number for each value of `label`."""
        self._watched.add(name, help_text, read, label, counts=False)

    def counters(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """As `counter`, one number for each value of `label`."""
        self._watched.add(name, help_text, read, label, counts=True)

    def histogram(self, name: str, help_text: str, counted: Histogram) -> None:
        """Show what its owner counts as `chatserver_<name>`."""
        self._watched.add_histogram(name, help_text, counted)

    def page(self) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Watched(Collector):
    """Numbers that are read when they are asked for."""

    def __init__(self) -> None:
        self._histograms: list[tuple[str, str, Histogram]] = []
        self._rows: list[tuple[str, str, Callable[[], Mapping[str, float]], str, bool]] = []

    def add(
        self,
        name: str,
        help_text: str,
        read: Callable[[], Mapping[str, float]],
        label: str,
        counts: bool,
    ) -> None:
        self._rows.append((f"chatserver_{name}", help_text, read, label, counts))

    def add_histogram(self, name: str, help_text: str, counted: Histogram) -> None:
        self._histograms.append((f"chatserver_{name}", help_text, counted))

    def collect(self) -> Iterable[Metric]:
        """One family for each number that is watched."""
        for name, help_text, read, label, counts in self._rows:
            kind = CounterMetricFamily if counts else GaugeMetricFamily
            family = kind(name, help_text, labels=[label] if label else [])
            for value, number in read().items():
                family.add_metric([value] if label else [], number)
            yield family
        for name, help_text, counted in self._histograms:
            bounds = [*map(floatToGoString, counted.bounds), "+Inf"]
            buckets = list(zip(bounds, accumulate(counted.counts), strict=True))
            yield HistogramMetricFamily(name, help_text, buckets=buckets, sum_value=counted.total)


def by_transport(transports: Iterable[str], always: Iterable[str]) -> Mapping[str, float]:
    """How many there are of each; those of `always` even where there is none."""
    counts: Counter[str] = Counter(transports)
    return {name: counts[name] for name in (*always, *(set(counts) - set(always)))}
