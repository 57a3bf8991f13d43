# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeError
from ansible_collections.airgap.mlops.plugins.module_utils._pg_databases import Actual, Held, Wanted
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import Role, Step
from ansible_collections.airgap.mlops.plugins.module_utils._pg_store import Inside
from ansible_collections.airgap.mlops.plugins.modules import postgresql_databases

ARGS: dict[str, t.Any] = {
    "roles": [{"name": "audit", "secret": {"name": "audit-db-secret", "key": "audit_password"}}],
    "databases": [{"name": "auditdb", "owner": "audit", "schema": ["CREATE TABLE IF NOT EXISTS a ()"]}],
}
MADE = "make or alter the tables of database auditdb"


class Store:
    """A server in memory: what is on it, and what was run on it."""

    def __init__(self) -> None:
        self.actual = Actual()
        self.inside = Inside((), (), ())
        self.ran: list[str] = []

    def read(self, wanted: Wanted, passwords: dict[str, str]) -> Actual:
        return self.actual

    def refuse_missing_tables(self, wanted: Wanted, actual: Actual) -> None:
        pass

    def run(self, steps: t.Iterable[Step]) -> None:
        self.ran += [step.text for step in steps]

    def converge(self, wanted: Wanted, place: str) -> Inside:
        self.ran.append(f"converge {place}")
        return self.inside

    def rehearse(self, wanted: Wanted, place: str, first: t.Iterable[Step]) -> Inside:
        return self.inside


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(postgresql_databases, "read_key", lambda params, secret, option: "a password")
    monkeypatch.setattr(postgresql_databases, "open_server", lambda params: None)
    monkeypatch.setattr(postgresql_databases, "PgStore", lambda server, database: made)
    return made


def run(capfd: pytest.CaptureFixture[str], **args: t.Any) -> dict[str, t.Any]:
    with patch_module_args({**ARGS, **args}), pytest.raises(SystemExit):
        postgresql_databases.main()
    result: dict[str, t.Any] = json.loads(capfd.readouterr().out)
    return result


NEW = ["create role audit", "create database auditdb of role audit", "keep PUBLIC out of database auditdb"]


@pytest.mark.parametrize("check", [True, False])
def test_bare_server(store: Store, capfd: pytest.CaptureFixture[str], check: bool) -> None:
    result = run(capfd, _ansible_check_mode=check, _ansible_diff=True)
    assert result["actions"] == [*NEW, MADE]
    assert result["diff"]["after"]["inside"] == {"auditdb": []}
    assert store.ran == ([] if check else [*NEW, "converge auditdb"])
    assert "a password" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})


@pytest.mark.parametrize("inside", [(), (MADE,)])
@pytest.mark.parametrize("check", [True, False])
def test_a_server_that_has_it(
    store: Store, capfd: pytest.CaptureFixture[str], check: bool, inside: tuple[str, ...]
) -> None:
    store.actual = Actual({"audit": Role()}, {"auditdb": Held("audit")})
    store.inside = Inside(inside, (), ())
    result = run(capfd, _ansible_check_mode=check)
    assert (result["changed"], result["actions"]) == (bool(inside), list(inside))
    assert store.ran == ([] if check else ["converge auditdb"])


def test_a_cluster_that_is_still_to_come(
    store: Store, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_args: t.Any) -> str:
        raise KubeError("secret mlops/audit-db-secret is not there", status=404)

    monkeypatch.setattr(postgresql_databases, "read_key", missing)
    assert run(capfd, _ansible_check_mode=True)["actions"] == [*NEW, MADE]
    failed = run(capfd)
    assert (failed["failed"], failed["msg"], store.ran) == (True, "secret mlops/audit-db-secret is not there", [])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"roles": [{"name": "audit"}]}, "one of the following is required: secret, password"),
        ({"roles": [{"name": "audit", "password": ""}]}, "the password of audit is empty"),
        ({"databases": [{"name": "auditdb", "owner": "jo"}]}, "which roles does not name"),
        ({"grants": [{"role": "audit", "database": "x", "tables": ["t"], "privileges": ["READ"]}]}, "READ"),
    ],
)
def test_bad_input_changes_nothing(
    store: Store, capfd: pytest.CaptureFixture[str], args: dict[str, t.Any], message: str
) -> None:
    result = run(capfd, **args)
    assert result["failed"] is True
    assert message in result["msg"]
    assert store.ran == []
