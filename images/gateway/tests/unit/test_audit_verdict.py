"""When an audit passes, fails, and says that it cannot know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.metrics import BASES, Comparison, GroupRates, Interval, compare_groups
from gateway.audit.table import Counts
from gateway.audit.verdict import FAIL, NOT_ASSESSABLE, PASS, Judgement, judge, worst

FAIR = Counts("1", 45, 5, 45, 5)
ALSO = Counts("2", 44, 6, 46, 4)
UNFAIR = Counts("2", 10, 0, 50, 40)
FEW = Counts("3", 3, 1)
OPEN = [Counts("1", open_positive=50, open_negative=50), Counts("2", open_positive=48, open_negative=52)]
PARITY = {"demographic_parity_difference": 0.1}
ODDS = {"equalized_odds_difference": 0.1}


def judged(counts: list[Counts], thresholds: dict[str, float], minimum: int = 30) -> Judgement:
    return judge(compare_groups("sex", counts, missing=0, minimum_group=minimum, seed=1, samples=100), thresholds)


@pytest.mark.parametrize(
    ("counts", "thresholds", "verdict", "says"),
    [
        pytest.param([FAIR, ALSO], PARITY | ODDS, PASS, "is not above 0.1", id="equal enough"),
        pytest.param([FAIR, UNFAIR], PARITY, FAIL, "is above 0.1", id="a difference"),
        pytest.param([FAIR, UNFAIR], {"demographic_parity_ratio": 0.8}, FAIL, "is below 0.8", id="a ratio is a lower bound"),
        pytest.param([FAIR, ALSO], {"demographic_parity_ratio": 0.8}, PASS, "is not below 0.8", id="a ratio that holds"),
        pytest.param([FAIR, UNFAIR, FEW], PARITY, FAIL, "is above", id="a small group does not hide a difference of large ones"),
        pytest.param([FAIR, ALSO, FEW], PARITY, NOT_ASSESSABLE, "too few decisions of groups too small to name", id="nothing passes with a group unseen"),
        pytest.param([FAIR, FEW], PARITY, NOT_ASSESSABLE, "fewer than two groups", id="one large group"),
        pytest.param([FEW, Counts("4", 5)], PARITY, NOT_ASSESSABLE, "no value of the attribute has 30 decisions", id="small groups alone"),
        pytest.param([FAIR, FEW, OPEN[1]], ODDS, NOT_ASSESSABLE, "decisions of 2, groups too small to name (each", id="two ways to be too small"),
        pytest.param([FAIR], PARITY, NOT_ASSESSABLE, "one group alone, 1", id="one group"),
        pytest.param([], PARITY, NOT_ASSESSABLE, "no decision has a value", id="nobody sent it"),
        pytest.param(OPEN, PARITY, PASS, "is not above", id="parity needs no outcomes"),
        pytest.param(OPEN, ODDS, NOT_ASSESSABLE, "no outcome is known", id="odds do"),
        pytest.param(OPEN, PARITY | ODDS, NOT_ASSESSABLE, "no outcome is known", id="one part unknown"),
        pytest.param([FAIR, ALSO], {}, NOT_ASSESSABLE, "", id="no threshold"),
        pytest.param([Counts(str(n), 9, 9, 9, 9) for n in range(60)], PARITY, NOT_ASSESSABLE, "60 values", id="no groups"),
        pytest.param(
            [Counts("1", true_negative=50), Counts("2", true_negative=60)], {"demographic_parity_ratio": 0.8},
            NOT_ASSESSABLE, "no ratio", id="nobody is favoured",
        ),
    ],
)  # fmt: skip
def test_verdicts(counts: list[Counts], thresholds: dict[str, float], verdict: str, says: str) -> None:
    found = judged(counts, thresholds)
    assert found.verdict == verdict
    assert says in "; ".join(found.reasons)


def test_a_clear_verdict_has_its_whole_interval_on_one_side() -> None:
    assert judged([FAIR, UNFAIR], PARITY).metrics[0].clear
    many = [Counts("1", 4500, 500, 4500, 500), Counts("2", 4500, 500, 4500, 500)]
    assert judged(many, PARITY).metrics[0].clear
    assert not judged([FAIR, Counts("2", 40, 4, 44, 12)], PARITY).metrics[0].clear


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([PASS, PASS], PASS), ([PASS, NOT_ASSESSABLE], NOT_ASSESSABLE), ([NOT_ASSESSABLE, FAIL, PASS], FAIL), ([], NOT_ASSESSABLE),
    ],
)  # fmt: skip
def test_the_worst_of_several(found: list[str], expected: str) -> None:
    assert worst(found) == expected  # type: ignore[arg-type]


CELL = st.integers(min_value=0, max_value=80)
MINIMUM = 30
THRESHOLDS = st.dictionaries(st.sampled_from(sorted(BASES)), st.floats(min_value=0, max_value=1))


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Any groups, named or not, and any differences where two of them are large enough: what compare_groups promises."""
    cells = draw(st.lists(st.tuples(*[CELL] * 6), max_size=4))
    groups = tuple(GroupRates(Counts(str(index), *cell), {}) for index, cell in enumerate(cells) if sum(cell))
    differences = {}
    for metric, base in BASES.items():
        if sum(base(group.counts) >= MINIMUM for group in groups) > 1:
            value = draw(st.none() | st.floats(min_value=0, max_value=1))
            differences[metric] = (
                Interval(value)
                if value is None
                else Interval(value, draw(st.floats(0, value)), draw(st.floats(value, 1)))
            )
    return Comparison("sex", groups, 0, draw(st.integers(0, MINIMUM)), MINIMUM, differences)


@given(comparisons(), THRESHOLDS)
def test_a_pass_means_that_all_groups_were_compared_and_held(
    compared: Comparison, thresholds: dict[str, float]
) -> None:
    found = judge(compared, thresholds)
    assert found.verdict in (PASS, FAIL, NOT_ASSESSABLE)
    if found.verdict == PASS:
        assert thresholds
        assert len(compared.groups) > 1
        assert compared.unnamed == 0
        assert all(BASES[metric](group.counts) >= MINIMUM for metric in thresholds for group in compared.groups)


@given(comparisons(), THRESHOLDS)
def test_only_a_measured_difference_fails(compared: Comparison, thresholds: dict[str, float]) -> None:
    for one in judge(compared, thresholds).metrics:
        measured = compared.differences.get(one.metric, Interval(None)).value
        is_ratio = one.metric.endswith("_ratio")
        beyond = measured is not None and (measured < one.threshold if is_ratio else measured > one.threshold)
        assert (one.verdict == FAIL) == beyond


@given(comparisons(), THRESHOLDS)
def test_a_laxer_threshold_never_turns_a_pass(compared: Comparison, thresholds: dict[str, float]) -> None:
    if judge(compared, thresholds).verdict == PASS:
        laxer = {name: 0.0 if name.endswith("_ratio") else 1.0 for name in thresholds}
        assert judge(compared, laxer).verdict == PASS


@given(comparisons(), THRESHOLDS)
def test_a_further_threshold_never_betters_a_verdict(compared: Comparison, thresholds: dict[str, float]) -> None:
    badness = {PASS: 0, NOT_ASSESSABLE: 1, FAIL: 2}
    more = {name: 0.1 for name in BASES} | thresholds
    if thresholds:
        assert badness[judge(compared, more).verdict] >= badness[judge(compared, thresholds).verdict]
