"""From rows to a fitted pipeline and its cross-validated metrics. Pure: the same rows and seed give the same model."""

from __future__ import annotations

import hashlib
import json
import typing as t
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline

from .columns import BOOLEAN, CATEGORY, NUMERIC, Column, columns_to_json, encode, find_columns
from .errors import TrainingError
from .options import Options
from .pipelines import CLASSIFICATION, LEARNERS, REGRESSION, build_pipeline

__all__ = ("Prepared", "Trained", "prepare", "train")

MIN_ROWS = 10
FOLDS = 5
# A whole-numbered target with this many values or fewer is a set of classes.
FEW_VALUES = 10
MAX_CLASSES = 100
# With more rows, boosting holds back a part of them to know when to stop, and splits every class for it.
EARLY_STOPPING_ROWS = 10_000

Array = np.ndarray[t.Any, t.Any]
Metrics = dict[str, float]


@dataclass(frozen=True)
class Prepared:
    """A table that can be learned from, its rows in an order of their own: SQL promises none."""

    columns: tuple[Column, ...]
    target: str
    problem: str
    features: pd.DataFrame
    labels: Array
    digest: str


@dataclass(frozen=True)
class Trained:
    pipeline: Pipeline
    algorithm: str
    metrics: Metrics


def prepare(frame: pd.DataFrame, target: str, options: Options) -> Prepared:
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1).reset_index(drop=True)
    _check_shape(frame, target)
    (column,) = find_columns(frame[[target]], len(frame))
    columns = find_columns(frame.drop(columns=target), options.max_categories)
    problem = options.problem or _problem(column, frame[target])
    labels = _labels(column, frame[target], problem, options)
    features = encode(frame.drop(columns=target), columns)
    order = _order(features, labels)
    features, labels = features.iloc[order].reset_index(drop=True), labels[order]
    return Prepared(columns, target, problem, features, labels, _digest(columns, target, features, labels))


def _check_shape(frame: pd.DataFrame, target: str) -> None:
    if frame.empty:
        raise TrainingError("The query returns no row: there is nothing to learn from. Check its FROM and WHERE.")
    if list(frame.columns).count(target) > 1:
        raise TrainingError(f"The query returns the target '{target}' twice: select it once.")
    if len(frame.columns) < 2:
        raise TrainingError(f"The query has no column but the target '{target}': add those to learn from.")
    missing = int(frame[target].isna().sum())
    if missing:
        raise TrainingError(
            f"The target '{target}' is null in {missing} of {len(frame)} rows: "
            f"leave them out, for example with WHERE {target} IS NOT NULL."
        )
    if len(frame) < MIN_ROWS:
        raise TrainingError(
            f"The query returns {len(frame)} rows: at least {MIN_ROWS} are needed to learn and to measure."
        )


def _problem(column: Column, values: pd.Series[t.Any]) -> str:
    if column.type != NUMERIC:
        return CLASSIFICATION
    numbers = values.astype(np.float64)
    distinct = numbers.nunique()
    few = distinct <= FEW_VALUES and 2 * distinct <= len(numbers)
    return CLASSIFICATION if few and bool((numbers % 1 == 0).all()) else REGRESSION


def _labels(column: Column, values: pd.Series[t.Any], problem: str, options: Options) -> Array:
    if column.type not in (BOOLEAN, CATEGORY, NUMERIC):
        raise TrainingError(
            f"The target '{column.name}' is {column.type}: only numbers and classes can be predicted. "
            f"Turn it into a number in the SELECT, for example the days between two dates."
        )
    if problem == REGRESSION:
        if column.type != NUMERIC:
            raise TrainingError(f"The target '{column.name}' is {column.type}: problem='regression' needs numbers.")
        return _finite(column.name, values)
    labels = _classes(column, values)
    _check_classes(column.name, labels, _least_rows(len(labels), options))
    return labels


def _finite(name: str, values: pd.Series[t.Any]) -> Array:
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise TrainingError(f"The target '{name}' holds infinite values: leave those rows out with WHERE.")
    if np.ptp(numbers) == 0:
        raise TrainingError(f"The target '{name}' has the same value in every row: there is nothing to learn.")
    return numbers


def _classes(column: Column, values: pd.Series[t.Any]) -> Array:
    if column.type == BOOLEAN:
        return np.asarray(values, dtype=bool)
    if column.type == CATEGORY:
        return np.array([str(value) for value in values])
    numbers = _finite(column.name, values) if values.nunique() > 1 else values.astype(np.float64).to_numpy()
    return numbers.astype(np.int64) if bool((numbers % 1 == 0).all()) else np.array([str(number) for number in numbers])


def _least_rows(rows: int, options: Options) -> int:
    """How many rows a class needs, so that the folds can be trained on."""
    # a class of two is measured in two halves: one row in each, which early stopping cannot split
    half = rows - rows // 2
    return 3 if options.algorithm != "linear" and half > EARLY_STOPPING_ROWS else 2


def _check_classes(name: str, labels: Array, least: int) -> None:
    _, counts = np.unique(labels, return_counts=True)
    if len(counts) < 2:
        raise TrainingError(
            f"The target '{name}' has one class alone in all {len(labels)} rows: there is nothing to tell apart."
        )
    if len(counts) > MAX_CLASSES:
        raise TrainingError(
            f"The target '{name}' has {len(counts)} classes, more than {MAX_CLASSES}: "
            f"group them in the SELECT, or set problem='regression' when it is a quantity."
        )
    rare = int((counts < least).sum())
    if rare:
        few = "one row only" if least == 2 else f"fewer than {least} rows"
        raise TrainingError(
            f"The target '{name}' has {rare} of its {len(counts)} classes in {few}, too few to learn and to measure: "
            f"leave them out with WHERE, or group them."
        )


def _order(features: pd.DataFrame, labels: Array) -> Array:
    """By content, so that the order in which the database returned the rows does not matter."""
    keyed = features.assign(**{"\0label": labels})
    return t.cast("Array", keyed.sort_values(list(keyed.columns), kind="stable").index.to_numpy())


def _digest(columns: Sequence[Column], target: str, features: pd.DataFrame, labels: Array) -> str:
    """sha256 over names, types and every value, column by column."""
    digest = hashlib.sha256(json.dumps([columns_to_json(columns), target, str(labels.dtype.kind)]).encode())
    for values in [*(features[column.name].to_numpy() for column in columns), labels]:
        if values.dtype.kind == "f":
            # every NaN has the same bits, and -0.0 those of 0.0
            numbers = np.where(np.isnan(values), np.nan, values) + 0.0
            digest.update(numbers.astype("<f8").tobytes())
        else:
            # a float among texts is a null
            texts = [None if isinstance(value, float) else value for value in values.tolist()]
            digest.update(json.dumps(texts).encode())
    return f"sha256:{digest.hexdigest()}"


def train(columns: Sequence[Column], problem: str, features: pd.DataFrame, labels: Array, options: Options) -> Trained:
    """Measure each candidate on rows it has not seen, then fit the better one on all."""
    candidates = LEARNERS if options.algorithm == "auto" else (options.algorithm,)
    measured: dict[str, Metrics] = {}
    with warnings.catch_warnings():
        # a category of one fold alone is unknown to the others: that is what the encoder is told to ignore
        warnings.filterwarnings("ignore", message="Found unknown categories", category=UserWarning)
        for name in candidates:
            measured[name] = _measure(
                build_pipeline(columns, problem, options.seed, name), problem, features, labels, options
            )
    lower_is_better = "log_loss" if problem == CLASSIFICATION else "rmse"
    best = min(candidates, key=lambda name: measured[name][lower_is_better])
    pipeline = build_pipeline(columns, problem, options.seed, best).fit(features, labels)
    metrics = {f"cv_{key}": value for key, value in measured[best].items()}
    metrics |= {
        f"cv_{name}_{lower_is_better}": values[lower_is_better] for name, values in measured.items() if name != best
    }
    return Trained(pipeline, best, metrics | _baseline(problem, labels))


def _measure(pipeline: Pipeline, problem: str, features: pd.DataFrame, labels: Array, options: Options) -> Metrics:
    if problem == REGRESSION:
        folds: KFold | StratifiedKFold = KFold(FOLDS, shuffle=True, random_state=options.seed)
        return _regression_metrics(labels, cross_val_predict(pipeline, features, labels, cv=folds))
    _, counts = np.unique(labels, return_counts=True)
    folds = StratifiedKFold(min(FOLDS, *counts.tolist()), shuffle=True, random_state=options.seed)
    chances = cross_val_predict(pipeline, features, labels, cv=folds, method="predict_proba")
    return _classification_metrics(labels, chances)


def _regression_metrics(labels: Array, predicted: Array) -> Metrics:
    return {
        "r2": float(r2_score(labels, predicted)),
        "rmse": float(root_mean_squared_error(labels, predicted)),
        "mae": float(mean_absolute_error(labels, predicted)),
    }


def _classification_metrics(labels: Array, chances: Array) -> Metrics:
    classes = np.unique(labels)
    predicted = classes[chances.argmax(axis=1)]
    binary = len(classes) == 2
    area = (
        roc_auc_score(labels == classes[1], chances[:, 1])
        if binary
        else roc_auc_score(labels, chances, multi_class="ovr")
    )
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "f1_macro": float(f1_score(labels, predicted, average="macro")),
        "log_loss": float(log_loss(labels, chances, labels=classes)),
        "roc_auc": float(area),
    }


def _baseline(problem: str, labels: Array) -> Metrics:
    """What knowing nothing but the target would give: a model has to be better than this."""
    nothing = np.zeros((len(labels), 1))
    if problem == REGRESSION:
        mean = DummyRegressor().fit(nothing, labels).predict(nothing)
        return {"baseline_rmse": float(root_mean_squared_error(labels, mean))}
    return {"baseline_accuracy": float(DummyClassifier().fit(nothing, labels).score(nothing, labels))}
