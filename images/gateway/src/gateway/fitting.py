"""Whether an anonymised row is one that a version of a model takes, so that a wrong value is the client's 422 and not
MindsDB's 500. Pure. The types are those that the engine `tabular` describes its columns with.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import typing as t

from gateway.problems import PolicyMismatch

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.mindsdb import Column, ModelVersion

__all__ = ("Fitting",)

NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
BOOLEANS = ("true", "t", "1", "false", "f", "0")
Row = dict[str, t.Any]


class Fitting:
    """Made once for a policy's columns and a version; then takes rows."""

    def __init__(self, model: str, given: Iterable[str], target: str, version: ModelVersion) -> None:
        by_name = {name: name for name in given}
        # SQL does not tell cases apart, a policy may have kept the ones of the clients
        by_lower = {name.lower(): name for name in by_name}
        wanted = [column for column in version.columns if column.name != target]
        found = {column.name: by_name.get(column.name) or by_lower.get(column.name.lower()) for column in wanted}
        missing = [column.name for column in wanted if found[column.name] is None and column.required]
        if missing:
            raise PolicyMismatch(
                f"Version {version.mindsdb} of model {model} takes columns that gateway_models does not let through: "
                f"{', '.join(missing)}. Name them there, or train the model without them."
            )
        self._columns = [(column, source, _check(column)) for column in wanted if (source := found[column.name])]

    def take(self, row: Row) -> Row:
        """The model's own columns of a row, by the model's own names."""
        return {column.name: row[source] for column, source, _ in self._columns}

    def faults(self, index: int, row: Row) -> list[dict[str, t.Any]]:
        """What the model does not take of this row, without the values."""
        return [
            {"row": index, "column": source, "reason": f"must be {kind} or null"}
            for _, source, (kind, fits) in self._columns
            if row[source] is not None and not fits(row[source])
        ]


def _check(column: Column) -> tuple[str, Callable[[t.Any], bool]]:
    return _CHECKS.get(column.type, ("a plain value", lambda _value: True))


def _is_number(value: t.Any) -> bool:
    if isinstance(value, str):
        return NUMBER.fullmatch(value) is not None and math.isfinite(float(value))
    return not isinstance(value, bool)


def _is_boolean(value: t.Any) -> bool:
    text = value.strip().lower() if isinstance(value, str) else f"{float(value):g}"
    return text in BOOLEANS


def _is_category(value: t.Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _is_date(value: t.Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        dt.datetime.fromisoformat(value.strip())
    except ValueError:
        return False
    return True


_CHECKS: dict[str, tuple[str, Callable[[t.Any], bool]]] = {
    "boolean": ("true or false", _is_boolean),
    "category": ("a text", _is_category),
    "date": ("a date such as 2026-11-22", _is_date),
    "datetime": ("a date and time such as 2026-11-22T13:00:00Z", _is_date),
    "numeric": ("a number", _is_number),
}
