"""A real MindsDB, asked over HTTP."""

from __future__ import annotations

import time
import typing as t

import psycopg
import requests

__all__ = ("MindsDB", "connection")

TRAINING_SECONDS = 180

Rows = list[dict[str, t.Any]]


class MindsDB:
    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        self.session = requests.Session()
        wait_for(lambda: requests.get(f"{url}/api/util/ping", timeout=5).ok, 120, "MindsDB")
        login = self.session.post(f"{url}/api/login", json={"username": username, "password": password}, timeout=30)
        self.session.headers["Authorization"] = f"Bearer {login.json()['token']}"

    def sql(self, query: str) -> Rows:
        answer = self.session.post(f"{self.url}/api/sql/query", json={"query": query}, timeout=120).json()
        if answer["type"] == "error":
            raise RuntimeError(answer["error_message"])
        return [dict(zip(answer["column_names"], row, strict=True)) for row in answer.get("data", [])]

    def predict(self, model: str, rows: Rows) -> Rows:
        path = f"{self.url}/api/projects/mindsdb/models/{model}/predict"
        answer = self.session.post(path, json={"data": rows}, timeout=120)
        if not answer.ok:
            raise RuntimeError(answer.json()["detail"])
        return t.cast("Rows", answer.json())

    def describe(self, model: str) -> dict[str, t.Any]:
        path = f"{self.url}/api/projects/mindsdb/models/{model}/describe"
        (row,) = self.session.get(path, json={"attribute": "model"}, timeout=60).json()
        return t.cast("dict[str, t.Any]", row)

    def trained(self, model: str, version: int) -> dict[str, t.Any]:
        """The record of a version when it is made, or failed."""
        found: Rows = []

        def done() -> bool:
            query = f"SELECT * FROM mindsdb.models WHERE name = '{model}' AND version = {version}"  # noqa: S608 - ours
            found[:] = self.sql(query)
            return bool(found) and found[0]["STATUS"] in ("complete", "error")

        wait_for(done, TRAINING_SECONDS, f"{model}, version {version}")
        return found[0]


def wait_for(ready: t.Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, f"{what} is not ready after {seconds} s"
        time.sleep(0.3)


def connection(variables: dict[str, t.Any]) -> str:
    keys = {"host": "postgres_host", "port": "postgres_port", "user": "postgres_user", "password": "postgres_password"}  # noqa: S105
    return psycopg.conninfo.make_conninfo(dbname="postgres", **{key: variables[name] for key, name in keys.items()})
