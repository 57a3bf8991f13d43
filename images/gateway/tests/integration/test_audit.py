"""The audit from end to end: decisions as the gateway ships them in a real MLflow, facts in a real PostgreSQL."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import random
import re
import typing as t
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import sklearn.metrics
from mlflow import MlflowClient
from mlflow_server import MlflowServer

from gateway.audit import job
from gateway.audit.decisions import LeftOut, Window, read_decisions
from gateway.audit.facts import SCHEMA
from gateway.audit.verdicts import read_verdicts
from gateway.decisions import Decision
from gateway.first_connection import connect
from gateway.traces import otlp_document

HOUR_US = 3600 * 1_000_000
POLICIES = [
    {
        "name": "progression",
        "target": "progression",
        "columns": {"bmi": "keep"},
        "audit": {
            "attributes": ["sex", "age_band"],
            "favourable": "low",
            "thresholds": {"demographic_parity_difference": 0.1, "equalized_odds_difference": 0.2},
            "minimum_group": 20,
        },
    },
    {"name": "plain", "target": "y", "columns": {"x": "keep"}},
]


@dataclass
class AuditDatabase:
    """As role `gateway` of the collection makes it: role audit owns it, role gateway may insert and read verdicts."""

    owner: str  # URIs
    gateway: str


@pytest.fixture
def database(variables: dict[str, t.Any]) -> Iterator[AuditDatabase]:
    place = f"{variables['postgres_host']}:{variables['postgres_port']}"
    user = f"{variables['postgres_user']}:{urllib.parse.quote(variables['postgres_password'], safe='')}"
    ending = uuid.uuid4().hex[:8]
    name, owner, gateway = f"auditdb_{ending}", f"audit_{ending}", f"gateway_{ending}"
    with psycopg.connect(f"postgresql://{user}@{place}/postgres", autocommit=True) as admin:
        for role in (owner, gateway):
            admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'test'")
        admin.execute(f"CREATE DATABASE {name} OWNER {owner}")
        made = AuditDatabase(*(f"postgresql://{role}:test@{place}/{name}" for role in (owner, gateway)))
        try:
            with psycopg.connect(made.owner) as db:
                db.execute(SCHEMA.read_text())
                db.execute(f"GRANT INSERT ON attributes, outcomes TO {gateway}")
                db.execute(f"GRANT SELECT ON verdicts TO {gateway}")
            yield made
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            for role in (owner, gateway):
                admin.execute(f"DROP ROLE {role}")


@dataclass
class Case:
    """A person: who, what the model said, what came true."""

    sex: int
    predicted: str
    actual: str | None
    version: str = "3"


def cases(number: int, seed: int, unfair: bool) -> list[Case]:
    """People of two sexes, half of each with a low progression. The unfair model says low to few of sex 2."""
    dice = random.Random(seed)  # noqa: S311
    found = []
    for index in range(number):
        sex = 1 + index % 2
        actual = "low" if index % 4 < 2 else "high"
        wrong = dice.random() < (0.6 if unfair and sex == 2 and actual == "low" else 0.1)
        predicted = {"low": "high", "high": "low"}[actual] if wrong else actual
        found.append(Case(sex, predicted, actual))
    return found


class Site:
    """Writes what a gateway writes, and runs the audit."""

    def __init__(self, folder: Path, url: str, database: AuditDatabase) -> None:
        self.folder, self.url, self.database = folder, url, database
        (folder / "models.yml").write_text(json.dumps(POLICIES))
        (folder / "uri").write_text(database.owner + "\n")
        self.client = MlflowClient(tracking_uri=url)

    def env(self, **more: str) -> dict[str, str]:
        files = {"GATEWAY_MODELS": f"{self.folder}/models.yml", "GATEWAY_AUDIT_DATABASE_FILE": f"{self.folder}/uri"}
        return {**files, "MLFLOW_TRACKING_URI": self.url, "GATEWAY_AUDIT_DAYS": "1", **more}

    def verdicts(self) -> set[tuple[str, str, str]]:
        """What the gateway shows: version, attribute, verdict."""
        with psycopg.connect(self.database.gateway) as db:
            return {(one.mlflow_version, one.attribute, one.verdict) for one in read_verdicts(db)}

    def decide(self, people: list[Case], at: dt.datetime) -> list[str]:
        """One decision each, a millisecond apart, in MLflow; attributes and outcomes in the audit's database."""
        start = int(at.timestamp() * 1e6)
        decisions = []
        for index, person in enumerate(people):
            version = {
                "mindsdb": person.version,
                "mlflow_model": "progression",
                "mlflow_version": person.version,
                "run_id": "r",
            }
            output = {"progression": person.predicted, "progression_explain": {"confidence": 0.9}}
            decisions.append(
                Decision(
                    str(uuid.uuid4()), start + index * 1000, "req", "default", "progression", json.dumps(version),
                    json.dumps({"bmi": index}), json.dumps(output), index % 2, 1500,
                )
            )  # fmt: skip
        experiment = self.client.get_experiment_by_name("decisions")
        ident = experiment.experiment_id if experiment else self.client.create_experiment("decisions")
        for begin in range(0, len(decisions), 200):
            self.post(otlp_document(decisions[begin : begin + 200]), ident)
        with psycopg.connect(self.database.gateway) as db, db.cursor() as cursor:
            given = [
                (decision.id, "progression", json.dumps({"sex": person.sex}), at)
                for decision, person in zip(decisions, people, strict=True)
            ]
            told = [
                (decision.id, person.actual, at)
                for decision, person in zip(decisions, people, strict=True)
                if person.actual
            ]
            cursor.executemany("INSERT INTO attributes VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING", given * 2)
            cursor.executemany("INSERT INTO outcomes VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", told)
        return [decision.id for decision in decisions]

    def post(self, document: bytes, experiment: str) -> None:
        headers = {"content-type": "application/json", "x-mlflow-experiment-id": str(experiment)}
        answer = httpx.post(f"{self.url}/v1/traces", content=document, headers=headers, timeout=60)
        assert answer.status_code == 200

    def text(self, run_id: str, path: str, folder: Path) -> str:
        return Path(self.client.download_artifacts(run_id, path, str(folder))).read_text()


@pytest.fixture
def site(tmp_path: Path, mlflow_server: MlflowServer, database: AuditDatabase, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return Site(tmp_path, mlflow_server.url, database)


def moment(day: int) -> dt.datetime:
    """Each test has a day of its own: they share one MLflow."""
    return dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC)


def until(day: int) -> list[str]:
    return ["--days", "1", "--until", (moment(day) + dt.timedelta(hours=1)).isoformat()]


class Clock:
    """Time as the CronJob has it: the window ends now."""

    def __init__(self) -> None:
        self.day = 1

    def __call__(self) -> dt.datetime:
        return moment(self.day) + dt.timedelta(hours=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("gateway.audit.job._now", made)
    return made


def test_an_unfair_model_fails_with_a_report(
    site: Site, clock: Clock, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    people = cases(200, 1, unfair=True)
    site.decide(people, moment(1))
    assert job.main([], site.env()) == 3
    out, err = capsys.readouterr()
    assert "progression 3: fail" in err
    (found,) = json.loads(out.splitlines()[-1])["audits"]
    assert (found["model"], found["mlflow_version"], found["verdict"]) == ("progression", "3", "fail")
    assert (found["decisions"], found["labelled"], found["unreadable"]) == (200, 200, 0)
    by_attribute = {part["attribute"]: part for part in found["attributes"]}
    assert by_attribute["sex"]["verdict"] == "fail"
    assert by_attribute["age_band"]["verdict"] == "not assessable"

    run = site.client.get_run(found["run_id"])
    assert run.info.status == "FINISHED"
    tags = run.data.tags
    assert (tags["model"], tags["mlflow_version"], tags["verdict"]) == ("progression", "3", "fail")
    assert (tags["verdict.sex"], tags["verdict.age_band"]) == ("fail", "not assessable")
    assert run.data.params["threshold.demographic_parity_difference"] == "0.1"
    for sex in (1, 2):
        group = [person for person in people if person.sex == sex]
        truth, predicted = [person.actual for person in group], [person.predicted for person in group]
        tn, fp, fn, tp = sklearn.metrics.confusion_matrix(truth, predicted, labels=["high", "low"]).ravel()
        measured = {name: run.data.metrics[f"sex.group.{sex}.{name}"] for name in ("accuracy", "false_positive_rate")}
        assert measured["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted), abs=1e-9)
        assert measured["false_positive_rate"] == pytest.approx(fp / (fp + tn), abs=1e-9)
        assert run.data.metrics[f"sex.group.{sex}.false_negative_rate"] == pytest.approx(fn / (fn + tp), abs=1e-9)
        assert (
            run.data.metrics[f"sex.group.{sex}.accuracy.low"]
            <= measured["accuracy"]
            <= run.data.metrics[f"sex.group.{sex}.accuracy.high"]
        )

    report = site.text(found["run_id"], "report.html", tmp_path)
    for words in (
        "progression, version 3",
        "What this does not prove",
        "sex",
        ">fail<",
        "fewer than two" if False else "age_band",
    ):
        assert words in report
    assert "http://" not in report, "nothing to be fetched from elsewhere"
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", report)
    assert [base64.b64decode(picture)[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"]
    plot = Path(site.client.download_artifacts(found["run_id"], "plots/sex.png", str(tmp_path)))
    assert plot.read_bytes() == base64.b64decode(pictures[0])
    assert json.loads(site.text(found["run_id"], "audit.json", tmp_path))["verdict"] == "fail"

    with psycopg.connect(site.database.gateway) as db:
        published = {(one.attribute, one.verdict, one.run_id) for one in read_verdicts(db)}
    assert published == {("sex", "fail", found["run_id"]), ("age_band", "not assessable", found["run_id"])}


def test_versions_are_judged_apart_and_the_last_verdicts_stay(
    site: Site, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    policies = [{**POLICIES[0], "audit": {**t.cast(dict[str, t.Any], POLICIES[0]["audit"]), "attributes": ["sex"]}}]
    (site.folder / "models.yml").write_text(json.dumps(policies))
    site.decide(cases(160, 2, unfair=True), moment(3))
    site.decide(
        [Case(person.sex, person.predicted, person.actual, "4") for person in cases(160, 3, unfair=False)], moment(3)
    )
    clock.day = 3
    assert job.main([], site.env()) == 3
    found = json.loads(capsys.readouterr().out)["audits"]
    assert [(one["mlflow_version"], one["verdict"], one["decisions"]) for one in found] == [
        ("3", "fail", 160),
        ("4", "pass", 160),
    ]
    # the next day version 3 decides nothing any more
    site.decide(
        [Case(person.sex, person.predicted, person.actual, "4") for person in cases(160, 3, unfair=False)], moment(5)
    )
    clock.day = 5
    assert job.main([], site.env()) == 0
    assert site.verdicts() == {("4", "sex", "pass")}


def test_a_window_of_ones_own_clears_no_verdict(site: Site, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    site.decide(cases(200, 1, unfair=True), moment(23))
    clock.day = 23
    assert job.main([], site.env()) == 3
    shown = site.verdicts()
    assert ("3", "sex", "fail") in shown
    assert job.main(["--days", "0.0001"], site.env()) == 0  # nothing was decided in it
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["published"] is False
    assert site.verdicts() == shown


def test_a_model_that_is_not_audited_any_more_has_no_verdict(site: Site, clock: Clock) -> None:
    clock.day = 25
    assert job.main([], site.env()) == 0
    assert site.verdicts()
    (site.folder / "models.yml").write_text(json.dumps([{**POLICIES[0], "name": "other"}]))
    assert job.main([], site.env()) == 0
    with psycopg.connect(site.database.gateway) as db:
        assert {one.model for one in read_verdicts(db)} == {"other"}


def test_without_outcomes_or_decisions_it_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.decide([Case(person.sex, person.actual or "", None) for person in cases(100, 4, unfair=False)], moment(7))
    assert job.main(until(7), site.env()) == 0
    (found,) = json.loads(capsys.readouterr().out)["audits"]
    assert (found["verdict"], found["labelled"]) == ("not assessable", 0)
    assert found["attributes"][0]["reasons"] == ["equalized_odds_difference: no outcome is known"]
    assert job.main(until(9), site.env()) == 0
    (found,) = json.loads(capsys.readouterr().out)["audits"]
    assert (found["verdict"], found["mlflow_version"], found["decisions"]) == ("not assessable", "none", 0)


def test_every_page_is_read_and_the_end_is_not_of_the_window(site: Site) -> None:
    ids = site.decide(cases(23, 5, unfair=False), moment(11))
    begin = moment(11) - dt.timedelta(milliseconds=10)
    whole = Window(begin, moment(11) + dt.timedelta(hours=1))
    assert [one.id for page in read_decisions(site.client, whole, LeftOut(), page=5) for one in page] == ids
    # a trace's time is when the request came in, 1.5 ms before its decision, in whole milliseconds: k - 2 for the k-th
    part = Window(begin, moment(11) + dt.timedelta(milliseconds=17))
    assert [one.id for page in read_decisions(site.client, part, LeftOut(), page=7) for one in page] == ids[:19]


def test_a_trace_of_somebody_else_ends_no_audit(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    site.decide(cases(40, 10, unfair=False), moment(21))
    experiment = site.client.get_experiment_by_name("decisions")
    assert experiment is not None
    start = int(moment(21).timestamp() * 1e6)
    strangers = [
        Decision(
            ident, start, "req", "default", "progression",
            json.dumps({"mindsdb": "3", "mlflow_model": "progression", "mlflow_version": "3", "run_id": "r"}),
            "{}", '{"progression": "low"}', 0, 1500,
        )
        for ident in (str(uuid.uuid4()), str(uuid.uuid4()))
    ]  # fmt: skip
    document = otlp_document(strangers).decode()
    for decision, other in zip(strangers, ("x'); DROP TABLE attributes; --", str(uuid.uuid4())), strict=True):
        document = document.replace(f'"{decision.id}"', json.dumps(other))  # the tag; the trace's id has no hyphens
    site.post(document.encode(), experiment.experiment_id)
    assert job.main(until(21), site.env()) == 0
    written, said = capsys.readouterr()
    assert "left out 2 traces" in said
    (found,) = json.loads(written)["audits"]
    assert (found["decisions"], found["left_out"]) == (40, {"foreign": 2, "repeated": 0})
    assert "Traces left out" in site.text(found["run_id"], "report.html", tmp_path)


def test_the_gateways_role_reads_no_attribute_and_no_outcome(site: Site) -> None:
    site.decide(cases(4, 6, unfair=False), moment(13))
    for statement in (
        "SELECT * FROM attributes",
        "SELECT * FROM outcomes",
        "DELETE FROM outcomes",
        "INSERT INTO verdicts DEFAULT VALUES",
    ):
        with psycopg.connect(site.database.gateway) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement)


@pytest.mark.parametrize(
    ("change", "argv", "says"),
    [
        pytest.param({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, [], "MLflow cannot be asked", id="mlflow down"),
        pytest.param(
            {"GATEWAY_AUDIT_DATABASE_FILE": "/nowhere/uri"}, [], "/nowhere/uri: cannot be read", id="no secret"
        ),
        pytest.param(
            {"GATEWAY_MODELS": "/nowhere/models.yml"}, [], "/nowhere/models.yml: cannot be read", id="no policies"
        ),
        pytest.param({"MLFLOW_TRACKING_URI": ""}, [], "MLFLOW_TRACKING_URI is not set", id="no address"),
        pytest.param({}, ["--model", "plain"], "no audit is declared for plain", id="model without audit"),
    ],
)
def test_errors_are_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], change: dict[str, str], argv: list[str], says: str
) -> None:
    assert job.main([*until(15), *argv], site.env(**change)) == 1
    out, err = capsys.readouterr()
    assert says in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_database_that_is_down_is_named_without_its_password(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.audit.job.connect", functools.partial(connect, seconds=1))
    (site.folder / "uri").write_text("postgresql://audit:geheim@127.0.0.1:9/auditdb")
    assert job.main(until(15), site.env()) == 1
    err = capsys.readouterr().err
    assert "the audit's database cannot be asked" in err
    assert "geheim" not in err


def test_a_value_of_a_few_people_is_published_nowhere(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rare = "Zaphod Beeblebrox"
    ids = site.decide(cases(100, 9, unfair=False), moment(19))
    with psycopg.connect(site.database.owner) as db:
        db.execute('UPDATE attributes SET "values" = %s WHERE decision_id = %s', (json.dumps({"sex": rare}), ids[0]))
    assert job.main(until(19), site.env()) == 0
    written, said = capsys.readouterr()
    (found,) = json.loads(written)["audits"]
    sex = found["attributes"][0]
    assert (found["verdict"], sex["verdict"], sorted(sex["groups"]), sex["unnamed"]) == ("not assessable",) * 2 + (
        ["1", "2"],
        1,
    )
    run = site.client.get_run(found["run_id"])
    folder = Path(site.client.download_artifacts(found["run_id"], "", str(tmp_path)))
    files = [path.read_text() for path in folder.rglob("*") if path.suffix in (".html", ".json")]
    assert len(files) == 2
    for text in (written, said, str(run.data.to_dictionary()), *files):
        assert "Zaphod" not in text
    assert run.data.metrics["sex.unnamed.decisions"] == 1


def test_names_of_groups_are_text_wherever_they_appear(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nasty = "<script>alert(1)</script>$x^2$ ../../x"
    ids = site.decide(cases(60, 8, unfair=False), moment(17))
    with psycopg.connect(site.database.owner) as db:
        db.execute(
            'UPDATE attributes SET "values" = %s WHERE decision_id = ANY(%s)', (json.dumps({"sex": nasty}), ids[:30])
        )
    job.main(until(17), site.env())
    (found,) = json.loads(capsys.readouterr().out)["audits"]
    assert nasty in found["attributes"][0]["groups"]
    report = site.text(found["run_id"], "report.html", tmp_path)
    assert "<script" not in report
    assert "&lt;script&gt;" in report
