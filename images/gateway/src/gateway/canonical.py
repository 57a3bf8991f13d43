"""One text for one value: canonical JSON, and the cache key made of it. Pure: no I/O, no clock.

Two rows have the same key exactly when the model would be sent the same request. So a row is settled first (see `settle`), and
what was settled is both what the model gets and what the key is made of:

- An integral float up to 2**53 is an integer, for JSON does not tell 1.0 from 1; -0.0 is 0. A Decimal is the double next to it.
- A date is `2026-11-22`. A datetime with a timezone is taken to UTC and ends in Z; one without keeps none, and stays another value.
- Text is in Unicode's form NFC, with at most 30 combining marks in a row, and so are keys, which are sorted.
- true is not 1, "1" is not 1, and None is a value of its own.
- What equals nothing (NaN, NaT), has no end (infinity) or no JSON (bytes, sets) is refused.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import math
import re
import typing as t
import unicodedata
import uuid
from collections.abc import Mapping

__all__ = (
    "MAX_DEPTH",
    "MAX_MARKS",
    "NotCanonicalError",
    "Scalar",
    "canonical_json",
    "prediction_key",
    "settle",
    "settle_scalar",
    "settled_key",
)

Scalar = str | int | float | bool | None

KEY_PREFIX = "pred:v1:"
MAX_DEPTH = 8
# In a row, as in Unicode's Stream-Safe text (UAX #15): sorting them takes the square of their number.
MAX_MARKS = 30
# Above this a double has no unit digits left, and a float is no integer that was written differently.
_EXACT = 2**53
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
# Python refuses to write longer integers, and a model knows none beyond 64 bits.
_MAX_INTEGER_BITS = 1024
# Finer than Python's own times, so that they would come out as bare integers.
_FINE_DATETIME = re.compile(r"datetime64\[\d*[npfa]s\]")

_TOO_MANY_MARKS = re.compile(rb"[^\0]{%d}" % (MAX_MARKS + 1))
# The only letters that fall apart into marks alone.
_MARKS_AS_LETTERS = re.compile("[\u0f73\u0f75\u0f81]")


class NotCanonicalError(ValueError):
    """A value that has no one text. Says what it is and what to send instead, never the value."""


def prediction_key(model: str, version: str, row: Mapping[str, t.Any]) -> str:
    """The cache key of one row of one version of a model: the same in each process, on each machine, after each restart."""
    return settled_key(settle(model), settle(version), settle(row))


def settled_key(model: str, version: str, row: Mapping[str, t.Any]) -> str:
    """The same for what was settled before, which nothing checks here: for the path that thousands of rows a second take."""
    text = _ENCODER.encode({"model": model, "row": row, "version": version})
    return KEY_PREFIX + hashlib.sha256(text.encode("ascii")).hexdigest()


def canonical_json(value: object) -> bytes:
    """The one JSON text of a value, in ASCII."""
    return _ENCODER.encode(settle(value)).encode("ascii")


def settle(value: object, depth: int = MAX_DEPTH) -> t.Any:
    """The value in JSON's own types, each written in one way only."""
    if plain := _PLAIN.get(type(value)):
        return plain(value)
    if isinstance(value, Mapping):
        return _settle_mapping(value, depth)
    if isinstance(value, list | tuple):
        _go_deeper(depth)
        return [settle(item, depth - 1) for item in value]
    return settle_scalar(value)


def settle_scalar(value: object) -> Scalar:
    """The same for a single value: what a column of a row holds."""
    if plain := _PLAIN.get(type(value)):
        return plain(value)
    if isinstance(value, str):
        return _settle_text(value)
    if isinstance(value, int):
        return _settle_int(int(value))
    if isinstance(value, float):
        return _settle_float(float(value))
    if type(value).__module__ == "numpy":
        return _settle_numpy(value)
    for kind, function in _OTHERS:
        if isinstance(value, kind):
            return function(value)
    raise NotCanonicalError(f"{_kind(value)} has no JSON form; send text, a number, true, false or null")


def _settle_mapping(value: Mapping[t.Any, object], depth: int) -> dict[str, t.Any]:
    _go_deeper(depth)
    result: dict[str, t.Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotCanonicalError(f"a key is {_kind(key)}; keys are text")
        settled = _settle_text(key)
        if settled in result:
            raise NotCanonicalError("two keys are the same text in Unicode's form NFC; send one of them")
        result[settled] = settle(item, depth - 1)
    return result


def _go_deeper(depth: int) -> None:
    if depth <= 0:
        raise NotCanonicalError(f"nested deeper than {MAX_DEPTH} levels")


def _settle_text(value: str) -> str:
    if type(value) is str and value.isascii():
        return value
    given = str.__str__(value)
    _count_marks(given)
    text = unicodedata.normalize("NFC", given)
    if text != given:
        _count_marks(text)  # of two that were one
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonicalError("text holds half of a surrogate pair; send valid Unicode") from None
    return text


def _count_marks(text: str) -> None:
    if len(text) > MAX_MARKS:
        classes = bytes(map(unicodedata.combining, _MARKS_AS_LETTERS.sub("\u0f71", text)))
        if _TOO_MANY_MARKS.search(classes):
            raise NotCanonicalError(f"text holds more than {MAX_MARKS} combining marks in a row; send fewer")


def _settle_int(value: int) -> int:
    if value.bit_length() > _MAX_INTEGER_BITS:
        raise NotCanonicalError(f"an integer of more than {_MAX_INTEGER_BITS} bits; send it as text")
    return value


def _settle_float(value: float) -> int | float:
    if not math.isfinite(value):
        raise NotCanonicalError("not a finite number (NaN or infinity); send null for a missing value")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _settle_decimal(value: decimal.Decimal) -> int | float:
    if not value.is_finite():
        raise NotCanonicalError("not a finite number (NaN or infinity); send null for a missing value")
    return _settle_float(float(value))


def _settle_datetime(value: dt.datetime) -> str:
    if value != value:  # pandas' NaT calls itself a datetime
        raise NotCanonicalError("not a time (NaT); send null for a missing value")
    if value.utcoffset() is None:
        return dt.datetime.isoformat(value.replace(tzinfo=None))
    try:
        utc = value.astimezone(dt.UTC)
    except OverflowError:
        raise NotCanonicalError("a time that is in no year from 1 to 9999 in UTC") from None
    return dt.datetime.isoformat(utc.replace(tzinfo=None)) + "Z"


def _settle_time(value: dt.time) -> str:
    if value.tzinfo is not None:
        raise NotCanonicalError("a time of day with a timezone but no date; send a date and time")
    return value.isoformat()


def _settle_numpy(value: t.Any) -> Scalar:
    """A numpy scalar as the Python value that it holds; numpy itself need not be there for that."""
    if _FINE_DATETIME.match(str(getattr(value, "dtype", ""))):
        value = value.astype("datetime64[us]")
    item = value.item() if getattr(value, "shape", None) == () else value
    if type(item).__module__ == "numpy":
        raise NotCanonicalError(f"{_kind(value)} has no JSON form; send text, a number, true, false or null")
    return settle_scalar(item)


def _as_it_is(value: bool | None) -> bool | None:
    return value


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


# Nearly all values are of these very types, and found by one look.
_PLAIN: dict[type, t.Callable[[t.Any], Scalar]] = {
    str: _settle_text,
    int: _settle_int,
    float: _settle_float,
    bool: _as_it_is,
    type(None): _as_it_is,
}
# datetime stands before date, whose subclass it is.
_OTHERS: tuple[tuple[type, t.Callable[[t.Any], Scalar]], ...] = (
    (decimal.Decimal, _settle_decimal),
    (dt.datetime, _settle_datetime),
    (dt.date, dt.date.isoformat),
    (dt.time, _settle_time),
    (uuid.UUID, str),
)
