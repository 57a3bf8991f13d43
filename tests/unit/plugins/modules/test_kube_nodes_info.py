# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeError
from ansible_collections.airgap.mlops.plugins.modules import kube_nodes_info


class Client:
    def __init__(self, answer: t.Any) -> None:
        self._answer = answer

    def request(self, method: str, path: str, *, doing: str) -> t.Any:
        assert (method, path) == ("GET", "/api/v1/nodes")
        if isinstance(self._answer, Exception):
            raise self._answer
        return {"items": self._answer}


def node(name: str, ready: str, *addresses: str) -> t.Any:
    status = {
        "addresses": [{"type": "InternalIP", "address": address} for address in addresses],
        "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
    }
    return {"metadata": {"name": name}, "status": status}


def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], answer: t.Any) -> t.Any:
    monkeypatch.setattr(kube_nodes_info, "kube_client", lambda kubeconfig: Client(answer))
    with patch_module_args({}), pytest.raises(SystemExit):
        kube_nodes_info.main()
    return json.loads(capfd.readouterr().out)


def test_nodes_by_name_with_each_address_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("b", "Unknown"), node("a", "True", "10.0.0.1", "fd00::1", "a", "a")]
    result = run(monkeypatch, capfd, nodes)
    assert result["changed"] is False
    assert result["nodes"] == [
        {"name": "a", "ready": True, "addresses": ["10.0.0.1", "fd00::1", "a"]},
        {"name": "b", "ready": False, "addresses": []},
    ]


def test_a_refusal_is_the_message(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(monkeypatch, capfd, KubeError("Cannot list the nodes: no", status=403))
    assert (result["failed"], result["msg"], result["status"]) == (True, "Cannot list the nodes: no", 403)
