"""Counts and times of what every answer passes, given to Prometheus when it asks.

prometheus_client's own take a lock and walk their buckets for each value: for the dozen values of a cached answer that was a
fifteenth of its time. One thread at a time may add to a tally; all may read it.
"""

from __future__ import annotations

import functools
import typing as t
from bisect import bisect_left
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ("Counts", "Times")


class Count:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        self.value += amount

    def read(self) -> tuple[float]:
        return (self.value,)


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


T = t.TypeVar("T", bound=Count | Time)


class _Tallies(Collector, t.Generic[T]):
    """One for each combination of the labels' values."""

    def __init__(self, registry: CollectorRegistry, make: Callable[[], T], family: Callable[[], t.Any]) -> None:
        self._make = make
        self._family = family
        self._of: dict[tuple[str, ...], T] = {}
        registry.register(self)

    def of(self, *values: str) -> T:
        return self._of.get(values) or self._of.setdefault(values, self._make())

    def describe(self) -> Iterator[Metric]:
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for values, tally in list(self._of.items()):
            family.add_metric(values, *tally.read())
        yield family


class Counts(_Tallies[Count]):
    """Counters."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, *labels: str) -> None:
        super().__init__(registry, Count, functools.partial(CounterMetricFamily, name, text, labels=labels))


class Times(_Tallies[Time]):
    """Histograms."""

    def __init__(
        self, registry: CollectorRegistry, name: str, text: str, *labels: str, bounds: Sequence[float]
    ) -> None:
        family = functools.partial(HistogramMetricFamily, name, text, labels=labels)
        super().__init__(registry, functools.partial(Time, bounds), family)
