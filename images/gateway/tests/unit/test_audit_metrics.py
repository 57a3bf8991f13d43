"""The figures, against scikit-learn on the single rows and against Fairlearn's own bootstrap."""

from __future__ import annotations

import math

import fairlearn.metrics as fm
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.metrics import BASES, MAX_GROUPS, RATES, compare_groups
from gateway.audit.table import Counts

FIELDS = ("true_positive", "false_positive", "true_negative", "false_negative", "open_positive", "open_negative")
CELL = st.integers(min_value=0, max_value=60)
# each example asks Fairlearn and scikit-learn dozens of times
SOME = settings(max_examples=12, deadline=None)
GROUPS = st.lists(st.tuples(*[CELL] * len(FIELDS)), min_size=1, max_size=5).map(
    lambda cells: [
        Counts(f"g{index}", **dict(zip(FIELDS, cell, strict=True))) for index, cell in enumerate(cells) if sum(cell)
    ]
)


def rows_of(counts: list[Counts], *, open_too: bool) -> tuple[list[int], list[int], list[str]]:
    """The single decisions that counts stand for."""
    truth, predicted, names = [], [], []
    cells = [("true_positive", 1, 1), ("false_positive", 0, 1), ("true_negative", 0, 0), ("false_negative", 1, 0)]
    cells += [("open_positive", 0, 1), ("open_negative", 0, 0)] if open_too else []
    for group in counts:
        for field, true, guess in cells:
            number = getattr(group, field)
            truth += [true] * number
            predicted += [guess] * number
            names += [group.group] * number
    return truth, predicted, names


@SOME
@given(GROUPS)
def test_rates_are_those_of_scikit_learn(counts: list[Counts]) -> None:
    found = compare_groups("sex", counts, missing=0, minimum_group=1, seed=1, samples=20)
    for group, rates in zip(counts, found.groups, strict=True):
        truth, predicted, _ = rows_of([group], open_too=False)
        tn, fp, fn, tp = sklearn.metrics.confusion_matrix(truth, predicted, labels=[0, 1]).ravel() if truth else [0] * 4
        expected = {
            "selection_rate": float(np.mean(rows_of([group], open_too=True)[1])),
            "accuracy": sklearn.metrics.accuracy_score(truth, predicted) if truth else None,
            "true_positive_rate": tp / (tp + fn) if tp + fn else None,
            "false_positive_rate": fp / (fp + tn) if fp + tn else None,
            "false_negative_rate": fn / (tp + fn) if tp + fn else None,
        }
        assert set(expected) == set(RATES)
        for name, value in expected.items():
            assert (rates.rates[name].value is None) == (value is None), name
            assert value is None or math.isclose(rates.rates[name].value or 0, value, abs_tol=1e-9), name


@SOME
@given(GROUPS)
def test_differences_are_those_of_fairlearn_on_single_rows(counts: list[Counts]) -> None:
    found = compare_groups("sex", counts, missing=0, minimum_group=1, seed=1, samples=20)
    for metric, base in BASES.items():
        chosen = [group for group in counts if base(group) >= 1]
        if len(chosen) < 2:
            assert metric not in found.differences
            continue
        truth, predicted, names = rows_of(chosen, open_too=metric.startswith("demographic"))
        with np.errstate(all="ignore"):
            value = getattr(fm, metric)(truth, predicted, sensitive_features=names)
        measured = found.differences[metric].value
        assert (measured is None) == (not math.isfinite(value))
        assert measured is None or math.isclose(measured, value, abs_tol=1e-9)


@SOME
@given(GROUPS, st.integers(min_value=1, max_value=80))
def test_no_rate_rests_on_fewer_than_the_smallest_group(counts: list[Counts], minimum: int) -> None:
    found = compare_groups("sex", counts, missing=0, minimum_group=minimum, seed=1, samples=20)
    for group in found.groups:
        for name, (_function, base) in RATES.items():
            assert (group.rates[name].value is not None) == (base(group.counts) >= minimum)


@SOME
@given(GROUPS, st.integers(min_value=1, max_value=80))
def test_groups_that_are_too_small_leave_their_number_alone(counts: list[Counts], minimum: int) -> None:
    large = [group for group in counts if group.decisions >= minimum]
    found, without = (
        compare_groups("sex", given, missing=0, minimum_group=minimum, seed=1, samples=20) for given in (counts, large)
    )
    assert [group.counts for group in found.groups] == large
    assert found.unnamed == sum(group.decisions for group in counts if group.decisions < minimum)
    assert (found.groups, found.differences) == (without.groups, without.differences)


def test_intervals_agree_with_fairlearns_bootstrap() -> None:
    """Two ways to draw the same samples: ends of the intervals differ by the noise of 150 samples at most."""
    counts = [Counts("1", 40, 10, 50, 5, 12, 8), Counts("2", 30, 25, 35, 15, 5, 10)]
    truth, predicted, names = rows_of(counts, open_too=False)
    functions = {"false_positive_rate": fm.false_positive_rate, "true_positive_rate": fm.true_positive_rate}
    frame = fm.MetricFrame(
        metrics=functions, y_true=truth, y_pred=predicted, sensitive_features=names,
        n_boot=150, ci_quantiles=[0.025, 0.975], random_state=3,
    )  # fmt: skip
    ours = compare_groups("sex", counts, missing=0, minimum_group=1, seed=5)
    low, high = frame.by_group_ci
    for group in ours.groups:
        for name in functions:
            assert group.rates[name].low == pytest.approx(low.loc[group.counts.group, name], abs=0.05)
            assert group.rates[name].high == pytest.approx(high.loc[group.counts.group, name], abs=0.05)
    assert ours.differences["equal_opportunity_difference"].high == pytest.approx(
        frame.difference_ci()[1]["true_positive_rate"], abs=0.05
    )


def test_a_seed_gives_the_same_intervals_again() -> None:
    counts = [Counts("1", 40, 10, 50, 5), Counts("2", 30, 25, 35, 15)]
    first, again, other = (compare_groups("sex", counts, missing=0, minimum_group=1, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_too_many_values_are_no_groups() -> None:
    counts = [Counts(str(number), 10, 10, 10, 10) for number in range(MAX_GROUPS + 1)]
    found = compare_groups("age", counts, missing=0, minimum_group=1, seed=1)
    assert (found.groups, found.differences, found.too_many) == ((), {}, MAX_GROUPS + 1)


def test_values_of_a_few_do_not_hide_the_groups() -> None:
    few = [Counts(f"typo {number}", 1) for number in range(MAX_GROUPS + 1)]
    found = compare_groups(
        "sex", [Counts("1", 20, 5, 30, 5), Counts("2", 5, 5, 30, 20), *few], missing=0, minimum_group=30, seed=1
    )
    assert [group.counts.group for group in found.groups] == ["1", "2"]
    assert (found.unnamed, found.too_many) == (MAX_GROUPS + 1, 0)
