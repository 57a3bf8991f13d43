"""One value, one text: in each process, and told apart from each other value."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import os
import random
import subprocess
import sys
import time
import typing as t
import unicodedata
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.canonical import (
    MAX_DEPTH,
    MAX_MARKS,
    NotCanonicalError,
    canonical_json,
    prediction_key,
    settle,
    settle_scalar,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
)
ROWS = st.dictionaries(TEXT.map(lambda key: unicodedata.normalize("NFC", key)), SCALARS, max_size=8)


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


SAME = [
    pytest.param(
        [1, 1.0, decimal.Decimal("1.0"), decimal.Decimal("1E+0"), np.int64(1), np.float32(1), Number.ONE], "1", id="one"
    ),
    pytest.param([0, 0.0, -0.0, decimal.Decimal("-0"), np.float64(-0.0)], "0", id="zero"),
    pytest.param([0.1, decimal.Decimal("0.1"), decimal.Decimal("0.10"), np.float64(0.1)], "0.1", id="a tenth"),
    pytest.param([True, np.bool_(True)], "true", id="true"),
    pytest.param(["é", "e\u0301", np.str_("é")], '"\\u00e9"', id="composed and decomposed"),
    pytest.param(["red", Colour.RED], '"red"', id="text of an enumeration"),
    pytest.param([None, np.datetime64("NaT", "s")], "null", id="nothing"),
    pytest.param(
        [
            dt.datetime(2026, 11, 22, 13, tzinfo=dt.UTC),
            dt.datetime(2026, 11, 22, 14, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            "2026-11-22T13:00:00Z",
        ],
        '"2026-11-22T13:00:00Z"',
        id="one moment in two timezones",
    ),
    pytest.param(
        [
            dt.datetime(2026, 11, 22, 13),
            np.datetime64("2026-11-22T13:00:00", "ns"),
            np.datetime64("2026-11-22T13", "s"),
        ],
        '"2026-11-22T13:00:00"',
        id="a time without timezone",
    ),
    pytest.param([dt.date(2026, 11, 22), np.datetime64("2026-11-22")], '"2026-11-22"', id="a date"),
    pytest.param([uuid.UUID(int=1)], '"00000000-0000-0000-0000-000000000001"', id="uuid"),
    pytest.param([[1, "a"], (1.0, "a")], '[1,"a"]', id="list and tuple"),
    pytest.param([{"a": 1, "b": None}, {"b": None, "a": 1.0}], '{"a":1,"b":null}', id="order of keys"),
    pytest.param([2**53, float(2**53)], "9007199254740992", id="the last exact integer of a double"),
    pytest.param([1e300], "1e+300", id="a large double stays one"),
]


@pytest.mark.parametrize(("values", "text"), SAME)
def test_ways_to_write_one_value_have_one_text(values: list[object], text: str) -> None:
    assert {canonical_json(value).decode() for value in values} == {text}


DIFFERENT: list[object] = [
    None, True, False, 0, 1, "", "0", "1", "true", "null", 0.1, -0.1, np.float32(0.1), 2**53 + 1, 2**53 + 2, 10**23, 1e23, [], {}, [1], [[1]],
    {"a": 1}, {"a": None}, {"a": "1"}, {"A": 1}, "a", "A", "a ", dt.date(2026, 11, 22), dt.datetime(2026, 11, 22),
    dt.datetime(2026, 11, 22, tzinfo=dt.UTC), dt.datetime(2026, 11, 22, microsecond=1), dt.time(1), "\u00e9", "e", "\N{KELVIN SIGN}elvin",
]  # fmt: skip


def test_different_values_have_different_keys() -> None:
    keys = [prediction_key("m", "1", {"column": value}) for value in DIFFERENT]
    assert len(set(keys)) == len(keys)


REFUSED = [
    pytest.param(math.nan, "finite", id="nan"),
    pytest.param(math.inf, "finite", id="infinity"),
    pytest.param(np.float32("nan"), "finite", id="numpy nan"),
    pytest.param(decimal.Decimal("sNaN"), "finite", id="signalling decimal"),
    pytest.param(decimal.Decimal("1e999"), "finite", id="decimal beyond a double"),
    pytest.param("\ud800", "surrogate", id="half a surrogate pair"),
    pytest.param({"\udfff": 1}, "surrogate", id="half a surrogate pair as a key"),
    pytest.param("e" + "\u0301" * 31, "30 combining marks", id="a tower of accents"),
    pytest.param({"\U0001e94a" * 31: 1}, "30 combining marks", id="a tower of accents as a key"),
    pytest.param("\u0f73" * 31, "30 combining marks", id="letters that fall apart into marks"),
    pytest.param("\u0344" * 16, "30 combining marks", id="marks that fall apart into two"),
    pytest.param({1: 1}, "keys are text", id="a number as a key"),
    pytest.param({"é": 1, "e\u0301": 2}, "same text", id="two keys that are one"),
    pytest.param(b"bytes", "no JSON form", id="bytes"),
    pytest.param({1, 2}, "no JSON form", id="set"),
    pytest.param(object(), "no JSON form", id="object"),
    pytest.param(np.array([1, 2]), "no JSON form", id="array"),
    pytest.param(np.longdouble(1) / 3, "no JSON form", id="a number that Python has not"),
    pytest.param(1j, "no JSON form", id="complex"),
    pytest.param(dt.time(1, tzinfo=dt.UTC), "date", id="time of day with a timezone"),
    pytest.param(dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1))), "year", id="beyond the calendar"),
    pytest.param(10**400, "bits", id="an endless integer"),
]


@pytest.mark.parametrize(("value", "why"), REFUSED)
def test_what_has_no_one_text_is_refused(value: object, why: str) -> None:
    with pytest.raises(NotCanonicalError, match=why):
        canonical_json(value)


MARKS = st.text(st.sampled_from("\u0301\u0315\u0316\u0323\u0344\u0f73\u3099\U0001e94a"), max_size=MAX_MARKS + 10)


@given(st.lists(st.tuples(st.sampled_from("aeǖ한\u0f40"), MARKS), max_size=4))
def test_text_with_few_marks_in_a_row_is_its_own_form_and_with_more_is_refused(parts: list[tuple[str, str]]) -> None:
    text = "".join(letter + marks for letter, marks in parts)
    form = unicodedata.normalize("NFC", text)
    # a letter and a mark may each hold two marks more
    if (
        max((len(unicodedata.normalize("NFD", letter + marks)) - 1 for letter, marks in parts), default=0)
        <= MAX_MARKS - 2
    ):
        assert settle_scalar(text) == form
    elif max(len(marks) for _, marks in parts) > MAX_MARKS:
        with pytest.raises(NotCanonicalError):
            settle_scalar(text)


def test_as_many_marks_in_a_row_as_may_be() -> None:
    text = ("a" + "\u0315" * MAX_MARKS) * 3
    assert settle_scalar(text) == text
    with pytest.raises(NotCanonicalError, match="marks"):
        settle_scalar(text + "\u0315")


@pytest.mark.parametrize("marks", ["\u0315" * 5000 + "\u0316" * 5000, "\u0f73" * 10_000], ids=["marks", "letters"])
def test_a_long_row_of_marks_is_not_sorted(marks: str) -> None:
    started = time.thread_time()
    with pytest.raises(NotCanonicalError, match="marks"):
        settle_scalar("a" + marks)
    assert time.thread_time() - started < 0.05


def test_pandas_times_are_times_and_its_missing_ones_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    assert canonical_json(pandas.Timestamp("2026-11-22T14:00", tz="Europe/Amsterdam")) == b'"2026-11-22T13:00:00Z"'
    for nothing in (pandas.NaT, pandas.NA):
        with pytest.raises(NotCanonicalError):
            canonical_json(nothing)


def test_depth_is_bounded() -> None:
    deep: t.Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    canonical_json(deep)
    with pytest.raises(NotCanonicalError, match="nested"):
        canonical_json([deep])
    endless: list[t.Any] = []
    endless.append(endless)
    with pytest.raises(NotCanonicalError, match="nested"):
        canonical_json(endless)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_columns_does_not_matter(row: dict[str, t.Any], chance: random.Random) -> None:
    items = list(row.items())
    chance.shuffle(items)
    assert prediction_key("m", "1", dict(items)) == prediction_key("m", "1", row)


@given(ROWS)
def test_settled_is_settled(row: dict[str, t.Any]) -> None:
    """What the model is sent has the key of what was asked; a row that went through JSON as well."""
    settled = settle(row)
    assert settle(settled) == settled
    assert prediction_key("m", "1", settled) == prediction_key("m", "1", row)
    assert prediction_key("m", "1", json.loads(json.dumps(settled))) == prediction_key("m", "1", row)


@given(ROWS, ROWS)
def test_keys_are_equal_exactly_when_the_requests_are(one: dict[str, t.Any], two: dict[str, t.Any]) -> None:
    def request(row: dict[str, t.Any]) -> dict[str, tuple[type, t.Any]]:
        return {name: (type(value), value) for name, value in settle(row).items()}

    assert (prediction_key("m", "1", one) == prediction_key("m", "1", two)) == (request(one) == request(two))


@given(TEXT, TEXT, TEXT, TEXT)
def test_model_and_version_cannot_be_taken_for_one_another(a: str, b: str, c: str, d: str) -> None:
    a, b, c, d = (unicodedata.normalize("NFC", text) for text in (a, b, c, d))
    assert (prediction_key(a, b, {}) == prediction_key(c, d, {})) == ((a, b) == (c, d))


_CHILD = """
import json, sys
from gateway.canonical import prediction_key
print(json.dumps([prediction_key("m", "1", row) for row in json.load(sys.stdin)]))
"""


@settings(max_examples=5, deadline=None)
@given(st.lists(ROWS.map(settle), min_size=20, max_size=60), st.integers(0, 2**32 - 1))
def test_another_process_makes_the_same_keys(rows: list[dict[str, t.Any]], seed: int) -> None:
    """With another seed for hashes, other locale and timezone, as after a restart or on another machine."""
    env = {
        "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C", "TZ": "Asia/Tokyo",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], input=json.dumps(rows), env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [prediction_key("m", "1", row) for row in rows]


def test_the_key_is_what_it_was() -> None:
    """A change here makes every cached prediction unreachable: raise the version in the prefix with it."""
    key = prediction_key("income", "3", {"age": "[25, 35)", "hours": 40.0, "born": dt.date(1990, 1, 2), "note": None})
    assert key == "pred:v1:1108ce61cf5aa5135eada73a01e4f9ed23f680bec28a6bfafd1290307b1191eb"
