"""One run of the audit over several models, with MLflow and the database in memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import types
import typing as t
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from mlflow.exceptions import MlflowException

from gateway.audit import job
from gateway.audit.decisions import Decision
from gateway.audit.facts import Fact
from gateway.audit.report import Audit

NOW = dt.datetime(2026, 3, 31, 3, 17, tzinfo=dt.UTC)
AUDIT = {"attributes": ["sex"], "favourable": "low", "minimum_group": 5}
MODELS = ["fair", "sick", "unfair"]


class Store:
    """What the audit reads and what it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: dict[str, Exception] = {}  # models whose run cannot be written
        self.windows: list[t.Any] = []
        self.logged: list[str] = []
        self.published: list[str] = []
        self.kept: list[list[str]] = []
        self.declare(*MODELS)
        (folder / "uri").write_text("postgresql://audit@nowhere/auditdb\n")

    def declare(self, *models: str) -> None:
        policies = [{"name": name, "target": "y", "columns": {"x": "keep"}, "audit": AUDIT} for name in models]
        (self.folder / "models.yml").write_text(
            json.dumps([*policies, {"name": "plain", "target": "y", "columns": {"x": "keep"}}])
        )

    def env(self, **more: str) -> dict[str, str]:
        files = {"GATEWAY_MODELS": f"{self.folder}/models.yml", "GATEWAY_AUDIT_DATABASE_FILE": f"{self.folder}/uri"}
        return {**files, "MLFLOW_TRACKING_URI": "http://nowhere", "GATEWAY_AUDIT_DAYS": "7", **more}

    def read(self, _client: t.Any, window: t.Any, _left_out: t.Any) -> Iterator[list[Decision]]:
        self.windows.append(window)
        for model in MODELS:
            # unfair: the second sex is never favoured
            said = [["low", "high"][number % 2 if model == "unfair" else number // 2 % 2] for number in range(20)]
            yield [Decision(f"{model}/{number}", model, "1", {"y": answer}) for number, answer in enumerate(said)]

    def facts(self, _connection: t.Any, ids: list[str]) -> dict[str, Fact]:
        return {ident: Fact({"sex": int(ident.rpartition("/")[2]) % 2}, None) for ident in ids}

    def log(self, _client: t.Any, audit: Audit, *_: t.Any) -> str:
        if audit.model in self.broken:
            raise self.broken[audit.model]
        self.logged.append(audit.model)
        return f"run of {audit.model}"

    def get_run(self, _run_id: str) -> t.Any:
        return types.SimpleNamespace(info=types.SimpleNamespace(experiment_id="7"))

    def publish(self, _connection: t.Any, model: str, _verdicts: t.Any) -> None:
        self.published.append(model)

    def keep(self, _connection: t.Any, models: t.Collection[str]) -> None:
        self.kept.append(sorted(models))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(tmp_path)
    for name, value in {
        "read_decisions": made.read, "read_facts": made.facts, "log_audit": made.log, "publish_verdicts": made.publish,
        "keep_verdicts": made.keep, "_now": lambda: NOW,
        "connect": lambda *_, **__: contextlib.nullcontext(), "MlflowClient": lambda **_: made,
    }.items():  # fmt: skip
        monkeypatch.setattr(job, name, value)
    return made


def result(capsys: pytest.CaptureFixture[str]) -> tuple[Mapping[str, t.Any], str]:
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_all_models_are_audited(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert job.main([], store.env()) == job.UNFAIR
    found, _err = result(capsys)
    verdicts = {audit["model"]: audit["verdict"] for audit in found["audits"]}
    assert verdicts == {"fair": "pass", "sick": "pass", "unfair": "fail"}
    assert (found["errors"], found["published"]) == ({}, True)
    assert store.published == MODELS
    assert (store.windows[0].until, store.windows[0].until - store.windows[0].since) == (NOW, dt.timedelta(days=7))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        pytest.param(MlflowException("no room\nmore"), "MLflow cannot be asked, or refuses: no room", id="mlflow"),
        pytest.param(psycopg.OperationalError("gone"), "the audit's database cannot be asked, or refuses: gone", id="database"),
        pytest.param(OSError("no space"), "OSError: no space", id="disk"),
        pytest.param(ZeroDivisionError("ours"), "ZeroDivisionError: ours", id="a fault of ours"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_audited_stops_no_other(
    store: Store, capsys: pytest.CaptureFixture[str], broken: Exception, says: str
) -> None:
    store.broken["sick"] = broken
    assert job.main([], store.env()) == job.ERROR
    found, err = result(capsys)
    assert [audit["model"] for audit in found["audits"]] == ["fair", "unfair"]
    assert found["errors"] == {"sick": says}
    assert f"gateway audit: model sick was not audited: {says}" in err
    assert store.published == ["fair", "unfair"]


@pytest.mark.parametrize(
    ("argv", "published"),
    [
        ([], True),
        (["--days", "7"], True),
        (["--days", "7", "--model", "fair"], True),
        (["--days", "0.01"], False),
        (["--days", "90"], False),
        (["--until", "2026-03-01T00:00:00+00:00"], False),
    ],
)
def test_verdicts_are_those_of_the_sites_own_window(
    store: Store, capsys: pytest.CaptureFixture[str], argv: list[str], published: bool
) -> None:
    job.main(argv, store.env())
    found, err = result(capsys)
    assert found["published"] is published
    assert bool(store.published) is published
    assert ("another window" in err) is not published


def test_verdicts_of_models_that_are_not_audited_any_more_go(store: Store) -> None:
    store.declare("fair")
    job.main(["--model", "fair"], store.env())
    job.main(["--days", "1"], store.env())
    assert store.kept == [["fair"]]


@pytest.mark.parametrize("days", ["0", "soon", "-1"])
def test_a_wrong_window_is_named(store: Store, capsys: pytest.CaptureFixture[str], days: str) -> None:
    assert job.main([], store.env(GATEWAY_AUDIT_DAYS=days)) == job.ERROR
    assert f"GATEWAY_AUDIT_DAYS is {days}" in capsys.readouterr().err
