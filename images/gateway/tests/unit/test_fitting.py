"""Rows against the columns of a version, with the engine's types."""

from __future__ import annotations

import pytest

from gateway.fitting import Fitting
from gateway.mindsdb import Column, ModelVersion
from gateway.problems import PolicyMismatch


def version(*columns: Column) -> ModelVersion:
    return ModelVersion("3", "7/x", "income", "3", "run", columns)


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("numeric", 1, True),
        ("numeric", -1.5, True),
        ("numeric", "1e3", True),
        ("numeric", "abc", False),
        ("numeric", "nan", False),
        ("numeric", "1e999", False),
        ("numeric", True, False),
        ("category", "x'; DROP TABLE y; --", True),
        ("category", 7, True),
        ("category", 7.5, False),
        ("category", True, False),
        ("boolean", True, True),
        ("boolean", 0, True),
        ("boolean", "False", True),
        ("boolean", 2, False),
        ("date", "2026-11-22", True),
        ("date", "2026-13-22", False),
        ("datetime", "2026-11-22T13:00:00Z", True),
        ("datetime", 20261122, False),
        ("something new", 1, True),
        *((kind, None, True) for kind in ("numeric", "category", "boolean", "date", "datetime")),
    ],
)
def test_types(kind: str, value: object, fits: bool) -> None:
    faults = Fitting("m", ["a"], "target", version(Column("a", kind))).faults(4, {"a": value})
    assert [(fault["row"], fault["column"]) for fault in faults] == ([] if fits else [(4, "a")])
    assert str(value) not in str([fault["reason"] for fault in faults])


def test_the_model_gets_its_columns_by_its_names_and_no_others() -> None:
    fitting = Fitting("m", ["Age", "b", "note"], "target", version(Column("age", "numeric"), Column("b", "category")))
    assert fitting.take({"Age": 1, "b": "x", "note": "only for the log"}) == {"age": 1, "b": "x"}


def test_a_policy_that_keeps_too_little_is_named() -> None:
    with pytest.raises(PolicyMismatch, match="c, d"):
        Fitting("m", ["a"], "target", version(*(Column(name, "numeric") for name in "acd")))


def test_the_target_and_optional_columns_are_not_demanded() -> None:
    columns = (Column("a", "numeric"), Column("target", "category"), Column("z", "numeric", required=False))
    assert Fitting("m", ["a"], "target", version(*columns)).take({"a": 1}) == {"a": 1}
