"""What a model of MLflow's registry takes, by its signature, and rows as it wants them."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from .columns import BOOLEAN, CATEGORY, DATETIME, NUMERIC, Column, encode
from .errors import InputError, RegistryError

__all__ = ("columns_of", "rows_for", "signature_of")

TYPES = {
    DataType.integer: NUMERIC, DataType.long: NUMERIC, DataType.float: NUMERIC, DataType.double: NUMERIC,
    DataType.boolean: BOOLEAN, DataType.string: CATEGORY, DataType.datetime: DATETIME,
}  # fmt: skip
WHOLE: dict[str, t.Any] = {"integer": np.int32, "long": np.int64}
EPOCH = pd.Timestamp(0)


def signature_of(columns: Sequence[Column], target: str, labels: np.ndarray[t.Any, t.Any]) -> ModelSignature:
    """Of a trained model: nullable numbers are doubles, and so are dates (days since 1970-01-01 UTC)."""
    inputs: list[t.Any] = [
        ColSpec(DataType.string if column.type == CATEGORY else DataType.double, column.name) for column in columns
    ]
    kinds = {"b": DataType.boolean, "i": DataType.long, "f": DataType.double}
    return ModelSignature(Schema(inputs), Schema([ColSpec(kinds.get(labels.dtype.kind, DataType.string), target)]))


def columns_of(signature: ModelSignature | None, model: str) -> tuple[Column, ...]:
    if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
        raise RegistryError(
            f"{model} has no signature with named columns, so rows cannot be checked against it: "
            f"log the model again with a signature (mlflow.models.infer_signature)."
        )
    columns = []
    for spec in signature.inputs.inputs:
        if not isinstance(spec, ColSpec) or not isinstance(spec.type, DataType) or spec.type not in TYPES:
            raise RegistryError(
                f"{model} takes column '{spec.name}' of type {spec.type}, which a table cannot give: "
                f"numbers, booleans, texts and dates are served."
            )
        columns.append(Column(str(spec.name), TYPES[spec.type], bool(spec.required), signature=spec.type.name))
    return tuple(columns)


def rows_for(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The rows in the signature's own types. Raises InputError with column and row."""
    encoded = encode(frame, columns)
    data = {}
    for column in columns:
        if column.name in encoded.columns:
            data[column.name] = _as_signed(column, encoded[column.name])
    return pd.DataFrame(data, index=frame.index)


def _as_signed(column: Column, values: pd.Series[t.Any]) -> pd.Series[t.Any]:
    missing = values.isna()
    if column.signature in (*WHOLE, "boolean") and missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise InputError(f"Column '{column.name}' is null in row {row}, and the model takes no null there.")
    if column.signature in WHOLE:
        kind = WHOLE[column.signature]
        wrong = np.flatnonzero((values % 1 != 0) | (values.abs() > np.iinfo(kind).max))
        if wrong.size:
            raise InputError(
                f"Column '{column.name}' takes a whole number: the value in row {int(wrong[0]) + 1} is not one."
            )
        return values.astype(kind)
    if column.signature == "boolean":
        return values.astype(bool)
    if column.signature == "datetime":
        return EPOCH + pd.to_timedelta(values, unit="D").dt.round("us")
    if column.signature == "float":
        return values.astype(np.float32)
    return values.where(~missing, None) if column.type == CATEGORY else values
