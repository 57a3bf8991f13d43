# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a Job is started, waited for, made again and removed, against a cluster in memory. Molecule runs it on a true one."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils import _job_run
from ansible_collections.airgap.mlops.plugins.modules import kube_job

Object = dict[str, t.Any]
JOBS = "/apis/batch/v1/namespaces/mlops/jobs"
CRONJOB = "/apis/batch/v1/namespaces/mlops/cronjobs/bias-audit"
SPEC: Object = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
ARGS: Object = {"name": "copy", "spec": SPEC, "once": True, "wait_timeout": 5}


class Cluster:
    """Jobs that end as soon as they are looked at."""

    def __init__(self) -> None:
        self.jobs: dict[str, Object] = {}
        self.cronjobs: dict[str, Object] = {
            CRONJOB: {"spec": {"jobTemplate": {"metadata": {"labels": {"n": "audit"}}, "spec": SPEC}}}
        }
        self.calls: list[str] = []
        self.code: int | None = 0  # None: they do not end
        self.log = 'starts\n{"k": 7}\n'
        self.events: list[Object] = []
        self.pod = True
        self.status: Object = {}  # of the pod, where it is another than `code` says
        self.stays = False  # whatever is removed
        self.condition: Object = {"reason": "BackoffLimitExceeded", "message": "limit"}

    def find(self, path: str, *, doing: str) -> Object | None:
        return self.cronjobs.get(path) or self.jobs.get(path)

    def request(self, method: str, path: str, *, doing: str, query: Object | None = None, body: t.Any = None) -> Object:
        if method == "POST":
            self.calls.append(f"start {body['metadata']['name']}")
            self.put(body, self.code)
            return {}
        if method == "DELETE":
            self.calls.append(f"remove {path.rsplit('/', 1)[1]}")
            if not self.stays:
                del self.jobs[path]
            return {}
        if path == JOBS:
            return {"items": list(self.jobs.values())}
        if path.endswith("/events"):
            return {"items": self.events}
        if not self.pod:
            return {"items": []}
        state = {"running": {}} if self.code is None else {"terminated": {"exitCode": self.code}}
        status = self.status or {"phase": "Failed", "containerStatuses": [{"name": "c", "state": state}]}
        return {"items": [{"metadata": {"name": "p", "creationTimestamp": "2026"}, "status": status}]}

    def text(self, path: str, *, doing: str, query: Object | None = None) -> str:
        self.log_of = (query or {}).get("container", "")
        return self.log

    def put(self, job: Object, code: int | None) -> None:
        if code is not None:
            ended = "Failed" if code else "Complete"
            job = {**job, "status": {"conditions": [{"type": ended, "status": "True", **self.condition}]}}
        self.jobs[f"{JOBS}/{job['metadata']['name']}"] = job


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(kube_job, "kube_client", lambda _path: made)
    monkeypatch.setattr(_job_run, "_PAUSE", 0)
    return made


def run(capfd: pytest.CaptureFixture[str], **args: t.Any) -> Object:
    given = {key: value for key, value in {**ARGS, **args}.items() if value is not None}
    with patch_module_args(given), pytest.raises(SystemExit):
        kube_job.main()
    answer: Object = json.loads(capfd.readouterr().out)
    return answer


def test_a_job_that_ended_well_is_not_run_again(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    first, again = run(capfd), run(capfd)
    assert (first["changed"], again["changed"]) == (True, False)
    assert cluster.calls == [f"start {first['job']}"]
    assert first["result"] == again["result"] == {"k": 7}


def test_another_content_is_another_job_and_the_earlier_goes(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run(capfd, content="one")
    second = run(capfd, content="two")
    assert cluster.calls == [f"start {first['job']}", f"start {second['job']}", f"remove {first['job']}"]


def test_another_image_is_the_same_content_where_that_is_said(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    other = json.loads(json.dumps(SPEC).replace('"i"', '"j"'))
    assert run(capfd, content="one")["changed"]
    assert not run(capfd, content="one", spec=other)["changed"]
    assert run(capfd, spec=other)["job"] != run(capfd)["job"]


def test_a_job_that_failed_is_told_and_run_again(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.code, cluster.log = 3, "too few rows look alike\n"
    failed = run(capfd)
    assert failed["failed"]
    assert "failed: container c ended with exit code 3. Its log ends: too few rows look alike" in failed["msg"]
    assert failed["over"]
    cluster.code = 0
    assert run(capfd)["changed"]
    assert [call.split()[0] for call in cluster.calls] == ["start", "remove", "start"]


def test_an_exit_code_that_counts_as_success(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.code = 3
    found = run(capfd, spec=None, cronjob="bias-audit", once=False, exit_codes=[0, 3], labels={"m": "now"})
    assert (found["changed"], found["exit_code"]) == (True, 3)
    (job,) = cluster.jobs.values()
    assert job["metadata"]["labels"] == {"n": "audit", "m": "now", "airgap.mlops/job": "copy"}


def kinds(cluster: Cluster) -> list[str]:
    return [call.split()[0] for call in cluster.calls]


def test_an_exclusive_job_leaves_nothing_and_runs_each_time(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    first, again = (run(capfd, once=None, exclusive=True) for _turn in range(2))
    assert first["changed"]
    assert again["changed"]
    assert first["result"] == {"k": 7}
    assert kinds(cluster) == ["start", "remove"] * 2
    assert cluster.jobs == {}


def test_an_exclusive_job_begins_where_no_other_is_left(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.put({"metadata": {"name": "copy-other", "labels": {"airgap.mlops/job": "copy"}}}, None)
    done = run(capfd, once=None, exclusive=True)
    assert cluster.calls == ["remove copy-other", f"start {done['job']}", f"remove {done['job']}"]


def test_an_exclusive_job_that_still_runs_is_waited_for(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    name = run(capfd, once=None, exclusive=True, _ansible_check_mode=True)["job"]
    cluster.put({"metadata": {"name": name, "labels": {"airgap.mlops/job": "copy"}}}, None)
    cluster.code = None
    given_up = run(capfd, once=None, exclusive=True, wait_timeout=0)
    assert cluster.calls == [f"remove {name}"]
    assert "has not ended after 0 s. It was removed." in given_up["msg"]
    assert given_up["over"]


def test_any_other_job_may_end_when_nobody_waits(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.code = None
    late = run(capfd, wait_timeout=0)
    assert kinds(cluster) == ["start"]
    assert "It may still end by itself." in late["msg"]
    assert not late["over"]


def test_an_exclusive_job_that_failed_stays_for_its_log(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.code = 3
    assert run(capfd, once=None, exclusive=True)["over"]
    assert kinds(cluster) == ["start"]
    cluster.code = 0
    assert run(capfd, once=None, exclusive=True)["changed"]
    assert kinds(cluster) == ["start", "remove", "start", "remove"]


def test_what_is_not_gone_may_still_run(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.code, cluster.stays = None, True
    monkeypatch.setattr(_job_run.JobRunner.remove, "__defaults__", (0.0,))
    found = run(capfd, once=None, exclusive=True, wait_timeout=0)
    assert "was to be removed, and is still there" in found["msg"]
    assert "over" not in found


def ended(name: str, code: int) -> Object:
    return {"name": name, "state": {"terminated": {"exitCode": code}}}


def waits(reason: str) -> Object:
    return {"name": "migrate", "state": {"waiting": {"reason": reason, "message": "no image"}}}


@pytest.mark.parametrize(
    ("first", "then", "container", "code"),
    [
        (ended("backup", 1), waits("PodInitializing"), "backup", 1),
        (ended("backup", 0), ended("migrate", 2), "migrate", 2),
    ],
)
def test_the_first_container_that_ended_badly_says_why(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], first: Object, then: Object, container: str, code: int
) -> None:
    cluster.code = code
    cluster.status = {"phase": "Failed", "initContainerStatuses": [first], "containerStatuses": [then]}
    assert f"failed: container {container} ended with exit code {code}. Its log ends: " in run(capfd)["msg"]
    assert cluster.log_of == container


def test_a_job_that_will_never_start_is_removed_and_says_why(
    cluster: Cluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_job_run, "_GRACE", 0)
    cluster.code = None
    cluster.status = {"phase": "Pending", "containerStatuses": [waits("ErrImageNeverPull")]}
    found = run(capfd, once=None, exclusive=True)
    assert "cannot start: container migrate: ErrImageNeverPull (no image). It was removed again." in found["msg"]
    assert found["over"]
    assert kinds(cluster) == ["start", "remove"]


def test_without_a_pod_a_job_still_says_that_it_failed(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.pod, cluster.code, cluster.condition = False, 1, {"reason": "DeadlineExceeded", "message": "too long"}
    assert "failed: DeadlineExceeded, too long; it has no pod left." in run(capfd)["msg"]


def test_a_pod_that_a_quota_refuses_is_told(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.pod, cluster.code = False, None
    cluster.events = [
        {"lastTimestamp": "2026-01-02", "message": "exceeded quota: mlops"},
        {"lastTimestamp": "2026-01-01", "message": "an earlier one"},
    ]
    assert (
        "has not ended after 0 s: exceeded quota: mlops. It was"
        in run(capfd, once=None, exclusive=True, wait_timeout=0)["msg"]
    )
    cluster.code, cluster.condition = 1, {"reason": "DeadlineExceeded", "message": "too long"}
    assert "failed: DeadlineExceeded, too long; exceeded quota: mlops." in run(capfd)["msg"]


def test_once_keeps_what_exclusive_removes(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    assert "mutually exclusive: once|exclusive" in run(capfd, exclusive=True)["msg"]
    assert cluster.calls == []


def test_check_mode_starts_nothing(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, _ansible_check_mode=True)["changed"]
    assert cluster.calls == []
    run(capfd)
    assert not run(capfd, _ansible_check_mode=True)["changed"]


def test_a_cronjob_that_is_not_there(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    assert "CronJob mlops/nightly does not exist" in run(capfd, spec=None, cronjob="nightly")["msg"]
