"""Pass, fail, or not assessable: pure, so that a table and properties can test it.

A difference between groups that are large enough is a difference, whatever else is unknown: it fails. A pass says that
every group was compared on every metric that the policy names; where that is not so, the verdict is `not assessable`.
"""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.audit.metrics import Comparison, Interval

__all__ = ("FAIL", "NOT_ASSESSABLE", "PASS", "Judgement", "MetricJudgement", "Verdict", "judge", "worst")

Verdict = t.Literal["pass", "fail", "not assessable"]
PASS: t.Final = "pass"  # noqa: S105 - no password
FAIL: t.Final = "fail"
NOT_ASSESSABLE: t.Final = "not assessable"


@dataclasses.dataclass(frozen=True)
class MetricJudgement:
    """One metric of one attribute against its threshold."""

    metric: str
    threshold: float
    measured: Interval | None
    verdict: Verdict
    reason: str
    clear: bool  # the whole interval lies on the verdict's side of the threshold


@dataclasses.dataclass(frozen=True)
class Judgement:
    attribute: str
    verdict: Verdict
    metrics: tuple[MetricJudgement, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(f"{judged.metric}: {judged.reason}" for judged in self.metrics if judged.verdict == self.verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of several: one fail fails all, and nothing passes that could not be assessed."""
    found = set(verdicts)
    if FAIL in found:
        return FAIL
    return PASS if found == {PASS} else NOT_ASSESSABLE


def judge(comparison: Comparison, thresholds: Mapping[str, float]) -> Judgement:
    judged = tuple(_judge_metric(comparison, metric, thresholds[metric]) for metric in sorted(thresholds))
    return Judgement(comparison.attribute, worst(one.verdict for one in judged), judged)


def _judge_metric(comparison: Comparison, metric: str, threshold: float) -> MetricJudgement:
    measured = comparison.differences.get(metric)
    if measured is None or measured.value is None:
        return MetricJudgement(metric, threshold, None, NOT_ASSESSABLE, _why_not(comparison, metric), clear=False)
    is_ratio = metric.endswith("_ratio")
    within = measured.value >= threshold if is_ratio else measured.value <= threshold
    side = "below" if is_ratio else "above"
    text = f"{measured.value:.3f} is {'not ' if within else ''}{side} {threshold:g}"
    if not within:
        return MetricJudgement(
            metric, threshold, measured, FAIL, text, _is_clear(measured, threshold, within, is_ratio)
        )
    if left_out := _left_out(comparison, metric):
        reason = f"{text} between the groups compared, but too few decisions of {_listed(left_out)} {_basis(metric)}"
        return MetricJudgement(metric, threshold, measured, NOT_ASSESSABLE, reason, clear=False)
    return MetricJudgement(metric, threshold, measured, PASS, text, _is_clear(measured, threshold, within, is_ratio))


def _is_clear(measured: Interval, threshold: float, within: bool, is_ratio: bool) -> bool:
    if measured.low is None or measured.high is None:
        return False
    if is_ratio:
        return measured.low >= threshold if within else measured.high < threshold
    return measured.high <= threshold if within else measured.low > threshold


def _why_not(comparison: Comparison, metric: str) -> str:
    groups = comparison.groups
    if comparison.too_many:
        return (
            f"it has {comparison.too_many} values, too many to be groups: let clients send it coarser, such as in bands"
        )
    if not groups and not comparison.unnamed:
        return "no decision has a value of the attribute"
    if not groups:
        return (
            f"no value of the attribute has {comparison.minimum_group} decisions: wait for more, or let clients send it coarser, "
            "such as in bands"
        )
    if len(groups) == 1 and not comparison.unnamed:
        return f"there is one group alone, {groups[0].counts.group}"
    if not metric.startswith("demographic_parity") and not any(group.counts.labelled for group in groups):
        return "no outcome is known"
    if len(comparison.too_small(metric)) > len(groups) - 2:
        small = _listed(_left_out(comparison, metric))
        return f"fewer than two groups are large enough: too few decisions of {small} {_basis(metric)}"
    return "no group has a rate above 0, so there is no ratio"


def _left_out(comparison: Comparison, metric: str) -> tuple[str, ...]:
    unnamed = ("groups too small to name",) if comparison.unnamed else ()
    return comparison.too_small(metric) + unnamed


def _basis(metric: str) -> str:
    if metric.startswith("demographic_parity"):
        return "(each group needs minimum_group decisions)"
    if metric.startswith("equal_opportunity"):
        return "(each group needs minimum_group favourable outcomes)"
    return "(each group needs minimum_group favourable and as many other outcomes)"


def _listed(groups: tuple[str, ...], limit: int = 8) -> str:
    shown = ", ".join(groups[:limit])
    return f"{shown} and {len(groups) - limit} more" if len(groups) > limit else shown
