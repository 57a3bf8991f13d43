from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import typing as t
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabular_handler.columns import (
    Column,
    columns_from_json,
    columns_to_json,
    describe_columns,
    encode,
    find_columns,
    match_columns,
)
from tabular_handler.errors import InputError, TrainingError

DAY = dt.date(2020, 3, 4)
NOON = dt.datetime(2020, 3, 4, 12)


def frame_of(values: list[t.Any] | pd.Series[t.Any]) -> pd.DataFrame:
    return pd.DataFrame({"c": values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([1, 2.5, None], "numeric", id="numbers and null"),
        pytest.param([Decimal("1.5"), None, Decimal(2)], "numeric", id="PostgreSQL's numeric"),
        pytest.param(pd.Series([1, None], dtype="Int64"), "numeric", id="nullable integers"),
        pytest.param([True, None, False], "boolean", id="booleans and null"),
        pytest.param(pd.Series([True, None], dtype="boolean"), "boolean", id="nullable booleans"),
        pytest.param(["a", None, "b"], "category", id="texts and null"),
        pytest.param(["1", "2"], "category", id="digits stored as text stay text"),
        pytest.param([uuid.UUID(int=1), uuid.UUID(int=1)], "category", id="UUIDs"),
        pytest.param([DAY, None], "date", id="dates"),
        pytest.param([dt.datetime(2020, 3, 4), None], "date", id="a timestamp at midnight is a date"),
        pytest.param([DAY, NOON], "datetime", id="with a time of day"),
        pytest.param(pd.Series([NOON, None], dtype="datetime64[ns]"), "datetime", id="pandas' own timestamps"),
        pytest.param(["2020-03-04", None], "date", id="ISO dates as text"),
        pytest.param(["2020-03-04T12:00:00Z", "2020-03-04"], "datetime", id="ISO timestamps as text"),
        pytest.param(["2020-03-04", "soon"], "category", id="texts of which some look like dates"),
        pytest.param(["2020-99-99", "2020-01-01"], "category", id="looks like a date and is none"),
    ],
)
def test_types(values: list[t.Any], expected: str) -> None:
    assert find_columns(frame_of(values), 10) == (Column("c", expected),)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param([None, None], "'c' is null in every row: leave it out", id="all missing"),
        pytest.param([math.nan, math.nan], "'c' is null in every row", id="all NaN"),
        pytest.param([1, *[None] * 29], "'c' has a value in 1 of 30 rows only: leave it out", id="nearly all missing"),
        pytest.param([1, "a"], "'c' mixes category and numeric values", id="mixed"),
        pytest.param([True, 2], "'c' mixes boolean and numeric values", id="booleans and numbers"),
        pytest.param([[1], [2]], "'c' holds values of type list", id="arrays"),
        pytest.param([{"a": 1}, None], "'c' holds values of type dict", id="JSON"),
        pytest.param([b"x"], "'c' holds values of type bytes", id="bytes"),
        pytest.param([dt.time(3)], "'c' holds values of type time", id="times of day"),
        pytest.param([f"v{n}" for n in range(11)], "'c' holds 11 different texts in 11 rows, more than 10", id="many"),
    ],
)
def test_columns_that_cannot_be_learned_from(values: list[t.Any], text: str) -> None:
    with pytest.raises(TrainingError) as caught:
        find_columns(frame_of(values), 10)
    assert text in str(caught.value)


def test_a_column_twice() -> None:
    with pytest.raises(TrainingError, match="column 'a' twice"):
        find_columns(pd.DataFrame([[1, 2]], columns=["a", "a"]), 10)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("numeric", 5, 5.0),
        ("numeric", "5.5", 5.5),
        ("numeric", " -1e3 ", -1000.0),
        ("numeric", Decimal("0.1"), 0.1),
        ("numeric", np.int16(3), 3.0),
        ("numeric", None, None),
        ("numeric", Decimal("NaN"), None),
        ("boolean", True, 1.0),
        ("boolean", "False", 0.0),
        ("boolean", "t", 1.0),
        ("boolean", 0, 0.0),
        ("category", "Ä", "Ä"),
        ("category", 7, "7"),
        ("category", -7.0, "-7"),
        ("category", -0.0, "0"),
        ("category", np.float32(7), "7"),
        ("category", 2.0**53 - 1, "9007199254740991"),
        ("category", DAY, "2020-03-04"),
        ("date", "1970-01-02", 1.0),
        ("date", dt.date(9999, 12, 31), 2932896.0),
        ("date", dt.date(1, 1, 1), -719162.0),
        ("datetime", "1970-01-01T12:00:00", 0.5),
        ("datetime", "1970-01-01T12:00:00+06:00", 0.25),
        ("datetime", pd.Timestamp("1970-01-01T06:00:00"), 0.25),
        ("datetime", dt.datetime(1970, 1, 2, tzinfo=dt.UTC), 1.0),
    ],
)
def test_values(kind: str, value: object, expected: object) -> None:
    (found,) = encode(frame_of([value]), [Column("c", kind)])["c"].tolist()
    assert math.isnan(found) if expected is None else found == expected


def test_a_null_among_codes_changes_none_of_them() -> None:
    rows = pd.DataFrame([{"c": 7}, {"c": None}])
    assert rows["c"].dtype == np.float64
    assert encode(rows, [Column("c", "category")])["c"].fillna("null").tolist() == ["7", "null"]


@pytest.mark.parametrize("kind", ["numeric", "boolean", "category", "date", "datetime"])
@pytest.mark.parametrize("value", [None, math.nan, pd.NA, pd.NaT, np.float64("nan"), np.float32("nan")])
def test_null_is_nan(kind: str, value: object) -> None:
    (found,) = encode(frame_of([value]), [Column("c", kind)])["c"].tolist()
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("numeric", "fifty", "takes a number or null"),
        ("numeric", "0x10", "takes a number or null"),
        ("numeric", "nan", "takes a number or null"),
        ("numeric", True, "takes a number or null"),
        ("numeric", math.inf, "takes a number or null"),
        ("numeric", "1e999", "takes a number or null"),
        ("numeric", 10**400, "takes a number or null"),
        ("numeric", [1], "takes a number or null"),
        ("boolean", "maybe", "takes true or false or null"),
        ("boolean", 2, "takes true or false or null"),
        ("boolean", [], "takes true or false or null"),
        ("category", 1.5, "takes text or null"),
        ("category", np.float32(1.5), "takes text or null"),
        ("category", math.inf, "takes text or null"),
        ("category", 2.0**53, "takes text or null"),
        ("category", {"a": 1}, "takes text or null"),
        ("category", True, "takes text or null"),
        ("date", "4.3.2020", "takes a date or null"),
        ("date", 3, "takes a date or null"),
        ("datetime", "now", "takes a date and time or null"),
    ],
)
def test_wrong_values_are_named_and_not_shown(kind: str, value: object, text: str) -> None:
    with pytest.raises(InputError) as caught:
        encode(frame_of([None, value]), [Column("c", kind)])
    assert str(caught.value) == f"Column 'c' {text}: the value in row 2 is not one."


def test_infinity_among_numbers() -> None:
    with pytest.raises(InputError, match="row 2"):
        encode(pd.DataFrame({"c": [1.0, -math.inf]}), [Column("c", "numeric")])


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(), st.datetimes(),
    st.decimals(allow_nan=False), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()), st.times(), st.uuids(),
)  # fmt: skip


@given(st.lists(ANYTHING, min_size=1), st.sampled_from(["numeric", "boolean", "category", "date", "datetime"]))
def test_whatever_comes_is_encoded_or_refused(values: list[t.Any], kind: str) -> None:
    try:
        encoded = encode(frame_of(values), [Column("c", kind)])["c"]
    except InputError:
        return
    assert len(encoded) == len(values)
    if kind == "category":
        assert all(isinstance(value, str) or math.isnan(value) for value in encoded)
    else:
        assert encoded.dtype == np.float64
        assert not np.isinf(encoded).any()


@given(st.lists(ANYTHING, min_size=1))
def test_what_was_learned_from_can_be_asked_about(values: list[t.Any]) -> None:
    frame = frame_of(values)
    try:
        columns = find_columns(frame, 254)
    except TrainingError:
        return
    # numbers may be infinite or have hundreds of digits, which no float holds
    with contextlib.suppress(InputError) if columns[0].type == "numeric" else contextlib.nullcontext():
        encode(frame, columns)


COLUMNS = [Column("age", "numeric"), Column("sex", "category")]


def test_columns_are_put_in_the_models_order() -> None:
    rows = pd.DataFrame({"SEX": ["a"], "age": [5]})
    assert list(match_columns(rows, COLUMNS).columns) == ["age", "sex"]


@pytest.mark.parametrize(
    ("given_names", "text"),
    [
        pytest.param(["sex"], "lack column 'age': the model takes 'age', 'sex'. A value may be null.", id="missing"),
        pytest.param(["agee", "sex"], "Is 'agee' meant as 'age'?", id="a slip"),
        pytest.param(["age", "sex", "id"], "has no column 'id': it takes 'age', 'sex'", id="unknown"),
        pytest.param(["AGE", "Age", "sex"], "hold column 'age' more than once", id="ambiguous"),
    ],
)
def test_columns_that_do_not_fit(given_names: list[str], text: str) -> None:
    with pytest.raises(InputError) as caught:
        match_columns(pd.DataFrame([[1] * len(given_names)], columns=given_names), COLUMNS)
    assert text in str(caught.value)


def test_more_columns_than_the_model_takes() -> None:
    rows = pd.DataFrame({"id": [1], "age": [2], "sex": ["a"], "Income": [3]})
    assert list(match_columns(rows, COLUMNS, ignore=["income"], extra_allowed=True).columns) == ["age", "sex"]
    with pytest.raises(InputError, match="no column 'id'"):
        match_columns(rows, COLUMNS, ignore=["income"])


def test_an_optional_column_may_be_away() -> None:
    columns = [COLUMNS[0], Column("note", "category", required=False)]
    assert list(match_columns(pd.DataFrame({"age": [1]}), columns).columns) == ["age"]


def test_a_long_list_of_columns_is_cut() -> None:
    columns = [Column(f"c{n}", "numeric") for n in range(50)]
    with pytest.raises(InputError, match=r"'c29' and 20 more\. A value"):
        match_columns(pd.DataFrame({"x": [1]}), columns)


def test_json_and_back() -> None:
    columns = (*COLUMNS, Column("n", "numeric", False, "long"))
    assert columns_from_json(json.dumps(columns_to_json(columns))) == columns
    assert columns_from_json(columns_to_json(columns)) == columns


def test_who_asks_is_told_which_columns_may_be_left_out() -> None:
    columns = [Column("a", "numeric"), Column("b", "category", required=False, signature="string")]
    assert describe_columns(columns) == [
        {"name": "a", "type": "numeric", "required": True},
        {"name": "b", "type": "category", "required": False},
    ]
