"""What stands in USING. Pure; an unknown or wrong option is refused before anything is made."""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, fields

from .errors import OptionError

__all__ = ("ALGORITHMS", "PROBLEMS", "Options", "parse_options")

ALGORITHMS = ("auto", "boosting", "linear")
PROBLEMS = ("classification", "regression")
# Histogram boosting has 255 bins a column, and needs one for values it has not seen.
CATEGORIES = range(2, 255)
SEEDS = range(2**32)
SECONDS = range(1, 24 * 3600 + 1)
# MLflow refuses these in a registered model's name.
NOT_IN_NAMES = "/:"


@dataclass(frozen=True)
class Options:
    seed: int = 0
    time_limit: int = 600
    algorithm: str = "auto"
    problem: str | None = None
    name: str | None = None
    max_categories: int = 200
    model: str | None = None


def parse_options(using: Mapping[str, t.Any] | None) -> Options:
    given = {key.lower(): value for key, value in (using or {}).items()}
    given.pop("engine", None)
    known = [field.name for field in fields(Options)]
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise OptionError(f"USING has no option '{key}': {hint}It knows {', '.join(known)}.")
    if given.get("model") is not None:
        return _served(given)
    return Options(
        seed=_integer(given, "seed", SEEDS),
        time_limit=_integer(given, "time_limit", SECONDS),
        algorithm=t.cast("str", _choice(given, "algorithm", ALGORITHMS)),
        problem=_choice(given, "problem", PROBLEMS),
        name=_name(given),
        max_categories=_integer(given, "max_categories", CATEGORIES),
    )


def _served(given: dict[str, t.Any]) -> Options:
    others = sorted(set(given) - {"model"})
    if others:
        raise OptionError(
            f"USING has model=... and also {', '.join(others)}: a model of the registry is served as it is. "
            "Leave the others out, or leave out model to train one."
        )
    if not isinstance(given["model"], str):
        raise OptionError("USING model must be a text like 'models:/NAME@ALIAS' or 'models:/NAME/VERSION'.")
    return Options(model=given["model"])


def _default(key: str) -> t.Any:
    return getattr(Options(), key)


def _integer(given: Mapping[str, t.Any], key: str, allowed: range) -> int:
    value = given.get(key)
    if value is None:
        return t.cast("int", _default(key))
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or number not in allowed:
        raise OptionError(f"USING {key} must be a whole number from {allowed.start} to {allowed.stop - 1}.")
    return number


def _choice(given: Mapping[str, t.Any], key: str, allowed: tuple[str, ...]) -> str | None:
    value = given.get(key)
    if value is None:
        return t.cast("str | None", _default(key))
    if not isinstance(value, str) or value.lower() not in allowed:
        raise OptionError(f"USING {key} must be one of {', '.join(allowed)}.")
    return value.lower()


def _name(given: Mapping[str, t.Any]) -> str | None:
    value = given.get("name")
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or any(sign in value for sign in NOT_IN_NAMES):
        raise OptionError(
            "USING name must be a text without '/' and ':': it becomes the model's name in MLflow's registry."
        )
    return value.strip()
