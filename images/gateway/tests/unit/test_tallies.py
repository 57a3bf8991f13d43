"""What Prometheus reads of a tally is what prometheus_client's own would have said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gateway.tallies import Counts, Times

BOUNDS = (0.001, 0.5, 2, 10)
LABELS = st.tuples(st.sampled_from(["a", 'quo"ted', "new\nline"]), st.sampled_from(["200", "503"]))


def text(registry: CollectorRegistry) -> list[str]:
    return sorted(line for line in generate_latest(registry).decode().splitlines() if "_created" not in line)


@given(st.lists(st.tuples(LABELS, st.integers(0, 10**9))))
def test_counts(values: list[tuple[tuple[str, str], int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts(ours, "answers", "Answers", "route", "status")
    counter = Counter("answers", "Answers", ("route", "status"), registry=theirs)
    for labels, amount in values:
        counts.of(*labels).add(amount)
        counter.labels(*labels).inc(amount)
    assert text(ours) == text(theirs)


@given(st.lists(st.tuples(LABELS, st.floats(0, 100) | st.sampled_from(BOUNDS))))
def test_times(values: list[tuple[tuple[str, str], float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    times = Times(ours, "seconds", "Seconds", "route", "status", bounds=BOUNDS)
    histogram = Histogram("seconds", "Seconds", ("route", "status"), buckets=BOUNDS, registry=theirs)
    for labels, value in values:
        times.of(*labels).add(value)
        histogram.labels(*labels).observe(value)
    assert text(ours) == text(theirs)


def test_one_without_labels_is_there_before_its_first_value() -> None:
    registry = CollectorRegistry()
    Times(registry, "seconds", "Seconds", bounds=BOUNDS).of()
    assert registry.get_sample_value("seconds_count") == 0
    assert registry.get_sample_value("seconds_bucket", {"le": "+Inf"}) == 0


def test_two_of_one_name_are_refused() -> None:
    registry = CollectorRegistry()
    Counts(registry, "answers", "Answers")
    with pytest.raises(ValueError, match="answers"):
        Times(registry, "answers", "Answers", bounds=BOUNDS)
