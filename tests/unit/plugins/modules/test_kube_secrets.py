# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._secrets import SecretChange, StoredSecret
from ansible_collections.airgap.mlops.plugins.modules import kube_secrets

WANTED = {"secrets": [{"name": "db", "data": [{"key": "password"}, {"key": "given", "value": "given-value"}]}]}


class Store:
    """A namespace in memory."""

    def __init__(self) -> None:
        self.secrets: dict[str, StoredSecret] = {}
        self.writes: list[str] = []

    def read(self, names: t.Iterable[str]) -> dict[str, StoredSecret]:
        return {name: self.secrets[name] for name in names if name in self.secrets}

    def apply(self, change: SecretChange) -> StoredSecret:
        self.writes.append(change.name)
        self.secrets[change.name] = StoredSecret("uid", change.all_data)
        return self.secrets[change.name]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(kube_secrets, "kube_client", lambda kubeconfig: None)
    monkeypatch.setattr(kube_secrets, "SecretStore", lambda client, namespace: made)
    return made


def run(capfd: pytest.CaptureFixture[str], **args: t.Any) -> tuple[t.Any, str]:
    with patch_module_args(args), pytest.raises(SystemExit):
        kube_secrets.main()
    out = capfd.readouterr().out
    return json.loads(out), out


@pytest.mark.parametrize(("check", "writes"), [(True, []), (False, ["db"])])
def test_missing_secret(store: Store, capfd: pytest.CaptureFixture[str], check: bool, writes: list[str]) -> None:
    result, _out = run(capfd, **WANTED, _ansible_check_mode=check, _ansible_diff=True)
    assert result["changed"] is True
    assert result["actions"] == ["create secret db: password (generated), given (set)"]
    assert (result["checksums"]["db"] == "pending") is check
    assert store.writes == writes


def test_no_value_is_in_the_output(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    _result, first = run(capfd, **WANTED, _ansible_diff=True)
    generated = store.secrets["db"].data["password"].decode()
    _result, second = run(capfd, **WANTED, rotate=["db/password"], _ansible_diff=True)
    changed = store.secrets["db"].data["password"].decode()
    assert generated != changed
    for value in (generated, changed, "given-value"):
        assert value not in first + second


def test_second_run_is_silent_and_gives_the_same_checksum(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    first, _out = run(capfd, **WANTED)
    second, _out = run(capfd, **WANTED)
    assert (second["changed"], second["actions"], second["checksums"]) == (False, [], first["checksums"])
    assert store.writes == ["db"]


def test_failure_is_one_message(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(kubeconfig: str) -> None:
        raise AirgapError("no cluster here", status=1)

    monkeypatch.setattr(kube_secrets, "kube_client", fail)
    result, _out = run(capfd, **WANTED)
    assert (result["failed"], result["msg"], result["status"]) == (True, "no cluster here", 1)
