# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What to do so that a server's buckets are as wanted. Pure: no I/O, no module object, no clock."""

from __future__ import annotations

import fnmatch
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan
from ansible_collections.airgap.mlops.plugins.module_utils._s3_policy import policy_problems, same_policy

__all__ = ("Bucket", "BucketPlan", "BucketState", "BucketStep", "check_buckets", "plan_buckets")

# The rules that all S3 servers share; MinIO's laxer ones would make a bucket that cannot move elsewhere.
_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Bucket:
    """A bucket as wanted. None leaves a property as it is."""

    name: str
    state: str = "present"
    force: bool = False
    versioning: str | None = None
    quota: int | None = None
    object_lock: bool | None = None
    policy: t.Mapping[str, t.Any] | None = None


@dataclass(frozen=True)
class BucketState:
    """A bucket as the server has it. Properties that nobody asked about keep their defaults."""

    name: str
    exists: bool
    empty: bool = True
    versioning: str = "off"
    quota: int = 0
    object_lock: bool = False
    policy: t.Mapping[str, t.Any] | None = None


@dataclass(frozen=True)
class BucketStep:
    """One request (or, to empty a bucket, one series of them)."""

    action: str  # create | empty | remove | versioning | quota | policy
    bucket: str
    value: t.Any = None

    def __str__(self) -> str:
        if self.action == "policy":
            return f"{'set' if self.value else 'remove'} the policy of bucket {self.bucket}"
        if self.action in ("create", "empty", "remove"):
            lock = " with object lock" if self.action == "create" and self.value else ""
            return f"{self.action} bucket {self.bucket}{lock}"
        return f"set {self.action} of bucket {self.bucket} to {self.value}"


class BucketPlan(StepPlan[BucketStep]):
    """What brings the buckets to what is wanted."""


def check_buckets(wanted: t.Sequence[Bucket]) -> None:
    """Refuse what no server could do, before one is asked."""
    problems = []
    seen: set[str] = set()
    for bucket in wanted:
        if bucket.name in seen:
            problems.append(f"bucket {bucket.name} is listed twice")
        seen.add(bucket.name)
        problems += [f"bucket {bucket.name}: {problem}" for problem in _bucket_problems(bucket)]
    if problems:
        raise AirgapError(f"The wanted buckets cannot be: {'; '.join(problems)}.", problems=problems)


def _bucket_problems(bucket: Bucket) -> list[str]:
    problems = []
    if not _NAME.fullmatch(bucket.name):
        problems.append(
            "a name has 3 to 63 lower-case letters, digits, dots and hyphens, and starts and ends with a letter or digit"
        )
    if bucket.quota is not None and bucket.quota < 0:
        problems.append(f"a quota of {bucket.quota} bytes is below 0 (0 removes it)")
    if bucket.object_lock and bucket.versioning == "suspended":
        problems.append("object lock needs versioning, which cannot be suspended then")
    if bucket.policy:
        problems += [f"policy: {problem}" for problem in policy_problems(bucket.policy)]
        problems += [f"policy: resource {name} is not in this bucket" for name in _strange_resources(bucket)]
    return problems


def _strange_resources(bucket: Bucket) -> list[str]:
    statements = (bucket.policy or {}).get("Statement") or []
    strange = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        resources = statement.get("Resource") or [] if isinstance(statement, dict) else []
        for resource in [resources] if isinstance(resources, str) else resources:
            if not fnmatch.fnmatchcase(f"arn:aws:s3:::{bucket.name}", str(resource).split("/", maxsplit=1)[0]):
                strange.append(str(resource))
    return strange


def plan_buckets(*, wanted: t.Sequence[Bucket], actual: t.Mapping[str, BucketState]) -> BucketPlan:
    """Compare, and say what to do in which order. Raises with everything that stands in the way at once."""
    check_buckets(wanted)
    problems = [problem for bucket in wanted for problem in _obstacles(bucket, actual[bucket.name])]
    if problems:
        raise AirgapError(f"No bucket was changed: {'; '.join(problems)}.", problems=problems)
    steps = [step for bucket in wanted for step in _steps(bucket, actual[bucket.name])]
    return BucketPlan(
        steps=tuple(steps),
        before={bucket.name: _describe(bucket, actual[bucket.name]) for bucket in wanted},
        after={bucket.name: _describe(bucket, _applied(bucket, actual[bucket.name])) for bucket in wanted},
    )


def _obstacles(bucket: Bucket, state: BucketState) -> list[str]:
    if not state.exists:
        return []
    if bucket.state == "absent":
        if state.empty or bucket.force:
            return []
        return [
            f"bucket {bucket.name} is not empty: remove its objects first, or set force to remove all of them, with every version"
        ]
    problems = []
    if bucket.object_lock is not None and bucket.object_lock != state.object_lock:
        is_on = "has" if state.object_lock else "has no"
        problems.append(
            f"bucket {bucket.name} {is_on} object lock, which can be chosen only when a bucket is made: keep it, or make another bucket"
        )
    if bucket.versioning == "suspended" and state.object_lock:
        problems.append(f"versioning of bucket {bucket.name} cannot be suspended: it has object lock")
    return problems


def _steps(bucket: Bucket, state: BucketState) -> t.Iterator[BucketStep]:
    if bucket.state == "absent":
        if state.exists and not state.empty:
            yield BucketStep("empty", bucket.name)
        if state.exists:
            yield BucketStep("remove", bucket.name)
        return
    target = _applied(bucket, state)
    if not state.exists:
        yield BucketStep("create", bucket.name, target.object_lock)
        # Object lock brings versioning with it.
        state = BucketState(bucket.name, exists=True, versioning="enabled" if target.object_lock else "off")
    if target.versioning != state.versioning:
        yield BucketStep("versioning", bucket.name, target.versioning)
    if target.quota != state.quota:
        yield BucketStep("quota", bucket.name, target.quota)
    if not same_policy(target.policy, state.policy):
        yield BucketStep("policy", bucket.name, target.policy)


def _applied(bucket: Bucket, state: BucketState) -> BucketState:
    """The state once every step is done."""
    if bucket.state == "absent":
        return BucketState(bucket.name, exists=False)
    object_lock = state.object_lock if bucket.object_lock is None else bucket.object_lock
    versioning = state.versioning if bucket.versioning is None else bucket.versioning
    if bucket.versioning == "suspended" and state.versioning == "off":
        versioning = "off"  # never enabled keeps no versions either: nothing to suspend
    if object_lock and not state.exists:
        versioning = "enabled"
    keeps_policy = bucket.policy is None or same_policy(bucket.policy, state.policy)
    return BucketState(
        name=bucket.name,
        exists=True,
        empty=state.empty,
        versioning=versioning,
        quota=state.quota if bucket.quota is None else bucket.quota,
        object_lock=object_lock,
        policy=state.policy if keeps_policy else (bucket.policy or None),
    )


def _describe(bucket: Bucket, state: BucketState) -> dict[str, t.Any]:
    """What a diff shows: only what the task speaks of."""
    if not state.exists:
        return {"state": "absent"}
    shown: dict[str, t.Any] = {"state": "present"}
    if bucket.state == "absent":
        return shown
    if bucket.versioning is not None:
        shown["versioning"] = state.versioning
    if bucket.quota is not None:
        shown["quota"] = state.quota
    if bucket.object_lock is not None:
        shown["object_lock"] = state.object_lock
    if bucket.policy is not None:
        shown["policy"] = state.policy
    return shown
