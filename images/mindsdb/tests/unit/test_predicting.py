from __future__ import annotations

import json
import typing as t

import numpy as np
import pandas as pd
import pytest
from engine_tables import cancer, mixed, progression
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema, TensorSpec

from tabular_handler.columns import Column
from tabular_handler.errors import InputError, RegistryError
from tabular_handler.options import Options
from tabular_handler.predicting import ask_pipeline, ask_pyfunc
from tabular_handler.signature import columns_of, rows_for, signature_of
from tabular_handler.training import prepare, train

LINEAR = Options(algorithm="linear")


def learned(frame: pd.DataFrame, target: str) -> tuple[t.Any, tuple[Column, ...]]:
    prepared = prepare(frame, target, LINEAR)
    trained = train(prepared.columns, prepared.problem, prepared.features, prepared.labels, LINEAR)
    return trained.pipeline, prepared.columns


def test_classes_come_with_their_probabilities() -> None:
    pipeline, columns = learned(progression(), "progression")
    rows = progression().drop(columns="progression").set_axis(range(1000, 1442))
    answers = ask_pipeline(pipeline, columns, "progression", rows, classes=True)
    assert list(answers.index) == list(rows.index)
    for value, text in zip(answers["progression"], answers["progression_explain"], strict=True):
        explained = json.loads(text)
        assert set(explained) == {"confidence", "probabilities"}
        assert set(explained["probabilities"]) == {"high", "low"}
        assert sum(explained["probabilities"].values()) == pytest.approx(1)
        assert explained["confidence"] == explained["probabilities"][value] == max(explained["probabilities"].values())


@pytest.mark.parametrize(
    ("values", "kind", "keys"),
    [
        pytest.param(lambda f: f["target"], int, {"0", "1"}, id="whole numbers stay whole"),
        pytest.param(lambda f: f["target"] == 1, bool, {"false", "true"}, id="booleans stay booleans"),
        pytest.param(lambda f: f["target"].map({0: "nein", 1: "jä"}), str, {"nein", "jä"}, id="texts"),
    ],
)
def test_a_class_comes_as_it_was_given(values: t.Any, kind: type, keys: set[str]) -> None:
    frame = cancer().assign(target=values)
    pipeline, columns = learned(frame, "target")
    answers = ask_pipeline(pipeline, columns, "target", frame, classes=True)
    assert {type(value) for value in answers["target"]} == {kind}
    assert set(json.loads(answers["target_explain"].iloc[0])["probabilities"]) == keys
    rows = frame.drop(columns="target").astype(float)
    assert answers["target"].tolist() == pipeline.predict(rows).tolist()


def test_numbers_have_no_explanation() -> None:
    pipeline, columns = learned(mixed(), "answer")
    answers = ask_pipeline(pipeline, columns, "answer", mixed(), classes=False)
    assert list(answers.columns) == ["answer"]
    assert answers["answer"].dtype == np.float64


def test_no_rows_no_answers() -> None:
    pipeline, columns = learned(mixed(), "answer")
    assert ask_pipeline(pipeline, columns, "answer", pd.DataFrame(), classes=False).empty


def test_a_join_brings_columns_of_its_own() -> None:
    pipeline, columns = learned(mixed(), "answer")
    rows = mixed().assign(id=range(120))
    with pytest.raises(InputError, match="no column 'id'"):
        ask_pipeline(pipeline, columns, "answer", rows, classes=False)
    joined = rows.assign(__mindsdb_row_id=range(120))
    assert len(ask_pipeline(pipeline, columns, "answer", joined, classes=False)) == 120
    with pytest.raises(InputError, match="lack column 'grp'"):
        ask_pipeline(pipeline, columns, "answer", joined.drop(columns="grp"), classes=False)


def test_what_was_never_seen_is_answered() -> None:
    pipeline, columns = learned(mixed(), "answer")
    rows = mixed().head(2).assign(grp="violet", day="1900-01-01", number=None)
    assert np.isfinite(ask_pipeline(pipeline, columns, "answer", rows, classes=False)["answer"]).all()


def test_the_signature_of_a_trained_model() -> None:
    prepared = prepare(mixed(), "answer", LINEAR)
    signature = signature_of(prepared.columns, "answer", prepared.labels)
    assert signature.inputs.input_names() == ["number", "grp", "flag", "day", "seen"]
    assert [kind.name for kind in signature.inputs.input_types()] == ["double", "string", "double", "double", "double"]
    assert [(spec.name, spec.type.name) for spec in signature.outputs.inputs] == [("answer", "double")]
    kinds = {"long": np.array([1, 2]), "boolean": np.array([True]), "string": np.array(["a"])}
    for kind, labels in kinds.items():
        (spec,) = signature_of(prepared.columns, "answer", labels).outputs.inputs
        assert spec.type.name == kind


SIGNED = Schema(
    [
        ColSpec("long", "n"), ColSpec("integer", "i"), ColSpec("double", "d"), ColSpec("float", "f"),
        ColSpec("boolean", "b"), ColSpec("string", "s"), ColSpec("datetime", "t"), ColSpec("string", "o", required=False),
    ]
)  # fmt: skip
ROW = {"n": 2**40, "i": "7", "d": None, "f": 0.1, "b": "true", "s": None, "t": "2020-03-04T12:00:00.123456Z"}


def test_rows_get_the_types_of_the_signature() -> None:
    columns = columns_of(ModelSignature(SIGNED), "models:/m/1")
    assert [column.name for column in columns if not column.required] == ["o"]
    rows = rows_for(pd.DataFrame([ROW], index=[9]), columns)
    assert rows.dtypes.map(str).to_dict() == {
        "n": "int64", "i": "int32", "d": "float64", "f": "float32", "b": "bool", "s": "object", "t": "datetime64[ns]",
    }  # fmt: skip
    assert rows["n"].item() == 2**40
    assert rows["s"].tolist() == [None]
    assert rows["t"].item() == pd.Timestamp("2020-03-04T12:00:00.123456")
    assert list(rows.index) == [9]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n": None}, "'n' is null in row 1, and the model takes no null there"),
        ({"b": None}, "'b' is null in row 1"),
        ({"n": 1.5}, "'n' takes a whole number: the value in row 1"),
        ({"i": 2**40}, "'i' takes a whole number: the value in row 1"),
        ({"d": "x"}, "'d' takes a number or null: the value in row 1"),
    ],
)
def test_rows_that_the_signature_refuses(change: dict[str, t.Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        rows_for(pd.DataFrame([{**ROW, **change}]), columns_of(ModelSignature(SIGNED), "m"))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        pytest.param(None, "no signature with named columns", id="none"),
        pytest.param(ModelSignature(Schema([ColSpec("double")])), "no signature with named", id="no names"),
        pytest.param(
            ModelSignature(Schema([TensorSpec(np.dtype(float), (-1, 2))])), "no signature with named", id="a tensor"
        ),
        pytest.param(
            ModelSignature(Schema([ColSpec("binary", "x")])), "column 'x' of type DataType.binary", id="bytes"
        ),
        pytest.param(infer_signature({"x": [["a"]]}), "column 'x' of type", id="lists"),
    ],
)
def test_signatures_that_no_table_fits(signature: ModelSignature | None, text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        columns_of(signature, "models:/m/1")
    assert str(caught.value).startswith("models:/m/1")
    assert text in str(caught.value)


class Answers:
    def __init__(self, answer: t.Callable[[pd.DataFrame], t.Any]) -> None:
        self.predict = answer


ONE = [Column("x", "numeric")]
ROWS = pd.DataFrame({"x": [1, 2]}, index=[5, 6])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda rows: (rows["x"] * 2).to_numpy(), id="array"),
        pytest.param(lambda rows: (rows["x"] * 2).tolist(), id="list"),
        pytest.param(lambda rows: rows["x"] * 2, id="series"),
        pytest.param(lambda rows: (rows * 2).to_numpy(), id="one column"),
        pytest.param(lambda rows: rows * 2, id="frame of one column"),
        pytest.param(lambda rows: pd.DataFrame({"a": [0, 0], "y": [2.0, 4.0]}), id="frame with the target"),
    ],
)
def test_whatever_shape_a_pyfunc_answers_in(answer: t.Any) -> None:
    answers = ask_pyfunc(Answers(answer), ONE, "y", ROWS)
    assert answers["y"].tolist() == [2.0, 4.0]
    assert answers.index.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(lambda rows: [1], "1 answers for 2 rows", id="too few"),
        pytest.param(lambda rows: np.zeros((2, 2)), r"shape (2, 2): one value a row", id="two a row"),
        pytest.param(lambda rows: rows.assign(z=1), "columns x, z: none is 'y'", id="no target"),
        pytest.param(lambda rows: 1 / 0, "failed on these rows: ZeroDivisionError.", id="fails"),
    ],
)
def test_answers_that_cannot_be_used(answer: t.Any, text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        ask_pyfunc(Answers(answer), ONE, "y", ROWS)
    assert text in str(caught.value)


def test_a_pyfunc_is_not_asked_about_nothing() -> None:
    assert ask_pyfunc(Answers(lambda rows: 1 / 0), ONE, "y", pd.DataFrame()).empty
