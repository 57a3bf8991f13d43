"""One MLflow run in which MindsDB trains a model on a table, predicts the rows it has not seen, and MLflow keeps what came of it.

Runs wherever the two answer: as the Job beside this file in the cluster, or on any machine with `pip install mlflow-skinny mindsdb-sdk`
and the node ports (see README.md). Addresses and the login come from the environment:

    MLFLOW_TRACKING_URI  http://mlflow:5000          MINDSDB_URL       http://mindsdb:47334
                                                     MINDSDB_USERNAME, MINDSDB_PASSWORD
"""

from __future__ import annotations

import argparse
import os
import re
import time
import typing as t

import mindsdb_sdk
import mlflow
import pandas as pd
import requests

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def main() -> None:
    given = _arguments()
    server = connect()
    mlflow.set_experiment(given.experiment)
    with mlflow.start_run(run_name=given.model) as run:
        held_out = f"{given.key} % {given.hold_out} = 0"
        columns = feature_columns(server, given)

        began = time.monotonic()
        version = train(server, given, f"SELECT {columns}, {given.target} FROM {given.table} WHERE NOT ({held_out})")
        mlflow.log_metric("training_seconds", time.monotonic() - began)
        # The engine has logged the training itself, and registered the model: here is where.
        trained = describe(server, given.model)
        mlflow.log_params(
            {"datasource": given.datasource, "table": given.table, "target": given.target, "hold_out": held_out}
        )
        mlflow.set_tags({
            "mindsdb_model": f"{given.model}.{version}",
            "mlflow_model": f"models:/{trained['mlflow_model']}/{trained['mlflow_version']}",
            "training_run": trained["run_id"],
        })  # fmt: skip

        table = predict(server, given, f"SELECT * FROM {given.table} WHERE {held_out}")
        scores = score(table, trained["problem"])
        mlflow.log_metrics({"held_out_rows": len(table), **scores})
        mlflow.log_table(table, "predictions.json")

    print(
        f"model {given.model} version {version} is models:/{trained['mlflow_model']}/{trained['mlflow_version']} in MLflow"
    )
    print(f"{len(table)} held-out rows: {', '.join(f'{name} {value:.4f}' for name, value in scores.items())}")
    print(f"run {run.info.run_id} of experiment {given.experiment} has the metrics and predictions.json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasource", default="example", help="the data source in MindsDB")
    parser.add_argument("--table", default="patients", help="its table")
    parser.add_argument("--target", default="target", help="the column to predict")
    parser.add_argument(
        "--key", default="id", help="a whole number in each row, by which rows are held out of the training"
    )
    parser.add_argument("--hold-out", type=int, default=3, metavar="N", help="hold out every N-th row")
    parser.add_argument("--model", default="example", help="the model's name in MindsDB and in MLflow's registry")
    parser.add_argument("--experiment", default="examples", help="the experiment in MLflow")
    given = parser.parse_args()
    for name in ("datasource", "table", "target", "key", "model"):
        # These become part of SQL text, where a name must not be able to become anything else.
        if not _NAME.fullmatch(getattr(given, name)):
            parser.error(
                f"--{name} takes a plain name of letters, digits and underscores, not {getattr(given, name)!r}"
            )
    if given.hold_out < 2:
        parser.error("--hold-out takes a number from 2: with less nothing is left to train on")
    return given


def connect() -> t.Any:
    missing = [
        name
        for name in ("MINDSDB_URL", "MINDSDB_USERNAME", "MINDSDB_PASSWORD", "MLFLOW_TRACKING_URI")
        if not os.environ.get(name)
    ]
    if missing:
        raise SystemExit(f"set {' and '.join(missing)} in the environment; README.md says to what")
    given = {"login": os.environ["MINDSDB_USERNAME"], "password": os.environ["MINDSDB_PASSWORD"]}
    deadline = time.monotonic() + 30
    while True:
        try:
            return mindsdb_sdk.connect(os.environ["MINDSDB_URL"], **given)
        except requests.ConnectionError:
            # The network lets a new pod through only once it has been told of it, a moment after the start.
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def feature_columns(server: t.Any, given: argparse.Namespace) -> str:
    """All columns to learn from: the key says nothing of a row, and would be learnt all the same."""
    first = server.query(f"SELECT * FROM {given.datasource} (SELECT * FROM {given.table} LIMIT 1)").fetch()
    names = [name for name in first.columns if name not in (given.key, given.target)]
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def train(server: t.Any, given: argparse.Namespace, query: str) -> int:
    """Train the model, or its next version, and wait for it; the number of the version."""
    known = server.models.list(with_versions=True, name=given.model)
    if known:
        # A version of the same definition, from the rows that are there now. The older versions can still be asked.
        rows = server.query(
            f"RETRAIN mindsdb.{given.model} FROM {given.datasource} ({query}) PREDICT {given.target} USING engine = 'tabular'"
        ).fetch()
        version = int(rows["VERSION"][0])
    else:
        model = server.models.create(
            given.model, predict=given.target, engine="tabular", database=given.datasource, query=query
        )
        version = int(model.data["version"])
    # The SDK's own wait_complete() gives up after two minutes without a word.
    while (trained := server.models.get(given.model, version)).data["status"] in ("generating", "training"):
        time.sleep(1)
    if trained.data["status"] != "complete":
        raise SystemExit(f"training of {given.model} failed: {trained.data['error']}")
    return version


def describe(server: t.Any, model: str) -> dict[str, t.Any]:
    """What engine `tabular` knows of the active version: among others which run and which version in MLflow it is."""
    described: dict[str, t.Any] = server.models.get(model).describe("model").iloc[0].to_dict()
    return described


def predict(server: t.Any, given: argparse.Namespace, query: str) -> pd.DataFrame:
    """Key, truth and prediction of each row, by a JOIN of the table with the model."""
    joined = f"""
        SELECT t.{given.key} AS row_key, t.{given.target} AS actual, m.{given.target} AS predicted
        FROM (SELECT * FROM {given.datasource} ({query})) AS t
        JOIN mindsdb.{given.model} AS m
    """
    table: pd.DataFrame = server.query(joined).fetch()
    return table.rename(columns={"row_key": given.key})


def score(table: pd.DataFrame, problem: str) -> dict[str, float]:
    actual, predicted = table["actual"], table["predicted"]
    if problem == "classification":
        return {"accuracy": float((actual.astype(str) == predicted.astype(str)).mean())}
    error = (actual - predicted).astype(float)
    spread = float(((actual - actual.mean()) ** 2).sum())
    return {
        "r2": 1 - float((error**2).sum()) / spread if spread else 0.0,
        "mean_absolute_error": float(error.abs().mean()),
        "root_mean_squared_error": float((error**2).mean() ** 0.5),
    }


if __name__ == "__main__":
    main()
