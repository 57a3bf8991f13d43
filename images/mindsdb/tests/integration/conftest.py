"""A real MindsDB and PostgreSQL of the run, and an MLflow of our own that a test may stop.

What they are called stands in the file that INTEGRATION_VARIABLES names (tests/run/integration.py).
"""

from __future__ import annotations

import json
import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from engine_servers import MindsDB, connection
from engine_tables import progression
from mlflow_server import MlflowServer


@pytest.fixture(scope="session")
def variables() -> dict[str, t.Any]:
    values = json.loads(Path(os.environ["INTEGRATION_VARIABLES"]).read_text())
    return t.cast("dict[str, t.Any]", values)


@pytest.fixture(scope="session")
def mlflow_server(variables: dict[str, t.Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), variables["mindsdb_mlflow_uri"])
    server.start()
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = server.url
    yield server
    server.stop()
    os.environ.pop("MLFLOW_TRACKING_URI")
    if before is not None:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(scope="session")
def patients(variables: dict[str, t.Any]) -> str:
    """Real rows in PostgreSQL, with an id, and a date, a boolean and nulls among them."""
    table = progression().reset_index(names="id")
    table = table.assign(
        smoker=[None if row % 11 == 0 else row % 3 == 0 for row in table["id"]],
        seen=[None if row % 13 == 0 else f"2020-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in table["id"]],
        sex=[None if row % 17 == 0 else value for row, value in zip(table["id"], table["sex"], strict=True)],
    )
    numbers = [name for name in table.columns if name not in ("id", "sex", "progression", "smoker", "seen")]
    kinds = {"id": "integer", "sex": "text", "progression": "text", "smoker": "boolean", "seen": "date"}
    kinds |= dict.fromkeys(numbers, "double precision") | {"bmi": "numeric"}
    with psycopg.connect(connection(variables)) as database:
        database.execute("DROP TABLE IF EXISTS patients")
        database.execute(f"CREATE TABLE patients ({', '.join(f'{name} {kinds[name]}' for name in table.columns)})")
        with database.cursor().copy(f"COPY patients ({', '.join(table.columns)}) FROM STDIN") as copy:  # noqa: S608
            for row in table.itertuples(index=False):
                copy.write_row(row)
    return "patients"


@pytest.fixture(scope="session")
def mindsdb(variables: dict[str, t.Any], mlflow_server: MlflowServer, patients: str) -> MindsDB:
    server = MindsDB(variables["mindsdb_url"], variables["mindsdb_username"], variables["mindsdb_password"])
    parameters = {
        "host": variables["postgres_host"], "port": variables["postgres_port"], "user": variables["postgres_user"],
        "password": variables["postgres_password"], "database": "postgres",
    }  # fmt: skip
    server.sql("DROP DATABASE IF EXISTS clinic")
    server.sql(f"CREATE DATABASE clinic WITH ENGINE = 'postgres', PARAMETERS = {json.dumps(parameters)}")
    return server
