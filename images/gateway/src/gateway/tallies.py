"""Counts and times of what every answer passes, given to Prometheus when it asks.

prometheus_client's own take a lock and walk their buckets for each value: for the dozen values of a cached answer that was a
fifteenth of its time. One thread at a time may add to a tally; all may read it.
"""

from __future__ import annotations

import typing as t
from bisect import bisect_left
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ("Counts", "Times")


class Count:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        self.value += amount


class Time:
    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """How many values each bucket and those before it hold, and the sum of all."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True)), self._sum


class Counts(Collector):
    """A counter for each combination of its labels' values."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, *labels: str) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._of: dict[tuple[str, ...], Count] = {}
        registry.register(self)

    def of(self, *values: str) -> Count:
        return self._of.get(values) or self._of.setdefault(values, Count())

    def describe(self) -> Iterator[Metric]:
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for values, count in list(self._of.items()):
            family.add_metric(values, count.value)
        yield family

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._name, self._text, labels=self._labels)


class Times(Collector):
    """A histogram for each combination of its labels' values."""

    def __init__(
        self, registry: CollectorRegistry, name: str, text: str, *labels: str, bounds: Sequence[float]
    ) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._bounds = bounds
        self._of: dict[tuple[str, ...], Time] = {}
        registry.register(self)

    def of(self, *values: str) -> Time:
        return self._of.get(values) or self._of.setdefault(values, Time(self._bounds))

    def describe(self) -> Iterator[Metric]:
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for values, time in list(self._of.items()):
            family.add_metric(values, *time.read())
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._text, labels=self._labels)
