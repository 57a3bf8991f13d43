# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeError
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_database import Actual, Database, Role, Step
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import Schema
from ansible_collections.airgap.mlops.plugins.modules import mlflow_database, mlflow_database_info

ARGS = {"schema_revisions": ["a", "b"]}
HELD = {"mlflowdb": Database("mlflow")}


class Server:
    shown = "PostgreSQL at test:1"


class Store:
    """A server in memory: what is on it, and what was run on it."""

    def __init__(self) -> None:
        self.actual = Actual()
        self.ran: list[str] = []

    def read(self, wanted: t.Any, known: t.Any, password: str) -> Actual:
        return self.actual

    def schema(self, database: str, known: t.Any) -> Schema:
        return self.actual.schema

    def run(self, steps: t.Iterable[Step]) -> None:
        self.ran += [step.text for step in steps]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(mlflow_database, "read_password", lambda params, prefix: "a password")
    for module in (mlflow_database, mlflow_database_info):
        monkeypatch.setattr(module, "open_server", lambda params: Server())
        monkeypatch.setattr(module, "MlflowStore", lambda server, database: made)
    return made


def run(module: t.Any, capfd: pytest.CaptureFixture[str], **args: t.Any) -> dict[str, t.Any]:
    with patch_module_args({**ARGS, **args}), pytest.raises(SystemExit):
        module.main()
    result: dict[str, t.Any] = json.loads(capfd.readouterr().out)
    return result


@pytest.mark.parametrize("check", [True, False])
def test_bare_server(store: Store, capfd: pytest.CaptureFixture[str], check: bool) -> None:
    result = run(mlflow_database, capfd, _ansible_check_mode=check)
    assert (result["changed"], result["schema_state"], result["head"]) == (True, "empty", "b")
    assert store.ran == ([] if check else result["actions"])


@pytest.mark.parametrize(("state", "revision"), [("current", "b"), ("behind", "a"), ("empty", None)])
def test_converged_server(store: Store, capfd: pytest.CaptureFixture[str], state: str, revision: str | None) -> None:
    store.actual = Actual(role=Role(), databases=HELD, schema=Schema(state, revision))
    result = run(mlflow_database, capfd, _ansible_diff=True)
    assert (result["changed"], result["schema_state"], result["revision"]) == (False, state, revision)
    assert result["diff"]["before"] == result["diff"]["after"]


@pytest.mark.parametrize("state", ["foreign", "ahead"])
@pytest.mark.parametrize("check", [True, False])
def test_refused_before_anything_changes(
    store: Store, capfd: pytest.CaptureFixture[str], state: str, check: bool
) -> None:
    store.actual = Actual(databases=HELD, schema=Schema(state, "z", "why"))
    result = run(mlflow_database, capfd, _ansible_check_mode=check)
    assert (result["failed"], result["schema_state"], store.ran) == (True, state, [])


@pytest.mark.parametrize(("check", "status", "fails"), [(True, 404, False), (True, None, True), (False, 404, True)])
def test_only_planning_takes_a_missing_server_for_an_empty_one(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    check: bool,
    status: int | None,
    fails: bool,
) -> None:
    def missing(params: t.Any) -> None:
        raise KubeError("no such service", status=status)

    monkeypatch.setattr(mlflow_database, "open_server", missing)
    result = run(mlflow_database, capfd, _ansible_check_mode=check)
    assert result.get("failed", False) is fails
    assert result["msg" if fails else "schema_state"] == ("no such service" if fails else "empty")


def test_info_reports_what_the_other_module_refuses(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    store.actual = Actual(schema=Schema("foreign", None, "why"))
    result = run(mlflow_database_info, capfd)
    assert (result["changed"], result["schema_state"]) == (False, "foreign")
    assert result["reason"].startswith("database mlflowdb of PostgreSQL at test:1 is not MLflow's: why. Name another")


@pytest.mark.parametrize("module", [mlflow_database, mlflow_database_info])
def test_revisions_are_needed(store: Store, capfd: pytest.CaptureFixture[str], module: t.Any) -> None:
    result = run(module, capfd, schema_revisions=[])
    assert result["failed"]
    assert "the bundle's manifest has them" in result["msg"]
