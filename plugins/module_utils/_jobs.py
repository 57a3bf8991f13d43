# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Jobs of Kubernetes: what one is called, how it ended, what it wrote. Pure: no I/O, no clock."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = (
    "LABEL",
    "JobError",
    "build_job",
    "content_hash",
    "exit_code",
    "job_state",
    "read_result",
    "why_failed",
)

Object = dict[str, t.Any]

# Which Jobs are one and the same task in its earlier and present form.
LABEL = "airgap.mlops/job"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST = 50  # a Job's pods get its name and six characters more; a hash or a time stands behind it


class JobError(AirgapError):
    """The Job cannot be made, or did not do its work."""


def build_job(*, name: str, namespace: str, spec: Object, args: t.Sequence[str], suffix: str, labels: Object) -> Object:
    """The Job as it is to be made. What is to run once has a hash of its content for its suffix: the same task, the same name."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise JobError(
            f"'{name}' cannot be the name of a Job: 1 to {_LONGEST} small letters, digits and -, as a DNS name"
        )
    spec = copy.deepcopy(spec)
    containers = spec.get("template", {}).get("spec", {}).get("containers")
    if not containers:
        raise JobError(f"Job {name} has no containers: spec must be that of a Job, with template.spec.containers")
    if args:
        containers[0]["args"] = [*containers[0].get("args", []), *args]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-{suffix}", "namespace": namespace, "labels": {**labels, LABEL: name}},
        "spec": spec,
    }


def content_hash(content: t.Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def job_state(job: Object) -> str:
    """running, complete, or failed."""
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return "complete" if condition["type"] == "Complete" else "failed"
    return "running"


def exit_code(pod: Object) -> int | None:
    """With what the first container ended, or None where it has not."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        if "terminated" in status.get("state", {}):
            return int(status["state"]["terminated"]["exitCode"])
    return None


def why_failed(job: Object, found: str) -> str:
    """`found`: what is wrong with its pod. That it was once too often says nothing beside it."""
    for condition in job.get("status", {}).get("conditions") or ():
        ended = condition["type"] == "Failed" and condition["status"] == "True"
        if ended and condition.get("reason") != "BackoffLimitExceeded":
            return f"{condition.get('reason')}, {condition.get('message')}; {found}"
    return found


def read_result(log: str) -> Object | None:
    """The last line that is a JSON object: what a program of ours says for other programs."""
    for line in reversed(log.splitlines()):
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
    return None
