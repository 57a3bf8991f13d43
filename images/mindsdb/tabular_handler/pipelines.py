"""The models, from scikit-learn's own parts alone: whoever loads one from MLflow needs scikit-learn and nothing of ours."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler

from .columns import BOOLEAN, CATEGORY, DATE, DATETIME, NUMERIC, Column

__all__ = ("CLASSIFICATION", "LEARNERS", "REGRESSION", "build_pipeline")

CLASSIFICATION, REGRESSION = "classification", "regression"
LEARNERS = ("linear", "boosting")
YEAR, WEEK, DAY = 365.2425, 7.0, 1.0
# 1970-01-01 was a Thursday: the week's first knot lies on a Monday
MONDAY = -3.0


def build_pipeline(columns: Sequence[Column], problem: str, seed: int, algorithm: str = "boosting") -> Pipeline:
    """An unfitted pipeline for frames of columns.encode()."""
    if algorithm == "linear":
        return Pipeline([("columns", _for_linear(columns)), ("model", _linear(problem, seed))])
    return Pipeline([("columns", _for_trees(columns)), ("model", _boosting(columns, problem, seed))])


def _names(columns: Sequence[Column], *types: str) -> list[str]:
    return [column.name for column in columns if column.type in types]


def _for_trees(columns: Sequence[Column]) -> ColumnTransformer:
    # categories first, so that their places are known to the model; null and unknown ones are both 'missing' to it
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    steps: list[tuple[str, t.Any, list[str]]] = [
        ("category", codes, _names(columns, CATEGORY)),
        ("number", "passthrough", _names(columns, NUMERIC, BOOLEAN, DATE, DATETIME)),
        *_calendar(columns),
    ]
    return ColumnTransformer([step for step in steps if step[2]])


def _for_linear(columns: Sequence[Column]) -> ColumnTransformer:
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    flags = SimpleImputer(strategy="most_frequent", add_indicator=True, keep_empty_features=True)
    # an unknown category is none of the known; null is a category where the training rows had it
    groups = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps: list[tuple[str, t.Any, list[str]]] = [
        ("category", groups, _names(columns, CATEGORY)),
        ("number", numbers, _names(columns, NUMERIC, DATE, DATETIME)),
        ("flag", flags, _names(columns, BOOLEAN)),
        *_calendar(columns),
    ]
    return ColumnTransformer([step for step in steps if step[2]])


def _calendar(columns: Sequence[Column]) -> list[tuple[str, t.Any, list[str]]]:
    """Place in the year, in the week and in the day, as smooth periodic features; a missing date is zero in all of them."""
    return [
        (f"{period}_of_{column.name}", _periodic(start, length, knots, degree), [column.name])
        for column in columns
        if column.type in (DATE, DATETIME)
        for period, start, length, knots, degree in (
            ("year", 0.0, YEAR, 7, 3),
            ("week", MONDAY, WEEK, 8, 1),
            ("day", 0.0, DAY, 7, 3),
        )
        if period != "day" or column.type == DATETIME
    ]


def _periodic(start: float, length: float, knots: int, degree: int) -> SplineTransformer:
    places = np.linspace(start, start + length, knots).reshape(-1, 1)
    return SplineTransformer(
        knots=places, degree=degree, extrapolation="periodic", include_bias=False, handle_missing="zeros"
    )


def _linear(problem: str, seed: int) -> LogisticRegression | Ridge:
    if problem == CLASSIFICATION:
        return LogisticRegression(max_iter=1000, random_state=seed)
    return Ridge(random_state=seed)


def _boosting(
    columns: Sequence[Column], problem: str, seed: int
) -> HistGradientBoostingClassifier | HistGradientBoostingRegressor:
    kind = HistGradientBoostingClassifier if problem == CLASSIFICATION else HistGradientBoostingRegressor
    return kind(categorical_features=list(range(len(_names(columns, CATEGORY)))) or None, random_state=seed)
