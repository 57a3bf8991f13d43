"""PostgreSQL to MindsDB to MLflow and back."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psycopg
import pytest
from engine_servers import MindsDB, connection
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec
from mlflow_server import MlflowServer

from tabular_handler.columns import describe_columns, encode, find_columns
from tabular_handler.options import Options
from tabular_handler.pipelines import build_pipeline
from tabular_handler.training import prepare

INPUTS = "age, sex, smoker, seen, bmi, bp, s1, s2, s3, s4, s5, s6"
KNOWN, HIDDEN = "id % 3 <> 0", "t.id > 300"
TRAIN = f"FROM clinic (SELECT {INPUTS}, progression FROM patients WHERE {KNOWN}) PREDICT progression"  # noqa: S608


def rows_of(variables: dict[str, t.Any], where: str, columns: str = f"{INPUTS}, progression") -> pd.DataFrame:
    with psycopg.connect(connection(variables)) as database:
        cursor = database.execute(f"SELECT {columns} FROM patients t WHERE {where} ORDER BY id")  # noqa: S608
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names, dtype=object)


@pytest.fixture(scope="module")
def model(mindsdb: MindsDB) -> str:
    """Two versions of one model: 1 linear, 2 boosting."""
    mindsdb.sql("DROP MODEL IF EXISTS decline")
    mindsdb.sql(
        f"CREATE MODEL decline {TRAIN} USING engine = 'tabular', seed = 7, algorithm = 'linear', name = 'clinic'"
    )
    record = mindsdb.trained("decline", 1)
    assert record["STATUS"] == "complete", record["ERROR"]
    mindsdb.sql("RETRAIN decline USING seed = 7, algorithm = 'boosting', name = 'clinic'")
    record = mindsdb.trained("decline", 2)
    assert record["STATUS"] == "complete", record["ERROR"]
    return "decline"


def plain(variables: dict[str, t.Any], algorithm: str) -> tuple[list[str], np.ndarray[t.Any, t.Any]]:
    """The held-out rows, asked of the same model in plain scikit-learn."""
    prepared = prepare(rows_of(variables, KNOWN), "progression", Options())
    pipeline = build_pipeline(prepared.columns, "classification", 7, algorithm).fit(prepared.features, prepared.labels)
    return pipeline.classes_.tolist(), pipeline.predict_proba(encode(rows_of(variables, HIDDEN), prepared.columns))


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("decline.1", "linear"), ("decline.2", "boosting"), ("decline", "boosting")],
    ids=["the old version", "the new one", "the active one"],
)
def test_a_join_gives_what_plain_scikit_learn_gives(
    mindsdb: MindsDB, model: str, variables: dict[str, t.Any], name: str, algorithm: str
) -> None:
    answers = mindsdb.sql(
        f"SELECT t.id, m.progression, m.progression_explain FROM clinic.patients AS t JOIN mindsdb.{name} AS m "  # noqa: S608
        f"WHERE {HIDDEN} ORDER BY t.id LIMIT 1000"
    )
    classes, chances = plain(variables, algorithm)
    assert len(answers) == len(chances) == 141
    explained = [json.loads(row["progression_explain"])["probabilities"] for row in answers]
    ours = np.array([[row[label] for label in classes] for row in explained])
    np.testing.assert_allclose(ours, chances, rtol=0, atol=1e-9)
    assert [row["progression"] for row in answers] == [classes[place] for place in chances.argmax(axis=1)]


def test_rows_over_http_give_the_same(mindsdb: MindsDB, model: str, variables: dict[str, t.Any]) -> None:
    rows = json.loads(
        rows_of(variables, HIDDEN, INPUTS).to_json(orient="records", date_format="iso", double_precision=15)
    )
    answers = mindsdb.predict("decline.1", rows)
    _, chances = plain(variables, "linear")
    confidence = [json.loads(row["progression_explain"])["confidence"] for row in answers]
    np.testing.assert_allclose(confidence, chances.max(axis=1), rtol=0, atol=1e-9)


def test_what_describe_and_mlflow_say(
    mindsdb: MindsDB, model: str, variables: dict[str, t.Any], mlflow_server: MlflowServer
) -> None:
    client = MlflowClient(mlflow_server.url)
    said = [mindsdb.describe(f"decline.{version}") for version in (1, 2)]
    assert [row["algorithm"] for row in said] == ["linear", "boosting"]
    assert int(said[1]["mlflow_version"]) == int(said[0]["mlflow_version"]) + 1
    known = rows_of(variables, KNOWN)
    for number, row in enumerate(said, 1):
        assert (row["kind"], row["problem"]) == ("trained", "classification")
        assert (row["mlflow_model"], row["target"]) == ("clinic", "progression")
        assert row["data_digest"] == prepare(known, "progression", Options()).digest
        assert json.loads(row["columns"]) == describe_columns(find_columns(known[INPUTS.split(", ")], 200))
        version = client.get_model_version("clinic", row["mlflow_version"])
        assert version.run_id == row["run_id"]
        run = client.get_run(row["run_id"])
        assert run.data.metrics == pytest.approx(json.loads(row["metrics"]))
        assert {"mindsdb_model": "decline", "mindsdb_version": str(number)}.items() <= run.data.tags.items()
    assert mindsdb.sql("DESCRIBE decline")[0]["TABLES"] == ["model", "columns", "metrics"]
    assert mindsdb.sql("DESCRIBE mindsdb.decline.`1`.model")[0]["run_id"] == said[0]["run_id"]


# Code that MLflow stores as it is: a pickled class would be looked for in this module, which MindsDB does not have.
SCALED = """
import mlflow

class Scaled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["bmi"] * context.model_config["factor"]

mlflow.models.set_model(Scaled())
"""


def publish(client: MlflowClient, folder: Path, factor: float) -> None:
    mlflow.set_tracking_uri(client.tracking_uri)  # of the whole process, and other tests have servers of their own
    code = folder / "scaled.py"
    code.write_text(SCALED)
    found = client.get_experiment_by_name("elsewhere")
    experiment = found.experiment_id if found else client.create_experiment("elsewhere")
    example = pd.DataFrame({"bmi": [1.5], "sex": ["1"]})
    signature = infer_signature(example, pd.Series([1.5]))
    signature.inputs.inputs[1] = ColSpec("string", "sex", required=False)
    with mlflow.start_run(experiment_id=experiment):
        logged = mlflow.pyfunc.log_model(
            name="model", python_model=code, model_config={"factor": factor}, pip_requirements=["mlflow"], registered_model_name="scaled",
            signature=signature, input_example=example,
        )  # fmt: skip
    client.set_registered_model_alias("scaled", "champion", str(logged.registered_model_version))


def test_a_model_of_the_registry_by_its_alias(mindsdb: MindsDB, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    client = MlflowClient(mlflow_server.url)
    publish(client, tmp_path, 2)
    mindsdb.sql("DROP MODEL IF EXISTS scaled")
    mindsdb.sql("CREATE MODEL scaled PREDICT weight USING engine = 'tabular', model = 'models:/scaled@champion'")
    record = mindsdb.trained("scaled", 1)
    assert record["STATUS"] == "complete", record["ERROR"]
    row = {"bmi": 10, "sex": "1"}
    assert mindsdb.predict("scaled", [row, row]) == [{"weight": 20.0}] * 2
    query = "SELECT m.weight, t.bmi FROM clinic.patients AS t JOIN mindsdb.scaled AS m WHERE t.id = 5"
    (joined,) = mindsdb.sql(query)
    assert joined["weight"] == pytest.approx(float(joined["bmi"]) * 2)
    publish(client, tmp_path, 3)
    assert mindsdb.predict("scaled", [row]) == [{"weight": 20.0}]  # a version is pinned
    mindsdb.sql("RETRAIN scaled")
    assert mindsdb.trained("scaled", 2)["STATUS"] == "complete"
    assert mindsdb.predict("scaled", [row]) == [{"weight": 30.0}]
    assert mindsdb.predict("scaled.1", [row]) == [{"weight": 20.0}]
    said = mindsdb.describe("scaled")
    assert said["kind"] == "registry"
    assert [(column["name"], column["required"]) for column in json.loads(said["columns"])] == [
        ("bmi", True),
        ("sex", False),
    ]
    assert mindsdb.predict("scaled", [{"bmi": 10}]) == [{"weight": 30.0}]


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        pytest.param("FROM clinic (SELECT * FROM patients WHERE id < 0) PREDICT progression USING engine = 'tabular'",
                     "TrainingError: The query returns no row", id="empty table"),
        pytest.param("FROM clinic (SELECT age, progression FROM patients WHERE progression = 'low') "
                     "PREDICT progression USING engine = 'tabular'", "one class alone", id="one class"),
        pytest.param("FROM clinic (SELECT age, NULL AS gone, progression FROM patients) PREDICT progression "
                     "USING engine = 'tabular'", "'gone' is null in every row", id="all missing"),
        pytest.param("PREDICT y USING engine = 'tabular', model = 'models:/nobody@champion'",
                     "RegistryError: Looking up models:/nobody@champion failed", id="no such model"),
        pytest.param("FROM clinic (SELECT age, progression FROM patients) PREDICT progression "
                     "USING engine = 'tabular', sead = 1", "did you mean 'seed'?", id="a slip in USING"),
    ],
)  # fmt: skip
def test_models_that_cannot_be_made(mindsdb: MindsDB, definition: str, text: str) -> None:
    mindsdb.sql("DROP MODEL IF EXISTS wrong")
    try:
        mindsdb.sql(f"CREATE MODEL wrong {definition}")
        error = mindsdb.trained("wrong", 1)["ERROR"]
    except RuntimeError as exc:
        error = str(exc)
    assert text in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"bmi": "heavy"}, "Column 'bmi' takes a number or null: the value in row 1", id="wrong type"),
        pytest.param({"weight": 3}, "The model has no column 'weight'", id="unknown column"),
        pytest.param({"age": ...}, "The rows lack column 'age'", id="missing column"),
    ],
)
def test_rows_that_cannot_be_asked_about(
    mindsdb: MindsDB, model: str, variables: dict[str, t.Any], change: dict[str, t.Any], text: str
) -> None:
    (row,) = json.loads(rows_of(variables, "t.id = 5", INPUTS).to_json(orient="records", date_format="iso"))
    row = {name: value for name, value in {**row, **change}.items() if value is not ...}
    with pytest.raises(RuntimeError) as caught:
        mindsdb.predict("decline.1", [row])
    assert text in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_mlflow_is_away(mindsdb: MindsDB, model: str, mlflow_server: MlflowServer) -> None:
    """The last test. A training that fails leaves the model as it was."""
    mindsdb.sql("DROP MODEL IF EXISTS late")
    mlflow_server.stop()
    mindsdb.sql(f"CREATE MODEL late {TRAIN} USING engine = 'tabular'")
    assert "RegistryError: MLflow does not answer" in mindsdb.trained("late", 1)["ERROR"]
    mindsdb.sql("RETRAIN decline")
    assert "MLflow does not answer" in mindsdb.trained("decline", 3)["ERROR"]
    assert mindsdb.describe("decline") == mindsdb.describe("decline.2")
