# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Makes Jobs, waits for their end and reads what they wrote. I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._jobs import (
    LABEL,
    JobError,
    exit_code,
    job_state,
    why_failed,
)
from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeClient, KubeError, Object, api_path
from ansible_collections.airgap.mlops.plugins.module_utils._rollout import PodProblem, pod_problem

__all__ = ("Ended", "JobRunner")

_PAUSE = 1.0
# What keeps a pod from starting may pass in a moment.
_GRACE = 15.0
_LOG_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Ended:
    """How a Job ended."""

    state: str
    exit_code: int | None
    log: str
    why: str  # it failed


class JobRunner:
    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def template_of(self, cronjob: str) -> Object:
        """What a CronJob would start, with its labels."""
        path = api_path("batch/v1", "cronjobs", self._namespace, cronjob)
        found = self._client.find(path, doing=f"read CronJob {cronjob}")
        if found is None:
            raise JobError(f"CronJob {self._namespace}/{cronjob} does not exist. The role that it belongs to makes it.")
        template: Object = found["spec"]["jobTemplate"]
        return template

    def find(self, name: str) -> Object | None:
        return self._client.find(self._path(name), doing=f"read Job {name}")

    def start(self, job: Object) -> None:
        self._client.request(
            "POST", api_path("batch/v1", "jobs", self._namespace), body=job, doing=f"make Job {job['metadata']['name']}"
        )

    def remove_others(self, job: Object) -> None:
        """Jobs of the same task in another form."""
        query = {"labelSelector": f"{LABEL}={job['metadata']['labels'][LABEL]}"}
        path = api_path("batch/v1", "jobs", self._namespace)
        for other in self._client.request("GET", path, query=query, doing="list Jobs")["items"]:
            if other["metadata"]["name"] != job["metadata"]["name"]:
                self.remove(other["metadata"]["name"])

    def remove(self, name: str, wait: float = 60.0) -> None:
        """With its pods, and not before they are gone."""
        if self.find(name) is None:
            return
        body = {"propagationPolicy": "Foreground"}
        self._client.request("DELETE", self._path(name), body=body, doing=f"remove Job {name}")
        deadline = time.monotonic() + wait
        while self.find(name) is not None:
            if time.monotonic() > deadline:
                raise JobError(f"Job {name} was to be removed, and is still there after {wait:.0f} s")
            time.sleep(_PAUSE)

    def wait(self, name: str, seconds: float, *, give_up: bool = False) -> Ended:
        """`give_up`: one that has not ended in time is removed."""
        started = time.monotonic()
        stuck_since: float | None = None
        while True:
            job = self.find(name)
            if job is None:
                raise JobError(f"Job {name} was removed while it was waited for")
            pod = self._pod(name)
            if job_state(job) != "running":
                return self._ended(job, pod)
            problem = self._problem(name, pod)
            if problem and problem.hopeless:
                stuck_since = stuck_since or time.monotonic()
                if time.monotonic() - stuck_since > _GRACE:
                    self.remove(name)  # lest it starts some day, when nobody waits for it any more
                    raise JobError(f"Job {name} cannot start: {problem.text}. It was removed again.", over=True)
            if time.monotonic() - started > seconds:
                why = f": {problem.text}" if problem else ""
                if give_up:
                    self.remove(name)
                after = "It was removed." if give_up else "It may still end by itself."
                raise JobError(f"Job {name} has not ended after {seconds:.0f} s{why}. {after}", over=give_up)
            time.sleep(_PAUSE)

    def _ended(self, job: Object, pod: Object | None) -> Ended:
        state, problem = job_state(job), pod_problem(pod) if pod else None
        why = ""
        if state == "failed":
            found = problem.text if problem else self._refusal(job["metadata"]["name"]) or "it has no pod left"
            why = why_failed(job, found)
        log = self._log(pod, problem.container if problem else "") if pod else ""
        return Ended(state, exit_code(pod) if pod else None, log, why)

    def _problem(self, name: str, pod: Object | None) -> PodProblem | None:
        """Why nothing of it runs yet."""
        if pod is None:
            refusal = self._refusal(name)
            return PodProblem(refusal) if refusal else None
        return pod_problem(pod) if pod.get("status", {}).get("phase") == "Pending" else None

    def _refusal(self, name: str) -> str:
        """Why no pod of it can be made, such as a quota that has no room: only Events say so."""
        query = {"fieldSelector": f"involvedObject.kind=Job,involvedObject.name={name},reason=FailedCreate"}
        path = api_path("v1", "events", self._namespace)
        doing = f"list the events of Job {name}"
        events: list[Object] = self._client.request("GET", path, query=query, doing=doing)["items"]
        latest: Object = max(events, key=lambda event: str(event.get("lastTimestamp")), default={})
        return str(latest.get("message", ""))

    def _pod(self, job: str) -> Object | None:
        """Its latest."""
        query = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
        path = api_path("v1", "pods", self._namespace)
        pods: list[Object] = self._client.request("GET", path, query=query, doing=f"list the pods of Job {job}")[
            "items"
        ]
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def _log(self, pod: Object, container: str) -> str:
        """Of this container; without a name, of the pod's one that does the work."""
        name = pod["metadata"]["name"]
        query = {"limitBytes": str(_LOG_BYTES), **({"container": container} if container else {})}
        try:
            path = api_path("v1", "pods", self._namespace, name, "log")
            return self._client.text(path, query=query, doing=f"read the log of pod {name}")
        except KubeError:
            return ""

    def _path(self, name: str) -> str:
        return api_path("batch/v1", "jobs", self._namespace, name)
