"""What of an audit is published: to people as HTML, to programs as JSON, to MLflow as metrics."""

from __future__ import annotations

import datetime as dt
import json

from gateway.audit.decisions import LeftOut, Window
from gateway.audit.log import metric_values
from gateway.audit.metrics import compare_groups
from gateway.audit.report import Audit, Part, as_document, render_report
from gateway.audit.table import Counts, Table
from gateway.audit.verdict import judge
from gateway.policy import ModelPolicy

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
POLICY = ModelPolicy.model_validate(
    {"name": "m", "target": "y", "columns": {"x": "keep"}, "audit": {"attributes": ["sex"], "favourable": "low"}}
)


def audit_of(*counts: Counts, foreign: int = 0) -> Audit:
    compared = compare_groups("sex", counts, missing=0, minimum_group=30, seed=1, samples=20)
    part = Part(compared, judge(compared, {"demographic_parity_difference": 0.1}), None)
    return Audit(
        "m",
        "1",
        Window(NOW - dt.timedelta(days=1), NOW),
        NOW,
        Table(["sex"], target="y", favourable="low"),
        LeftOut(foreign),
        (part,),
    )


def published(audit: Audit) -> list[str]:
    return [render_report(audit, POLICY), json.dumps(as_document(audit)), str(metric_values(audit))]


def test_a_group_of_one_is_not_named() -> None:
    large = [Counts("1", 45, 5, 45, 5), Counts("2", 44, 6, 46, 4)]
    audit = audit_of(*large, Counts("Zaphod", 1), Counts("Trillian", open_positive=2))
    for text in published(audit):
        assert "Zaphod" not in text
        assert "Trillian" not in text
    assert "too few to name" in published(audit)[0]
    assert as_document(audit)["attributes"][0]["unnamed"] == metric_values(audit)["sex.unnamed.decisions"] == 3
    assert audit.verdict == "not assessable"


def test_traces_that_were_left_out_are_told() -> None:
    audit = audit_of(foreign=7)
    assert "Traces left out" in published(audit)[0]
    assert as_document(audit)["left_out"] == {"foreign": 7, "repeated": 0}
    assert metric_values(audit)["traces.foreign"] == 7
    assert "Traces left out" not in published(audit_of())[0]


def test_nobody_is_told_of_groups_that_are_not_there() -> None:
    audit = audit_of(Counts("1", 45, 5, 45, 5), Counts("2", 44, 6, 46, 4))
    assert "too few to name" not in published(audit)[0]
    assert audit.verdict == "pass"
