"""Decisions arrive in a real MLflow, attributes and outcomes in a real PostgreSQL, once each, whatever is away meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow as sdk
import psycopg
import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer

from gateway.anonymise import derive
from gateway.audit.facts import SCHEMA
from gateway.sealing import Seal

from .conftest import Make
from .processes import ROW, Gateway, wait_for

FAST = {"GATEWAY_SHIP_SECONDS": "0.1"}


def ask(gateway: Gateway, count: int) -> list[str]:
    answer = gateway.predict(*({**ROW, "hours": number % 90} for number in range(count)))
    return [prediction["decision_id"] for prediction in answer.json()["predictions"]]


def traces(mlflow_server: MlflowServer, *, client: str) -> list[t.Any]:
    """By MLflow's own client, which shares nothing with the gateway's way in."""
    sdk.set_tracking_uri(mlflow_server.url)
    api = MlflowClient(mlflow_server.url)
    experiment = api.get_experiment_by_name("decisions")
    if experiment is None:
        return []
    found: list[t.Any] = []
    token = None
    while True:
        page = api.search_traces(
            locations=[experiment.experiment_id],
            filter_string=f"tags.client = '{client}'",
            max_results=500,
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def named(gateway: Gateway, name: str) -> Gateway:
    """A client name of the test's own, so that tests share one MLflow."""
    (gateway.keys / "tests").rename(gateway.keys / name)
    return gateway


def test_a_decision_becomes_one_trace_with_all_that_matters(make_gateway: Make, mlflow_server: MlflowServer) -> None:
    gateway = named(make_gateway(MLFLOW_TRACKING_URI=mlflow_server.url, **FAST), "one").start()
    [ident] = ask(gateway, 1)
    wait_for(lambda: gateway.metric("gateway_decisions_unshipped") == 0, "it does not arrive", 30)
    [trace] = traces(mlflow_server, client="one")
    shown = gateway.get(f"/v1/decisions/{ident}").json()
    assert trace.info.trace_id == "tr-" + ident.replace("-", "")
    assert shown["trace"] == "stored"
    tags = trace.info.tags
    assert (tags["decision_id"], tags["model"], tags["cached"]) == (ident, "income", "false")
    version = shown["model_version"]
    assert tags["mindsdb_version"] == version["mindsdb"]
    assert (tags["mlflow_version"], tags["run_id"]) == (version["mlflow_version"], version["run_id"])
    assert tags["request_id"] == shown["request_id"]
    root = trace.data.spans[0]
    assert (root.inputs, root.outputs) == (shown["input"], shown["output"])
    assert abs(trace.info.execution_time_ms - shown["latency_ms"]) <= 1


def test_mlflow_away_loses_nothing_and_a_kill_between_makes_no_second(
    make_gateway: Make, mlflow_server: MlflowServer
) -> None:
    gateway = named(make_gateway(MLFLOW_TRACKING_URI="http://127.0.0.1:9", **FAST), "away").start()
    expected = ask(gateway, 300)
    time.sleep(0.5)
    assert gateway.metric("gateway_decisions_unshipped") == 300
    assert gateway.metric('gateway_shipping_errors_total{target="mlflow"}') > 0
    gateway.stop(signal.SIGKILL)
    gateway.start(MLFLOW_TRACKING_URI=mlflow_server.url, GATEWAY_SHIP_BATCH="50")
    wait_for(lambda: gateway.metric("gateway_decisions_unshipped") < 300, "nothing arrives", 60)
    gateway.stop(signal.SIGKILL)  # perhaps after MLflow had a batch, and before the gateway noted that
    gateway.start()
    wait_for(lambda: gateway.metric("gateway_decisions_unshipped") == 0, "not all arrive", 90)
    found = [trace.info.tags["decision_id"] for trace in traces(mlflow_server, client="away")]
    assert sorted(found) == sorted(expected)


def test_a_fault_of_mlflows_database_parks_nothing(make_gateway: Make, mlflow_server: MlflowServer) -> None:
    gateway = named(make_gateway(MLFLOW_TRACKING_URI=mlflow_server.url, **FAST), "fault").start()
    with contextlib.closing(sqlite3.connect(mlflow_server.folder / "mlflow.db", timeout=60)) as store:
        with store:  # reads go on, and MLflow calls it a bad request
            store.execute("CREATE TRIGGER fault BEFORE INSERT ON spans BEGIN SELECT RAISE(ABORT, 'a fault'); END")
        try:
            expected = ask(gateway, 5)
            wait_for(lambda: gateway.metric('gateway_shipping_errors_total{target="mlflow"}') > 1, "no fault", 30)
            assert gateway.metric("gateway_mlflow_up") == 0
            assert gateway.metric("gateway_decisions_unshipped") == 5
        finally:
            with store:
                store.execute("DROP TRIGGER fault")
    wait_for(lambda: gateway.metric("gateway_decisions_unshipped") == 0, "they do not arrive", 120)
    found = [trace.info.tags["decision_id"] for trace in traces(mlflow_server, client="fault")]
    assert sorted(found) == sorted(expected)
    assert "stays here" not in gateway.log.read_text()


def test_what_is_no_longer_here_is_read_from_mlflow(make_gateway: Make, mlflow_server: MlflowServer) -> None:
    gateway = named(make_gateway(MLFLOW_TRACKING_URI=mlflow_server.url, **FAST), "gone").start()
    [ident] = ask(gateway, 1)
    here = gateway.get(f"/v1/decisions/{ident}").json()
    wait_for(lambda: gateway.metric("gateway_decisions_unshipped") == 0, "it does not arrive", 30)
    gateway.stop()
    gateway.start(GATEWAY_RETENTION_DAYS="0")
    with gateway.client() as client:
        # retention runs at the start and each minute
        wait_for(
            lambda: client.get(f"/v1/decisions/{ident}").json()["at"][:19] != here["at"] and not rows(gateway),
            "it stays",
            30,
        )
        there = client.get(f"/v1/decisions/{ident}").json()
        assert {**there, "at": 0, "trace": 0} == {**here, "at": 0, "trace": 0}
        assert client.post(f"/v1/decisions/{ident}/outcome", json={"outcome": 1}).status_code == 200
        assert client.get("/v1/decisions/01a2039d-b34d-7736-8af4-e3c5944a5123").status_code == 404


def volume(gateway: Gateway) -> bytes:
    return b"".join(file.read_bytes() for file in gateway.volume.iterdir())


def rows(gateway: Gateway) -> int:
    with sqlite3.connect(gateway.volume / "decisions.sqlite") as db:
        found = int(db.execute("SELECT count(*) FROM decisions").fetchone()[0])
    db.close()
    return found


@pytest.fixture
def audit_database(variables: dict[str, t.Any], tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The audit's tables as role gateway meets them: it may insert, and read the verdicts. A URI file, and the owner's URI."""
    admin = "host={postgres_host} port={postgres_port} user={postgres_user} password={postgres_password}".format(
        **variables
    )
    name = f"audit{os.getpid()}"
    with psycopg.connect(f"{admin} dbname=postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
        db.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'a password of this test'")
    owner = f"{admin} dbname={name}"
    with psycopg.connect(owner) as db:
        db.execute(SCHEMA.read_text())
        db.execute(f"GRANT INSERT ON attributes, outcomes TO {name}")
        db.execute(f"GRANT SELECT ON verdicts TO {name}")
    uri = tmp_path / "audit-uri"
    uri.write_text(
        f"postgresql://{name}:a%20password%20of%20this%20test@{variables['postgres_host']}:{variables['postgres_port']}/{name}\n"
    )
    yield uri, owner
    with psycopg.connect(f"{admin} dbname=postgres", autocommit=True) as db:
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")
        db.execute(f"DROP ROLE {name}")


@dataclass
class Unheard:
    """A gateway whose audit's database is away, until somebody puts its Secret right; that needs no restart."""

    gateway: Gateway
    secret: Path
    uri: str
    owner: str

    def mend(self) -> None:
        self.secret.write_text(self.uri)


@pytest.fixture
def unheard(make_gateway: Make, audit_database: tuple[Path, str]) -> Unheard:
    uri, owner = audit_database
    secret = uri.with_name("away")
    secret.write_text("postgresql://gateway:x@127.0.0.1:9/audit")
    gateway = make_gateway(GATEWAY_AUDIT_DATABASE_FILE=str(secret), **FAST).start()
    return Unheard(gateway, secret, uri.read_text(), owner)


def test_attributes_and_outcomes_reach_the_audit_and_leave(unheard: Unheard) -> None:
    gateway = unheard.gateway
    idents = ask(gateway, 3)
    with gateway.client() as client:
        assert client.post(f"/v1/decisions/{idents[0]}/outcome", json={"outcome": True}).status_code == 200
    time.sleep(0.5)
    assert gateway.metric("gateway_audit_undelivered") == 4
    assert b"Female" not in volume(gateway)
    with contextlib.closing(sqlite3.connect(gateway.volume / "decisions.sqlite")) as log:
        sealed = [given.encode() for (given,) in log.execute("SELECT given FROM attributes")]
    assert [one in volume(gateway) for one in sealed] == [True] * 3
    unheard.mend()
    wait_for(lambda: gateway.metric("gateway_audit_undelivered") == 0, "they do not arrive", 90)
    with psycopg.connect(unheard.owner) as db:
        found = db.execute('SELECT decision_id::text, model, "values" FROM attributes ORDER BY 1').fetchall()
        assert found == [(ident, "income", {"sex": "Female"}) for ident in idents]
        assert db.execute("SELECT decision_id::text, outcome FROM outcomes").fetchall() == [(idents[0], "true")]
        insert = "INSERT INTO verdicts (model, mlflow_version, attribute, verdict, run_id, measured_at) VALUES (%s, %s, %s, %s, %s, now())"
        db.execute(insert, ("income", "3", "sex", "fail", "run"))
    wait_for(lambda: not [one for one in sealed if one in volume(gateway)], "they stay here", 30)
    assert "another password" not in gateway.log.read_text()
    gateway.stop()
    gateway.start()
    line = 'gateway_audit_verdict{attribute="sex",mlflow_version="3",model="income",verdict="fail"}'
    wait_for(lambda: gateway.metric(line) == 1, "no verdict is shown", 30)


def test_what_the_audit_can_never_take_does_not_hold_up_the_rest(unheard: Unheard) -> None:
    gateway = unheard.gateway
    idents = ask(gateway, 5)
    with gateway.client() as client:
        for ident in idents:
            assert client.post(f"/v1/decisions/{ident}/outcome", json={"outcome": "yes"}).status_code == 200
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.volume / "decisions.sqlite")) as log, log:
        # one that the server refuses, and one that its client does
        seal = Seal(derive((gateway.folder / "site-key").read_bytes(), "attributes of the audit"))
        sealed = seal.close(b'{"sex":"\\u0000"}', idents[1])
        log.execute("UPDATE attributes SET given = ? WHERE decision_id = ?", (sealed, idents[1]))
        log.execute("UPDATE outcomes SET outcome = CAST(X'610062' AS TEXT) WHERE decision_id = ?", (idents[3],))
    unheard.mend()
    gateway.start()
    wait_for(lambda: gateway.metric("gateway_audit_undelivered") == 0, "they do not arrive", 30)
    with psycopg.connect(unheard.owner) as db:
        for table, missing in (("attributes", idents[1]), ("outcomes", idents[3])):
            found = db.execute(f"SELECT decision_id::text FROM {table} ORDER BY 1").fetchall()  # noqa: S608
            assert [ident for (ident,) in found] == [ident for ident in idents if ident != missing]
    refused = [line for line in gateway.log.read_text().splitlines() if "dropped" in line]
    assert [ident for ident in idents for line in refused if ident in line] == [idents[1], idents[3]]
