"""Each column by its rule, nothing that no rule names, and no value in an error."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import hashlib
import hmac
import math
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.anonymise import MAX_TEXT, Anonymiser, RowError, derive
from gateway.canonical import prediction_key, settle
from gateway.policy import ModelPolicy, PolicyError

KEY = bytes(range(32))


def anonymiser(rule: object, key: bytes = KEY) -> Anonymiser:
    return Anonymiser(ModelPolicy.model_validate({"name": "m", "target": "y", "columns": {"x": rule}}), key)


def bins(*edges: float) -> dict[str, t.Any]:
    return {"action": "generalise", "bins": edges}


MONTH = {"action": "generalise", "date": "month"}
YEAR = {"action": "generalise", "date": "year"}
PREFIX = {"action": "generalise", "prefix": 3}

CASES = [
    pytest.param("keep", "text", "text", id="keep text"),
    pytest.param("keep", 1.0, 1, id="keep a number, settled"),
    pytest.param("keep", dt.date(2026, 11, 22), "2026-11-22", id="keep a date"),
    pytest.param("keep", "e\u0301", "é", id="keep in NFC"),
    pytest.param("keep", False, False, id="keep false"),
    pytest.param(bins(0, 25, 35), -1, "< 0", id="below the first edge"),
    pytest.param(bins(0, 25, 35), 0, "[0, 25)", id="on the first edge"),
    pytest.param(bins(0, 25, 35), 24.999, "[0, 25)", id="within"),
    pytest.param(bins(0, 25, 35), 25, "[25, 35)", id="on an edge"),
    pytest.param(bins(0, 25, 35), decimal.Decimal(35), ">= 35", id="on the last edge"),
    pytest.param(bins(0.5), 10**30, ">= 0.5", id="one edge, large"),
    pytest.param(bins(1234567, 12345678), 1234567, "[1234567, 12345678)", id="edges are written out"),
    pytest.param(MONTH, "2026-11-22", "2026-11", id="month of a date"),
    pytest.param(MONTH, dt.date(987, 1, 2), "0987-01", id="month of an early year"),
    pytest.param(MONTH, dt.datetime(2026, 12, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))), "2026-11", id="month in UTC"),
    pytest.param(MONTH, "2026-12-01T00:30:00+01:00", "2026-11", id="the same as text"),
    pytest.param(YEAR, "2026-11-22T13:00:00Z", "2026", id="year of a time"),
    pytest.param(PREFIX, "1012 AB", "101", id="prefix"),
    pytest.param(PREFIX, " 0213 ", "021", id="prefix keeps zeros"),
    pytest.param(PREFIX, "1", "1", id="shorter than the prefix"),
    *(
        pytest.param(rule, None, None, id=f"nothing stays nothing {rule}")
        for rule in ("keep", "hash", bins(1), MONTH, PREFIX)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "value", "expected"), CASES)
def test_rules(rule: object, value: object, expected: object) -> None:
    result = anonymiser(rule)({"x": value})
    assert result == {"x": expected}
    assert type(result["x"]) is type(expected)


def test_the_pseudonym_is_the_hmac_of_the_site() -> None:
    expected = hmac.new(KEY, b"12345", hashlib.sha256).hexdigest()
    assert anonymiser("hash")({"x": "12345"}) == {"x": expected}
    assert anonymiser("hash")({"x": 12345}) == {"x": expected}, (
        "a database's number and a client's text are one customer"
    )
    assert anonymiser("hash")({"x": "12346"}) != {"x": expected}
    assert anonymiser("hash", KEY[::-1])({"x": "12345"}) != {"x": expected}
    assert anonymiser("hash")({"x": "e\u0301"}) == anonymiser("hash")({"x": "é"})


def test_no_pseudonym_is_a_derived_key() -> None:
    """Clients choose the texts of pseudonyms and are shown them."""
    derived = derive(KEY, "a test")
    assert anonymiser("hash")({"x": "a test"}) != {"x": derived.hex()}
    assert derived not in (derive(KEY, "another test"), derive(KEY[::-1], "a test"))
    assert len(derived) == 32


def test_columns_without_a_rule_are_dropped_and_the_row_is_left_as_it_was() -> None:
    policy = ModelPolicy.model_validate(
        {"name": "m", "target": "y", "columns": {"a": "keep", "b": "drop", "c": "keep"}}
    )
    row = {"c": 3, "b": "secret", "passport": "X1234567", "y": 1, "a": 1}
    before = dict(row)
    assert list(Anonymiser(policy, KEY)(row).items()) == [("a", 1), ("c", 3)]
    assert row == before


REFUSED = [
    pytest.param("keep", math.nan, "finite", id="nan"),
    pytest.param("keep", math.inf, "finite", id="infinity"),
    pytest.param("keep", [1], "no JSON form", id="list"),
    pytest.param("keep", {"a": 1}, "no JSON form", id="object"),
    pytest.param("keep", b"x", "no JSON form", id="bytes"),
    pytest.param("keep", "\ud800", "surrogate", id="half a surrogate pair"),
    pytest.param("keep", "e" + "\u0301" * 31, "combining marks", id="a tower of accents"),
    pytest.param({"action": "text"}, "e" + "\u0301" * 31, "combining marks", id="before a text is looked through"),
    pytest.param("keep", "x" * (MAX_TEXT + 1), "characters", id="long text"),
    pytest.param("hash", "x" * 10_000_000, "characters", id="10 MB of text"),
    pytest.param(bins(1), "35", "bins are for numbers, and this is text", id="text for a bin"),
    pytest.param(bins(1), True, "bins are for numbers, and this is true or false", id="true for a bin"),
    pytest.param(MONTH, "22.11.2026", "is no date", id="another form of date"),
    pytest.param(MONTH, "2026-02-30", "is no date", id="no day of the calendar"),
    pytest.param(MONTH, 1763769600, "for text, and this is a number", id="seconds for a date"),
    pytest.param(MONTH, "0001-01-01T00:00:00+01:00", "year", id="beyond the calendar"),
    pytest.param(PREFIX, 2139, "for text, and this is a number", id="a postcode that lost its zero"),
]


@pytest.mark.parametrize(("rule", "value", "why"), REFUSED)
def test_what_does_not_fit_is_refused_without_being_repeated(rule: object, value: object, why: str) -> None:
    with pytest.raises(RowError, match=why) as caught:
        anonymiser(rule)({"x": value})
    assert caught.value.column == "x"
    assert str(caught.value) == f"column x: {caught.value.reason}"
    if isinstance(value, str):
        assert value[:20] not in str(caught.value)


def test_a_missing_column_is_told() -> None:
    with pytest.raises(RowError, match="column x: is missing; send null when it has no value"):
        anonymiser("keep")({"X": 1})


def test_a_short_site_key_is_refused() -> None:
    with pytest.raises(ValueError, match="the site key has 31 bytes; at least 32"):
        anonymiser("keep", KEY[:-1])


def test_a_region_without_telephones_is_a_fault_of_the_policy() -> None:
    with pytest.raises(PolicyError, match="model m: column x: regions: XX has no telephone numbers"):
        anonymiser({"action": "text", "regions": ["XX"]})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes()


@given(SCALARS, st.sampled_from(["keep", "hash", bins(0, 10), MONTH, PREFIX]))
def test_a_row_is_changed_or_refused_and_always_alike(value: object, rule: object) -> None:
    def outcome() -> str:
        try:
            return prediction_key("m", "1", anonymiser(rule)({"x": value}))
        except RowError as exc:
            return str(exc)

    assert outcome() == outcome()


@given(SCALARS, st.sampled_from(["keep", "hash", bins(0, 10), MONTH, PREFIX]))
def test_a_changed_row_is_settled(value: object, rule: object) -> None:
    """The service makes keys of it as it is."""
    with contextlib.suppress(RowError):
        row = anonymiser(rule)({"x": value})
        assert repr(settle(row)) == repr(row)


def test_what_stands_behind_a_kind_does_not_change_its_mark() -> None:
    row = anonymiser({"action": "text", "names": ["Nowak"]})({"x": "Nowak\u0338"})
    assert settle(row) == row


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(-100, 100), min_size=1, max_size=6, unique=True),
)
def test_each_number_is_in_the_bin_that_says_so(value: float, edges: list[int]) -> None:
    edges.sort()
    told = str(anonymiser(bins(*edges))({"x": value})["x"])
    if told.startswith("<"):
        assert value < float(told.removeprefix("< "))
    elif told.startswith(">="):
        assert value >= float(told.removeprefix(">= "))
    else:
        low, high = map(float, told.strip("[)").split(", "))
        assert low <= value < high
