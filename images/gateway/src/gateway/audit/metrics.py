"""Rates by group and the differences between groups: values from Fairlearn, intervals from a bootstrap with a fixed seed.

Fairlearn takes the counts as weights, which gives the values of the single rows. Its own bootstrap draws row by row in
Python (50,000 rows and 200 samples took 3 minutes); drawing counts from a multinomial distribution is the same resampling
with replacement, and takes milliseconds.
"""

from __future__ import annotations

import dataclasses
import typing as t

import fairlearn.metrics as fm
import numpy as np
import sklearn.metrics

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from gateway.audit.table import Counts

__all__ = ("BASES", "RATES", "Comparison", "GroupRates", "Interval", "compare_groups")

Array: t.TypeAlias = "npt.NDArray[np.float64]"
QUANTILES = (0.025, 0.975)
SAMPLES = 2000
# An attribute with more values than this is a number or a name, not a group.
MAX_GROUPS = 50


@dataclasses.dataclass(frozen=True)
class Interval:
    """A value, and where 95 % of the resampled ones lie. No value where the rate would rest on too few decisions."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class GroupRates:
    counts: Counts
    rates: dict[str, Interval]  # by the names of RATES


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One attribute. `differences` has an entry for each metric that at least two groups are large enough for.

    What a client called a group of one may be a person's name. Groups of fewer than minimum_group decisions are therefore
    known by the number of their decisions alone, all of them together.
    """

    attribute: str
    groups: tuple[GroupRates, ...]
    missing: int
    unnamed: int  # decisions of groups that are too small to be named, and are not compared
    minimum_group: int
    differences: dict[str, Interval]
    too_many: int = 0  # groups, where there are more than MAX_GROUPS: then none is looked at

    def too_small(self, metric: str) -> tuple[str, ...]:
        """Groups with a name that the metric leaves out."""
        return tuple(rates.counts.group for rates in self.groups if BASES[metric](rates.counts) < self.minimum_group)


# name: (Fairlearn's or scikit-learn's function, what it is a share of)
RATES: dict[str, tuple[Callable[..., float], Callable[[Counts], int]]] = {
    "selection_rate": (fm.selection_rate, lambda counts: counts.decisions),
    "accuracy": (sklearn.metrics.accuracy_score, lambda counts: counts.labelled),
    "true_positive_rate": (fm.true_positive_rate, lambda counts: counts.positives),
    "false_positive_rate": (fm.false_positive_rate, lambda counts: counts.negatives),
    "false_negative_rate": (fm.false_negative_rate, lambda counts: counts.positives),
}
# What each comparison rests on in a group: the smallest of the numbers that its rates are shares of.
BASES: dict[str, Callable[[Counts], int]] = {
    "demographic_parity_difference": lambda counts: counts.decisions,
    "demographic_parity_ratio": lambda counts: counts.decisions,
    "equal_opportunity_difference": lambda counts: counts.positives,
    "equal_opportunity_ratio": lambda counts: counts.positives,
    "equalized_odds_difference": lambda counts: min(counts.positives, counts.negatives),
    "equalized_odds_ratio": lambda counts: min(counts.positives, counts.negatives),
}
_COMPARED = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}


def compare_groups(
    attribute: str,
    found: Sequence[Counts],
    *,
    missing: int,
    late: int = 0,
    minimum_group: int,
    seed: int,
    samples: int = SAMPLES,
) -> Comparison:
    """`late` are decisions of further groups, which nobody counted apart."""
    counts = [group for group in found if group.decisions >= minimum_group]
    unnamed = late + sum(group.decisions for group in found) - sum(group.decisions for group in counts)
    if len(counts) > MAX_GROUPS:
        return Comparison(attribute, (), missing, unnamed, minimum_group, {}, too_many=len(counts))
    drawn = _resample(counts, seed, samples)
    values = {name: _rate_values(name, counts, minimum_group) for name in RATES}
    groups = tuple(
        GroupRates(group, {name: _interval(values[name][index], drawn[name][:, index]) for name in RATES})
        for index, group in enumerate(counts)
    )
    differences = {}
    for metric, base in BASES.items():
        chosen = [index for index, group in enumerate(counts) if base(group) >= minimum_group]
        if len(chosen) > 1:
            value = _fairlearn_value(metric, [counts[index] for index in chosen])
            differences[metric] = _interval(value, _differences(metric, drawn, chosen))
    return Comparison(attribute, groups, missing, unnamed, minimum_group, differences)


def _rate_values(name: str, counts: Sequence[Counts], minimum_group: int) -> list[float | None]:
    function, base = RATES[name]
    values: list[float | None] = []
    for group in counts:
        truth, predicted, weights, _names = _cells([group], open_too=name == "selection_rate")
        values.append(
            float(function(truth, predicted, sample_weight=weights)) if base(group) >= minimum_group else None
        )
    return values


def _cells(counts: Sequence[Counts], *, open_too: bool) -> tuple[list[int], list[int], list[int], list[str]]:
    """Truth, prediction, weight and group of each cell. Where nothing is known, the truth is not looked at."""
    truth: list[int] = []
    predicted: list[int] = []
    weights: list[int] = []
    names: list[str] = []
    for group in counts:
        cells = [
            (1, 1, group.true_positive), (0, 1, group.false_positive),
            (0, 0, group.true_negative), (1, 0, group.false_negative),
        ]  # fmt: skip
        if open_too:
            cells += [(0, 1, group.open_positive), (0, 0, group.open_negative)]
        for true, guess, weight in cells:
            if weight:
                truth.append(true)
                predicted.append(guess)
                weights.append(weight)
                names.append(group.group)
    return truth, predicted, weights, names


def _fairlearn_value(metric: str, counts: Sequence[Counts]) -> float | None:
    truth, predicted, weights, names = _cells(counts, open_too=metric.startswith("demographic_parity"))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(getattr(fm, metric)(truth, predicted, sensitive_features=names, sample_weight=weights))
    return value if np.isfinite(value) else None


def _resample(counts: Sequence[Counts], seed: int, samples: int) -> dict[str, Array]:
    """The rates of each group in each sample: arrays of samples x groups, NaN where a rate has nothing to rest on."""
    fields = ("true_positive", "false_positive", "true_negative", "false_negative", "open_positive", "open_negative")
    cells = np.array([[getattr(group, field) for field in fields] for group in counts], dtype=np.float64)
    total = cells.sum()
    if not total:
        return {name: np.full((samples, len(counts)), np.nan) for name in RATES}
    drawn = np.random.default_rng(seed).multinomial(int(total), (cells / total).ravel(), size=samples)
    tp, fp, tn, fn, op, on = np.moveaxis(drawn.reshape(samples, len(counts), len(fields)).astype(np.float64), 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "selection_rate": (tp + fp + op) / (tp + fp + tn + fn + op + on),
            "accuracy": (tp + tn) / (tp + fp + tn + fn),
            "true_positive_rate": tp / (tp + fn),
            "false_positive_rate": fp / (fp + tn),
            "false_negative_rate": fn / (tp + fn),
        }


def _differences(metric: str, drawn: dict[str, Array], chosen: Sequence[int]) -> Array:
    """As Fairlearn defines them: largest less, or over, smallest; of the two odds, the worse."""
    name, _, kind = metric.rpartition("_")
    rates = [drawn[rate][:, list(chosen)] for rate in _COMPARED[name]]
    low, high = [np.array([edge(rate, axis=1) for rate in rates]) for edge in (np.min, np.max)]
    if kind == "difference":
        return t.cast("Array", np.max(high - low, axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return t.cast("Array", np.min(low / high, axis=0))


def _interval(value: float | None, drawn: Array) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if value is None or not known.size:
        return Interval(value)
    low, high = np.quantile(known, QUANTILES)
    return Interval(value, float(low), float(high))
