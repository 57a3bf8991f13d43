"""Typed columns: found in a table once, at training, and demanded of every row from then on. Pure.

The numbers a model sees: numeric and boolean columns as float64 (null is NaN), dates as days since 1970-01-01 UTC,
categories as text (null is NaN). Nothing here or in an error repeats a value of the table.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import math
import re
import typing as t
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from .errors import InputError, TrainingError

__all__ = (
    "Column",
    "columns_from_json",
    "columns_to_json",
    "describe_columns",
    "encode",
    "find_columns",
    "match_columns",
)

BOOLEAN, CATEGORY, DATE, DATETIME, NUMERIC = "boolean", "category", "date", "datetime", "numeric"
TYPES = (BOOLEAN, CATEGORY, DATE, DATETIME, NUMERIC)
NAMES = {
    BOOLEAN: "true or false", CATEGORY: "text", DATE: "a date", DATETIME: "a date and time", NUMERIC: "a number",
}  # fmt: skip
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
BOOLEANS = {"true": 1.0, "t": 1.0, "1": 1.0, "false": 0.0, "f": 0.0, "0": 0.0}
# With fewer, a column may be empty in four of the five parts that are trained on to measure, and boosting fails there.
MIN_VALUES = 10
# From here on a float may stand for another whole number than the one that it was made of.
EXACT = 2**53
EPOCH = dt.datetime(1970, 1, 1)
DAY = 86400.0


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    # of a model from the registry alone: what its signature says
    required: bool = True
    signature: str = ""


def columns_to_json(columns: Iterable[Column]) -> list[dict[str, t.Any]]:
    return [asdict(column) for column in columns]


def columns_from_json(items: str | Iterable[dict[str, t.Any]]) -> tuple[Column, ...]:
    return tuple(Column(**item) for item in (json.loads(items) if isinstance(items, str) else items))


def describe_columns(columns: Iterable[Column]) -> list[dict[str, t.Any]]:
    """What somebody who asks the model has to know of each."""
    return [{"name": column.name, "type": column.type, "required": column.required} for column in columns]


def find_columns(frame: pd.DataFrame, max_categories: int) -> tuple[Column, ...]:
    """The type of each column, from what it holds."""
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise TrainingError(f"The query returns column {_quoted(twice)} twice: give each column its own name with AS.")
    return tuple(_find_column(str(name), frame[name], max_categories) for name in frame.columns)


def _find_column(name: str, values: pd.Series[t.Any], max_categories: int) -> Column:
    found = _type_of(name, values)
    if found == CATEGORY:
        distinct = values.dropna().nunique()
        if distinct > max_categories:
            raise TrainingError(
                f"Column '{name}' holds {distinct} different texts in {len(values)} rows, more than {max_categories}: "
                f"leave it out of the SELECT, group its values, or set max_categories (up to 254)."
            )
    return Column(name, found)


def _type_of(name: str, values: pd.Series[t.Any]) -> str:
    present = int(values.notna().sum())
    if present == 0:
        raise TrainingError(f"Column '{name}' is null in every row: leave it out of the SELECT.")
    if present < min(MIN_VALUES, len(values) // 2):
        raise TrainingError(
            f"Column '{name}' has a value in {present} of {len(values)} rows only: leave it out of the SELECT."
        )
    if pd.api.types.is_bool_dtype(values.dtype):
        return BOOLEAN
    if pd.api.types.is_numeric_dtype(values.dtype):
        return NUMERIC
    kinds: set[str] = set()
    for value in values.dropna():
        kind = _kind(value)
        if kind not in TYPES:
            raise TrainingError(
                f"Column '{name}' holds values of type {kind}, which cannot be learned from: "
                f"leave it out of the SELECT, or turn it into text, a number or a date there."
            )
        kinds.add(kind)
    if kinds == {DATE, DATETIME}:
        return DATETIME
    if (
        len(kinds) > 1
        and kinds <= {CATEGORY, DATE, DATETIME}
        and all(isinstance(value, str) for value in values.dropna())
    ):
        return CATEGORY  # texts of which some look like dates
    if len(kinds) > 1:
        raise TrainingError(
            f"Column '{name}' mixes {' and '.join(sorted(kinds))} values: "
            f"give it one type in the SELECT, for example with CAST."
        )
    return kinds.pop()


def _kind(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return BOOLEAN
    if isinstance(value, int | float | Decimal | np.number):
        return NUMERIC
    if isinstance(value, dt.datetime):
        return DATETIME if value.time() != dt.time() else DATE
    if isinstance(value, dt.date):
        return DATE
    if isinstance(value, str):
        if ISO_DATE.fullmatch(value) and _is_date(value):
            return DATETIME if len(value) > 10 else DATE
        return CATEGORY
    return CATEGORY if isinstance(value, uuid.UUID) else type(value).__name__


def _is_date(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def match_columns(
    frame: pd.DataFrame, columns: Sequence[Column], *, ignore: Iterable[str] = (), extra_allowed: bool = False
) -> pd.DataFrame:
    """The model's columns in the model's order. Names may differ in case, as they do in SQL; none may be missing."""
    wanted = [column.name for column in columns]
    given = [str(name) for name in frame.columns]
    places: dict[str, int] = {}
    for name in wanted:
        exact = [place for place, other in enumerate(given) if other == name]
        places_of = exact or [place for place, other in enumerate(given) if other.lower() == name.lower()]
        if len(places_of) > 1:
            raise InputError(f"The rows hold column '{name}' more than once: select it once.")
        if places_of:
            places[name] = places_of[0]
    missing = [column.name for column in columns if column.required and column.name not in places]
    ignored = {name.lower() for name in ignore}
    unknown = [name for place, name in enumerate(given) if place not in places.values() and name.lower() not in ignored]
    if missing:
        raise InputError(_missing_text(missing, unknown, wanted))
    if unknown and not extra_allowed:
        raise InputError(f"The model has no column {_quoted(unknown)}: it takes {_quoted(wanted)}.")
    present = [name for name in wanted if name in places]
    return frame.iloc[:, [places[name] for name in present]].set_axis(present, axis=1)


def _missing_text(missing: list[str], unknown: list[str], wanted: list[str]) -> str:
    near = [(name, match) for name in missing for match in difflib.get_close_matches(name, unknown, n=1)]
    hint = "".join(f" Is '{other}' meant as '{name}'?" for name, other in near)
    return f"The rows lack column {_quoted(missing)}: the model takes {_quoted(wanted)}. A value may be null.{hint}"


def encode(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The numbers and texts that the model sees. Raises InputError with column and row."""
    data = {column.name: _encode(column, frame[column.name]) for column in columns if column.name in frame.columns}
    return pd.DataFrame(data, index=frame.index)


def _encode(column: Column, values: pd.Series[t.Any]) -> pd.Series[t.Any]:
    if column.type == NUMERIC and values.dtype.kind in "iuf":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = np.flatnonzero(np.isinf(numbers))
        if infinite.size:
            raise _wrong(column, int(infinite[0]))
    else:
        convert = CONVERT[column.type]
        numbers = np.array(
            [_convert(convert, value, column, row) for row, value in enumerate(values)],
            dtype=object if column.type == CATEGORY else np.float64,
        )
    return pd.Series(numbers, index=values.index)


def _convert(convert: Callable[[t.Any], t.Any], value: t.Any, column: Column, row: int) -> t.Any:
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and math.isnan(value))
    ):
        return math.nan
    try:
        return convert(value)
    except (ValueError, TypeError, OverflowError, ArithmeticError) as exc:
        raise _wrong(column, row) from exc


def _wrong(column: Column, row: int) -> InputError:
    return InputError(
        f"Column '{column.name}' takes {NAMES[column.type]} or null: the value in row {row + 1} is not one."
    )


def _number(value: t.Any) -> float:
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError
    if _kind(value) == BOOLEAN or not isinstance(value, str | int | float | Decimal | np.number):
        raise TypeError
    number = float(value)
    if math.isinf(number):
        raise OverflowError
    return number


def _boolean(value: t.Any) -> float:
    if not isinstance(value, bool | np.bool_ | int | float | np.number | str):
        raise TypeError
    text = value.strip().lower() if isinstance(value, str) else f"{float(value):g}"
    if text not in BOOLEANS:
        raise ValueError
    return BOOLEANS[text]


def _category(value: t.Any) -> str:
    if isinstance(value, str):
        return value
    # codes that were text when the model learned them may arrive as numbers, so '7' and 7 are the same
    if isinstance(value, int | np.integer | uuid.UUID) and not isinstance(value, bool):
        return str(value)
    # a null among whole numbers makes floats of them all
    if isinstance(value, float | np.floating) and value.is_integer() and -EXACT < value < EXACT:
        return str(int(value))
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError


def _days(value: t.Any) -> float:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value.strip())
    if not isinstance(value, dt.datetime):
        if not isinstance(value, dt.date):
            raise TypeError
        value = dt.datetime(value.year, value.month, value.day)
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return float((value - EPOCH).total_seconds() / DAY)


CONVERT: dict[str, Callable[[t.Any], t.Any]] = {
    BOOLEAN: _boolean, CATEGORY: _category, DATE: _days, DATETIME: _days, NUMERIC: _number,
}  # fmt: skip


def _quoted(names: Sequence[str], limit: int = 30) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(f"'{name}'" for name in names[:limit]) + more
