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

    from gateway.mindsdb import ModelVersion

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
        self._columns = [(column, source) for column in wanted if (source := found[column.name])]
        self._checks = [(source, check) for column, source in self._columns if (check := _CHECKS.get(column.type))]

    def take(self, row: Row) -> Row:
        """The model's own columns of a row, by the model's own names."""
        return {column.name: row[source] for column, source in self._columns}

    def faults(self, index: int, row: Row) -> list[dict[str, t.Any]]:
        """What the model does not take of this row, without the values."""
        return [
            {"row": index, "column": source, "reason": f"must be {check.what} or null"}
            for source, check in self._checks
            if (value := row[source]) is not None
            and type(value) not in check.plain
            and not (check.fits and check.fits(value))
        ]


def _is_number(value: t.Any) -> bool:
    return isinstance(value, str) and NUMBER.fullmatch(value) is not None and math.isfinite(float(value))


def _is_boolean(value: t.Any) -> bool:
    text = value.strip().lower() if isinstance(value, str) else f"{float(value):g}"
    return text in BOOLEANS


def _is_date(value: t.Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        dt.datetime.fromisoformat(value.strip())
    except ValueError:
        return False
    return True


class _Check(t.NamedTuple):
    what: str
    plain: tuple[type, ...]  # whose every value fits, found without a call
    fits: Callable[[t.Any], bool] | None = None  # asked of the others


# A type that is not here is one of a later engine: its values are the engine's to refuse.
_CHECKS: dict[str, _Check] = {
    "boolean": _Check("true or false", (bool,), _is_boolean),
    "category": _Check("a text", (str, int)),
    "date": _Check("a date such as 2026-11-22", (), _is_date),
    "datetime": _Check("a date and time such as 2026-11-22T13:00:00Z", (), _is_date),
    "numeric": _Check("a number", (int, float), _is_number),
}
