# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeError
from ansible_collections.airgap.mlops.plugins.modules import network_lines

WANTED = {"lines": [{"name": "web-to-db", "from": "web", "to": "db", "port": 5432}]}
POLICIES = "/apis/networking.k8s.io/v1/namespaces/mlops/networkpolicies"


class Client:
    """An API server of one node and one namespace, in memory."""

    def __init__(self) -> None:
        self.policies: dict[str, dict[str, t.Any]] = {}
        self.writes: list[str] = []

    def request(self, method: str, path: str, *, doing: str, body: t.Any = None) -> dict[str, t.Any]:
        if (method, path) == ("GET", "/api/v1/nodes"):
            return {"items": [{"spec": {"podCIDRs": ["10.42.0.0/24"]}}]}
        if (method, path) == ("GET", POLICIES):
            return {"items": list(self.policies.values())}
        name = path.removeprefix(POLICIES).strip("/")
        self.writes.append(f"{method} {name}".strip())
        if method == "DELETE":
            return self.policies.pop(name)
        if method == "PUT" and body["metadata"].get("resourceVersion") != "7":
            raise KubeError(f"Cannot {doing}: the API server answers 409", status=409)
        name = body["metadata"]["name"]
        self.policies[name] = {**body, "metadata": {**body["metadata"], "resourceVersion": "7"}}
        return self.policies[name]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(network_lines, "kube_client", lambda kubeconfig: made)
    return made


def run(capfd: pytest.CaptureFixture[str], **args: t.Any) -> t.Any:
    with patch_module_args({**WANTED, "_ansible_diff": True, **args}), pytest.raises(SystemExit):
        network_lines.main()
    return json.loads(capfd.readouterr().out)


def test_check_mode_tells_what_the_run_does_and_the_rerun_is_silent(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    planned = run(capfd, _ansible_check_mode=True)
    assert client.writes == []
    done = run(capfd)
    assert client.writes == ["POST", "POST", "POST"]
    assert planned["diff"] == done["diff"]
    assert planned["actions"] == done["actions"] == [
        "create network policy web-to-db-out",
        "create network policy web-to-db-in",
        "create network policy default-deny",
    ]  # fmt: skip
    assert run(capfd)["changed"] is False


def test_a_line_that_goes_is_closed_and_one_that_was_opened_by_hand_too(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    run(capfd, lines=[*WANTED["lines"], {"name": "old", "from": "web", "to": "10.9.0.7/32", "port": 443}])
    client.policies["web-to-db-in"]["spec"] = {"podSelector": {}}
    client.policies["web-to-db-in"]["metadata"]["labels"]["own"] = "1"
    client.writes.clear()
    assert run(capfd)["actions"] == ["update network policy web-to-db-in", "remove network policy old-out"]
    assert client.writes == ["PUT web-to-db-in", "DELETE old-out"]
    assert client.policies["web-to-db-in"]["metadata"]["labels"]["own"] == "1"
    assert run(capfd)["changed"] is False


def test_bad_lines_are_refused_before_the_cluster_is_asked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network_lines, "kube_client", lambda kubeconfig: pytest.fail("asked"))
    result = run(capfd, lines=[{**WANTED["lines"][0], "port": 0}])
    assert result["failed"]
    assert "network line web-to-db: port 0" in result["msg"]
    assert "pods are no clients" in run(capfd, clients=["10.42.0.0/24"])["msg"]
