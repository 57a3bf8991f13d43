# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._rollout import (
    PodProblem,
    missing,
    newest_form,
    pod_problem,
)

Object = dict[str, t.Any]


def workload(kind: str = "Deployment", wanted: int = 2, generation: int = 3, **status: t.Any) -> Object:
    spec = {} if kind == "DaemonSet" else {"replicas": wanted}
    status = {"observedGeneration": 3, **status}
    return {"kind": kind, "metadata": {"name": "a", "generation": generation}, "spec": spec, "status": status}


def counts(total: int, updated: int, available: int) -> Object:
    return {"replicas": total, "updatedReplicas": updated, "availableReplicas": available}


REFUSED = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: platform"}
DAEMONS = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(workload(**counts(2, 2, 2)), "", id="all are ready"),
        pytest.param(workload(wanted=0), "", id="none is wanted"),
        pytest.param(
            workload(generation=4, **counts(2, 2, 2)), "its change has not been seen by the controller", id="old news"
        ),
        pytest.param(workload(), "0 of 2 pods are of its present form", id="none yet"),
        pytest.param(
            workload(conditions=[REFUSED]),
            "0 of 2 pods are of its present form (exceeded quota: platform)",
            id="none can be made",
        ),
        pytest.param(workload(**counts(3, 2, 3)), "1 pods of its earlier form are still there", id="an old one"),
        pytest.param(workload(**counts(2, 2, 1)), "1 of 2 pods are ready", id="one is late"),
        pytest.param(workload("StatefulSet", **counts(2, 2, 2)), "", id="stateful"),
        pytest.param(workload("DaemonSet", **DAEMONS), "1 of 2 pods are ready", id="daemons"),
        pytest.param(workload("DaemonSet", **{**DAEMONS, "numberAvailable": 2}), "", id="all daemons"),
    ],
)
def test_what_a_workload_lacks(found: Object, expected: str) -> None:
    assert missing(found) == expected


def pod(*, ready: bool = False, deleted: bool = False, **status: t.Any) -> Object:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    return {"metadata": {"name": "p", **gone}, "status": {"phase": "Pending", "conditions": conditions, **status}}


def container(state: Object, last: Object | None = None, **more: t.Any) -> Object:
    return {"name": "c", "ready": False, "state": state, "lastState": last or {}, "restartCount": 0, **more}


NO_NODE = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient memory."}
NO_IMAGE = container({"waiting": {"reason": "ErrImageNeverPull", "message": "Container image is not present"}})
CRASHED = {"terminated": {"exitCode": 1, "reason": "Error"}}
CRASHES = container({"waiting": {"reason": "CrashLoopBackOff"}}, CRASHED, restartCount=2)
KILLED = container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
RUNS = container({"running": {}})
INITIALISES = container({"waiting": {"reason": "PodInitializing"}})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(pod(ready=True), None, id="ready"),
        pytest.param(pod(deleted=True), None, id="on its way out"),
        pytest.param(pod(), PodProblem("it is Pending"), id="nothing known"),
        pytest.param(pod(message="node was low on memory"), PodProblem("node was low on memory"), id="evicted"),
        pytest.param(
            pod(conditions=[NO_NODE]),
            PodProblem("it has no node: 0/1 nodes are available: 1 Insufficient memory."),
            id="unschedulable",
        ),
        pytest.param(
            pod(containerStatuses=[NO_IMAGE]),
            PodProblem("container c: ErrImageNeverPull (Container image is not present)", hopeless=True),
            id="no image",
        ),
        pytest.param(
            pod(containerStatuses=[CRASHES]),
            PodProblem("container c ended 2 times, last with exit code 1", "c"),
            id="crashes",
        ),
        pytest.param(
            pod(containerStatuses=[{**CRASHES, "restartCount": 4}]),
            PodProblem("container c ended 4 times, last with exit code 1", "c", hopeless=True),
            id="crashes for ever",
        ),
        pytest.param(
            pod(containerStatuses=[KILLED]),
            PodProblem("container c ended with exit code 137, OOMKilled", "c"),
            id="killed",
        ),
        pytest.param(
            pod(containerStatuses=[RUNS]), PodProblem("container c runs and its probe does not succeed", "c"), id="slow"
        ),
        pytest.param(
            pod(containerStatuses=[{**RUNS, "lastState": CRASHED, "restartCount": 1}]),
            PodProblem(
                "container c runs and its probe does not succeed (before that it ended 1 times, last with exit code 1)",
                "c",
            ),
            id="slow after a crash",
        ),
        pytest.param(
            pod(initContainerStatuses=[RUNS], containerStatuses=[INITIALISES]),
            PodProblem("container c runs and must end first", "c"),
            id="an init container is the cause",
        ),
        pytest.param(
            pod(containerStatuses=[container({"running": {}}, ready=True), KILLED]),
            PodProblem("container c ended with exit code 137, OOMKilled", "c"),
            id="the one that is not ready",
        ),
    ],
)
def test_why_a_pod_is_not_ready(found: Object, expected: PodProblem | None) -> None:
    assert pod_problem(found) == expected


@pytest.mark.parametrize("label", ["pod-template-hash", "controller-revision-hash"])
def test_a_pod_of_an_earlier_form_holds_nothing_up(label: str) -> None:
    new, other, old = ({"metadata": {"name": name, "labels": {label: form}}} for name, form in ("ab", "cb", "da"))
    assert newest_form([new, other, old]) == [new, other]
    assert newest_form([]) == []


def test_pods_that_no_controller_labelled_are_all_of_one_form() -> None:
    pods: list[Object] = [{"metadata": {"name": "a"}}, {"metadata": {"name": "b", "labels": {}}}]
    assert newest_form(pods) == pods
