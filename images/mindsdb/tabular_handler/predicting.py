"""Answers: one row out for one row in, as MindsDB wants them. Pure."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from .columns import Column, encode, match_columns
from .errors import RegistryError
from .signature import rows_for

__all__ = ("ask_pipeline", "ask_pyfunc")

# MindsDB's own columns start with these; this one is there when the rows come from a JOIN, with all that the JOIN selects.
OWN = ("__mindsdb", "__mdb")
ROW_ID = "__mindsdb_row_id"


class PyFunc(t.Protocol):
    def predict(self, data: pd.DataFrame) -> t.Any: ...


def ask_pipeline(
    pipeline: Pipeline, columns: Sequence[Column], target: str, frame: pd.DataFrame, *, classes: bool
) -> pd.DataFrame:
    if frame.empty:
        return pd.DataFrame({target: []})
    rows = encode(_take(frame, columns, target), columns)
    if not classes:
        return pd.DataFrame({target: pipeline.predict(rows)}, index=frame.index)
    chances = pipeline.predict_proba(rows)
    labels = pipeline.classes_.tolist()
    best = chances.argmax(axis=1)
    return pd.DataFrame(
        {
            target: pd.Series([labels[place] for place in best], index=frame.index, dtype=object),
            f"{target}_explain": [_explain(labels, row, place) for row, place in zip(chances, best, strict=True)],
        },
        index=frame.index,
    )


def _explain(labels: list[t.Any], chances: np.ndarray[t.Any, t.Any], best: int) -> str:
    named = {_text(label): chance for label, chance in zip(labels, chances.tolist(), strict=True)}
    return json.dumps({"confidence": float(chances[best]), "probabilities": named}, ensure_ascii=False)


def _text(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def ask_pyfunc(model: PyFunc, columns: Sequence[Column], target: str, frame: pd.DataFrame) -> pd.DataFrame:
    if frame.empty:
        return pd.DataFrame({target: []})
    rows = rows_for(_take(frame, columns, target), columns)
    try:
        answer = model.predict(rows)
    except Exception as exc:  # the model is somebody's own code: anything can come out of it
        raise RegistryError(f"The model of the registry failed on these rows: {type(exc).__name__}.") from exc
    values = _single(answer, target)
    if len(values) != len(frame):
        raise RegistryError(f"The model of the registry gave {len(values)} answers for {len(frame)} rows.")
    return pd.DataFrame({target: values}, index=frame.index)


def _take(frame: pd.DataFrame, columns: Sequence[Column], target: str) -> pd.DataFrame:
    joined = ROW_ID in frame.columns
    given = frame.loc[:, [name for name in frame.columns if not str(name).startswith(OWN)]]
    return match_columns(given, columns, ignore=[target], extra_allowed=joined)


def _single(answer: t.Any, target: str) -> list[t.Any]:
    """One value a row, from whatever shape a pyfunc returns."""
    if isinstance(answer, pd.DataFrame):
        names = [str(name) for name in answer.columns]
        if target in names:
            return t.cast("list[t.Any]", answer.iloc[:, names.index(target)].tolist())
        if len(names) != 1:
            raise RegistryError(
                f"The model of the registry answers with columns {', '.join(names)}: none is '{target}'."
            )
        return t.cast("list[t.Any]", answer.iloc[:, 0].tolist())
    values = np.asarray(answer)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise RegistryError(f"The model of the registry answers with shape {values.shape}: one value a row is needed.")
    return t.cast("list[t.Any]", values.tolist())
