# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Whether a workload has come up, and which pod holds it up and why. Pure: predicates on what the API server says."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

__all__ = ("PodProblem", "missing", "newest_form", "pod_problem")

Object = dict[str, t.Any]

# kubelet tries again for ever, and only a change of the pod or of the node helps.
_NEVER_STARTS = ("CreateContainerConfigError", "ErrImageNeverPull", "InvalidImageName")
# A container may end a few times before what it needs is there; not this often.
_HOPELESS_RESTARTS = 4
# Labels by which controllers tell pods of one template from those of another.
_FORMS = ("pod-template-hash", "controller-revision-hash")


@dataclass(frozen=True)
class PodProblem:
    """Why a pod is not ready."""

    text: str
    container: str = ""  # whose log says more
    hopeless: bool = False  # waiting longer will not help


def missing(workload: Object) -> str:
    """What a Deployment, StatefulSet or DaemonSet still lacks, or nothing."""
    spec, status = workload["spec"], workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return "its change has not been seen by the controller"
    if workload["kind"] == "DaemonSet":
        wanted, total = status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0)
        updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        wanted, total = spec.get("replicas", 1), status.get("replicas", 0)
        updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are of its present form{_refusal(status)}"
    if total > updated:
        return f"{total - updated} pods of its earlier form are still there"
    if available < wanted:
        return f"{available} of {wanted} pods are ready"
    return ""


def _refusal(status: Object) -> str:
    """Why the controller could not make a pod at all: a quota, a Pod Security level."""
    texts = [
        str(condition.get("message"))
        for condition in status.get("conditions", ())
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
    ]
    return f" ({'; '.join(texts)})" if texts else ""


def newest_form(pods: t.Sequence[Object]) -> list[Object]:
    """Those made from the same template as the first. Others are on their way out, whatever ails them."""
    forms = [[pod["metadata"].get("labels", {}).get(key) for key in _FORMS] for pod in pods]
    return [pod for pod, form in zip(pods, forms) if form == forms[0]]


def pod_problem(pod: Object) -> PodProblem | None:
    """Why this pod is not ready, or None when it is or is on its way out."""
    status = pod.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    if "deletionTimestamp" in pod["metadata"] or conditions.get("Ready", {}).get("status") == "True":
        return None
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodProblem(f"it has no node: {scheduled.get('message') or scheduled.get('reason')}")
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind, ()):
            found = _container_problem(container, "its probe does not succeed" if kind[0] == "c" else "must end first")
            if found:
                return found
    return PodProblem(str(status.get("message") or status.get("reason") or f"it is {status.get('phase', 'unknown')}"))


def _container_problem(container: Object, running: str) -> PodProblem | None:
    name, state = container["name"], container.get("state", {})
    restarts = container.get("restartCount", 0)
    last = container.get("lastState", {}).get("terminated")
    if "waiting" in state:
        waiting = state["waiting"]
        reason = waiting.get("reason", "waiting")
        if reason == "PodInitializing":
            return None  # an init container is the cause
        if reason == "CrashLoopBackOff" and last:
            text = f"container {name} ended {restarts} times, last {_end(last)}"
            return PodProblem(text, name, hopeless=restarts >= _HOPELESS_RESTARTS)
        message = f" ({waiting['message']})" if waiting.get("message") else ""
        return PodProblem(f"container {name}: {reason}{message}", hopeless=reason in _NEVER_STARTS)
    if "terminated" in state:
        if state["terminated"].get("exitCode") == 0:
            return None
        return PodProblem(f"container {name} ended {_end(state['terminated'])}", name)
    if container.get("ready", False):
        return None
    before = f" (before that it ended {restarts} times, last {_end(last)})" if last else ""
    return PodProblem(f"container {name} runs and {running}{before}", name)


def _end(terminated: Object) -> str:
    reason = terminated.get("reason", "")
    return f"with exit code {terminated.get('exitCode')}" + (f", {reason}" if reason not in ("", "Error") else "")
