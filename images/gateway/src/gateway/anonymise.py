"""A row as the model, the cache, the log and the disk may see it: each column by its rule, and no column without one.

Pure but for Presidio, which is imported when a policy has a text column and not before: it costs memory (see `recognizers`).
"""

from __future__ import annotations

import datetime as dt
import hmac
import itertools
import typing as t
from bisect import bisect_right
from collections.abc import Callable, Mapping

from gateway.canonical import NotCanonicalError, Scalar, canonical_json, settle_scalar
from gateway.policy import Drop, Generalise, Hash, Keep, ModelPolicy, PolicyError, Text

__all__ = ("MAX_TEXT", "MIN_SITE_KEY", "Anonymiser", "RowError", "derive")

MIN_SITE_KEY = 32
# Characters of one value. A longer one is a document, not a column.
MAX_TEXT = 32_768

_Change = Callable[[Scalar], Scalar]


class RowError(ValueError):
    """A row that its policy cannot be applied to. Names the column and says why; never repeats the value."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column = column
        self.reason = reason


class Anonymiser:
    """`Anonymiser(policy, site_key)(row)`: the row with each named column changed by its rule, and the others left out."""

    def __init__(self, policy: ModelPolicy, site_key: bytes) -> None:
        if len(site_key) < MIN_SITE_KEY:
            raise ValueError(f"the site key has {len(site_key)} bytes; at least {MIN_SITE_KEY} random ones are needed")
        self.policy = policy
        self._changes: dict[str, _Change | None] = {}  # None: keep
        for name, rule in policy.columns.items():
            if not isinstance(rule, Drop):
                try:
                    self._changes[name] = _change(rule, site_key)
                except PolicyError as exc:
                    raise PolicyError(f"model {policy.name}: column {name}: {exc}") from exc

    def __call__(self, row: Mapping[str, t.Any]) -> dict[str, Scalar]:
        """In one loop, without a call for what needs none: columns are most of what a cached answer works on."""
        done: dict[str, Scalar] = {}
        name = ""
        try:
            for name, change in self._changes.items():
                if name not in row:
                    raise RowError(name, "is missing; send null when it has no value")
                value = settle_scalar(row[name])
                if isinstance(value, str):
                    _text(value)
                done[name] = value if change is None or value is None else change(value)
        except NotCanonicalError as exc:
            raise RowError(name, str(exc)) from exc
        except _Unfit as exc:
            raise RowError(name, str(exc)) from None
        return done


class _Unfit(Exception):
    """A value of another kind than the rule is for."""


def _change(rule: Keep | Hash | Generalise | Text, site_key: bytes) -> _Change | None:
    if isinstance(rule, Hash):
        return lambda value: _pseudonym(value, site_key)
    if isinstance(rule, Generalise):
        return _generaliser(rule)
    if isinstance(rule, Text):
        from gateway import recognizers  # noqa: PLC0415 - see the first lines

        scrubber = recognizers.TextScrubber(rule)
        # settled again: what stands behind a <PERSON> may make one character with its >
        return lambda value: settle_scalar(scrubber(_text(value, recognizers.MAX_TEXT)))
    return None


def _pseudonym(value: Scalar, site_key: bytes) -> str:
    # 123 and "123" are one customer: databases keep as a number what clients send as text
    text = value.encode() if isinstance(value, str) else canonical_json(value)
    return hmac.digest(site_key, text, "sha256").hex()


def derive(site_key: bytes, purpose: str) -> bytes:
    """A key for another purpose than pseudonyms (HKDF's extract). Here the site's key is what is digested: it is the other
    way round in a pseudonym, whose text a client may choose and whose digest it may see.
    """
    return hmac.digest(purpose.encode(), site_key, "sha256")


def _generaliser(rule: Generalise) -> _Change:
    if rule.bins is not None:
        edges, names = rule.bins, _bins(rule.bins)
        return lambda value: names[bisect_right(edges, _number(value))]
    if rule.prefix is not None:
        length = rule.prefix
        return lambda value: _text(value).strip()[:length]
    to_month = rule.date == "month"
    return lambda value: _date(value, to_month=to_month)


def _bins(edges: tuple[float, ...]) -> list[str]:
    """What a value is called by how many edges are not above it."""
    texts = [str(settle_scalar(edge)) for edge in edges]
    between = [f"[{low}, {high})" for low, high in itertools.pairwise(texts)]
    return [f"< {texts[0]}", *between, f">= {texts[-1]}"]


def _number(value: Scalar) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unfit(f"bins are for numbers, and this is {_json_kind(value)}")
    return value


def _date(value: Scalar, *, to_month: bool) -> str:
    try:
        moment = dt.datetime.fromisoformat(_text(value))
        if moment.utcoffset() is not None:
            moment = moment.astimezone(dt.UTC)
    except ValueError:
        raise _Unfit("is no date; write it as 2026-11-22 or 2026-11-22T13:00:00Z") from None
    except OverflowError:
        raise _Unfit("is a time that is in no year from 1 to 9999 in UTC") from None
    return f"{moment.year:04}-{moment.month:02}" if to_month else f"{moment.year:04}"


def _text(value: Scalar, longest: int = MAX_TEXT) -> str:
    if not isinstance(value, str):
        raise _Unfit(f"this rule is for text, and this is {_json_kind(value)}")
    if len(value) > longest:
        raise _Unfit(f"holds {len(value)} characters, more than the {longest} that a value may have here")
    return value


def _json_kind(value: Scalar) -> str:
    return {str: "text", bool: "true or false"}.get(type(value), "a number")
