# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's order of work against a cluster in memory. What the API server itself decides is tested on a true one."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils import _kube_apply
from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeError
from ansible_collections.airgap.mlops.plugins.modules import kube_apply

Object = dict[str, t.Any]

KINDS = {
    "/api/v1": {"Namespace": ("namespaces", False), "ConfigMap": ("configmaps", True)},
    "/apis/apps/v1": {"Deployment": ("deployments", True)},
}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"spec": {"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}},
    },
}
CONFIG: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
SECRET: Object = {"metadata": {"name": "s", "uid": "u1", "resourceVersion": "1"}, "data": {"k": "aGlkZGVu"}}
POD: Object = {
    "metadata": {"name": "web-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "status": {
        "phase": "Pending",
        "containerStatuses": [
            {"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 9,
             "lastState": {"terminated": {"exitCode": 3}}}
        ],
    },
}  # fmt: skip


class Cluster:
    """Namespaces, and what was written where."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.namespaces = {"mlops"}
        self.writes: list[str] = []
        self.ready = True
        self.refused = ""
        self.warnings: dict[str, None] = {}

    def find(self, path: str, *, doing: str) -> Object | None:
        if path in KINDS:
            kinds = KINDS[path].items()
            return {"resources": [{"kind": kind, "name": name, "namespaced": inside} for kind, (name, inside) in kinds]}
        return copy.deepcopy(self.objects.get(path))

    def apply(self, path: str, *, doing: str, query: Object, body: Object) -> Object:
        parts = path.split("/")
        if "namespaces" in parts[:-2] and parts[parts.index("namespaces") + 1] not in self.namespaces:
            raise KubeError(f"Cannot {doing}: the API server answers 404 namespaces not found", status=404)
        if self.refused and self.refused in path:
            raise KubeError(f"Cannot {doing}: the API server answers 422 field is immutable", status=422)
        entry = {"manager": "airgap-mlops", "operation": "Apply", "fieldsV1": sorted(body)}
        made = {**body, "metadata": {**body["metadata"], "uid": "x", "managedFields": [entry]}}
        if "dryRun" not in query:
            self.writes.append(path)
            if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
                self.namespaces.add(parts[-1])
            counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(self.ready)}
            self.objects[path] = {**made, "status": counts}
        return made

    def request(self, method: str, path: str, *, doing: str, query: Object | None = None) -> Object:
        return {"items": [POD]}

    def text(self, path: str, *, doing: str, query: Object | None = None) -> str:
        return "starting\nno database\n"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    made.objects["/api/v1/namespaces/mlops/secrets/s"] = SECRET
    monkeypatch.setattr(kube_apply, "kube_client", lambda kubeconfig: made)
    monkeypatch.setattr(_kube_apply, "_PAUSE", 0.0)
    monkeypatch.setattr(_kube_apply, "_GRACE", 0.0)
    return made


def run(capfd: pytest.CaptureFixture[str], *definition: Object, **args: t.Any) -> Object:
    with patch_module_args({"definition": list(definition), **args}), pytest.raises(SystemExit):
        kube_apply.main()
    result: Object = json.loads(capfd.readouterr().out)
    return result


CONFIG_PATH = "/api/v1/namespaces/mlops/configmaps/c"
DEPLOYMENT_PATH = "/apis/apps/v1/namespaces/mlops/deployments/web"


@pytest.mark.parametrize(("check", "writes"), [(True, []), (False, [CONFIG_PATH, DEPLOYMENT_PATH])])
def test_plan_and_work_are_the_same(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], check: bool, writes: list[str]
) -> None:
    result = run(capfd, CONFIG, DEPLOYMENT, _ansible_check_mode=check, _ansible_diff=True)
    assert (result["changed"], result["actions"]) == (True, ["create ConfigMap c", "create Deployment web"])
    annotations = result["diff"]["after"]["Deployment web"]["spec"]["template"]["metadata"]["annotations"]
    assert len(annotations.pop("checksum/s")) == 32
    assert annotations == {}
    assert cluster.writes == writes


def test_second_run_writes_nothing_and_a_new_secret_brings_new_pods(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    run(capfd, CONFIG, DEPLOYMENT)
    cluster.writes.clear()
    assert run(capfd, CONFIG, DEPLOYMENT)["changed"] is False
    cluster.objects["/api/v1/namespaces/mlops/secrets/s"] = {**SECRET, "data": {"k": "b3RoZXI="}}
    result = run(capfd, CONFIG, DEPLOYMENT)
    assert result["actions"] == ["change Deployment web: spec.template"]
    assert cluster.writes == [DEPLOYMENT_PATH]


def test_what_the_server_refuses_changes_nothing(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.refused = "deployments"
    result = run(capfd, CONFIG, DEPLOYMENT)
    assert (result["failed"], result["msg"], result["status"]) == (
        True,
        "Cannot apply Deployment web: the API server answers 422 field is immutable",
        422,
    )
    assert cluster.writes == []


def test_a_missing_secret_is_named_before_anything_changes(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    del cluster.objects["/api/v1/namespaces/mlops/secrets/s"]
    result = run(capfd, CONFIG, DEPLOYMENT)
    assert result["msg"].startswith("Deployment web cannot start without secret mlops/s, which does not exist.")
    assert cluster.writes == []
    planned = run(capfd, CONFIG, DEPLOYMENT, _ansible_check_mode=True, _ansible_diff=True)
    after = planned["diff"]["after"]["Deployment web"]
    assert after["spec"]["template"]["metadata"]["annotations"] == {"checksum/s": "pending"}


def test_a_namespace_that_the_list_makes(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(capfd, NAMESPACE, CONFIG, namespace="new")
    assert result["actions"] == ["create Namespace new", "create ConfigMap c"]
    assert cluster.writes == ["/api/v1/namespaces/new", "/api/v1/namespaces/new/configmaps/c"]


def test_a_namespace_that_nobody_makes(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(capfd, CONFIG, namespace="gone")
    assert result["msg"] == "ConfigMap c cannot be made: namespace gone does not exist. Role platform makes it."
    assert run(capfd, CONFIG, namespace="gone", _ansible_check_mode=True)["actions"] == ["create ConfigMap c"]


def test_an_unknown_kind(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(capfd, {**CONFIG, "kind": "Confmap"})
    assert result["msg"] == "Confmap c: this cluster knows no kind Confmap of v1"


@pytest.mark.parametrize(("wait", "failed"), [(True, True), (False, False)])
def test_pods_that_do_not_come_up_are_named(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], wait: bool, failed: bool
) -> None:
    cluster.ready = False
    result = run(capfd, DEPLOYMENT, wait=wait)
    assert result.get("failed", False) is failed
    if failed:
        assert result["msg"] == (
            "Deployment web in namespace mlops did not come up: 0 of 1 pods are ready. "
            "Pod web-1: container web ended 9 times, last with exit code 3. Its log ends: starting | no database "
            "(waited 0 of 300 s)"
        )


def test_warnings_of_the_server_are_warnings_of_the_task(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.warnings["would violate PodSecurity"] = None
    result = run(capfd, CONFIG)
    texts = [item if isinstance(item, str) else json.dumps(item) for item in result["warnings"]]
    assert any("The API server warns: would violate PodSecurity" in text for text in texts)
