# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._jobs import (
    LABEL,
    JobError,
    build_job,
    content_hash,
    exit_code,
    job_state,
    read_result,
    why_failed,
)

Object = dict[str, t.Any]
SPEC: Object = {"template": {"spec": {"containers": [{"name": "c", "args": ["--days", "30"]}]}}}


def build(**changes: t.Any) -> Object:
    given: Object = {
        "name": "audit",
        "namespace": "mlops",
        "spec": SPEC,
        "args": [],
        "suffix": "x",
        "labels": {"a": "b"},
    }
    return build_job(**{**given, **changes})


def test_a_job_has_its_name_its_task_and_further_arguments() -> None:
    job = build(args=["--days", "90"])
    assert job["metadata"] == {"name": "audit-x", "namespace": "mlops", "labels": {"a": "b", LABEL: "audit"}}
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["--days", "30", "--days", "90"]
    assert SPEC["template"]["spec"]["containers"][0]["args"] == ["--days", "30"], "what was given stays as it was"


@pytest.mark.parametrize("name", ["", "Audit", "a_b", "-a", "a-", "a" * 51, "a/b"])
def test_names_that_no_job_can_have(name: str) -> None:
    with pytest.raises(JobError, match="cannot be the name of a Job"):
        build(name=name)


@pytest.mark.parametrize("spec", [{}, {"template": {}}, {"template": {"spec": {"containers": []}}}])
def test_what_is_no_job(spec: Object) -> None:
    with pytest.raises(JobError, match="has no containers"):
        build(spec=spec)


def test_the_same_content_has_the_same_name_in_any_order() -> None:
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([], "running"),
        ([{"type": "SuccessCriteriaMet", "status": "True"}], "running"),
        ([{"type": "Complete", "status": "True"}], "complete"),
        ([{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}], "failed"),
        ([{"type": "Complete", "status": "False"}], "running"),
    ],
)
def test_how_a_job_stands(conditions: list[Object], state: str) -> None:
    assert job_state({"status": {"conditions": conditions}}) == state
    assert job_state({}) == "running"


def test_with_what_a_pod_ended() -> None:
    ended = {"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}}
    assert exit_code(ended) == 3
    assert exit_code({"status": {"containerStatuses": [{"state": {"running": {}}}]}}) is None
    assert exit_code({"status": {}}) is None


def condition(reason: str, status: str = "True") -> Object:
    return {"status": {"conditions": [{"type": "Failed", "status": status, "reason": reason, "message": "too long"}]}}


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (condition("BackoffLimitExceeded"), "a quota"),
        (condition("DeadlineExceeded"), "DeadlineExceeded, too long; a quota"),
        (condition("DeadlineExceeded", "False"), "a quota"),
    ],
)
def test_why_a_job_failed(job: Object, why: str) -> None:
    assert why_failed(job, "a quota") == why


@pytest.mark.parametrize(
    ("log", "result"),
    [
        ("", None),
        ("words\n[1]\n", None),
        ('{"a": 1}\nwords\n', {"a": 1}),
        ('{"a": 1}\n{"a": 2}\nafter\n', {"a": 2}),
        ('{"a": 1}\n{broken\n', {"a": 1}),
    ],
)
def test_the_last_object_of_a_log_is_its_result(log: str, result: Object | None) -> None:
    assert read_result(log) == result
