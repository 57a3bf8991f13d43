"""What role mlflow makes of the Job of a migration and of its pods, and which dumps it keeps."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def waiting(reason: str) -> dict[str, t.Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason, "message": f"message of {reason}"}}}


STUCK = ["ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"]
PODS = [
    {"status": {"phase": "Pending"}},  # not looked at by kubelet yet
    {"status": {"initContainerStatuses": [waiting(STUCK[0])], "containerStatuses": [waiting("PodInitializing")]}},
    {"status": {"containerStatuses": [waiting(STUCK[1]), waiting("ContainerCreating"), waiting(STUCK[2])]}},
    {"status": {"containerStatuses": [{"name": "c", "state": {"running": {"startedAt": "now"}}}]}},
    {"status": {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}},
]


def ended(name: str, code: int) -> dict[str, t.Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code}}}


BACKUP = {"initContainerStatuses": [ended("backup", 1)], "containerStatuses": [waiting("PodInitializing")]}
MIGRATE = {"initContainerStatuses": [ended("backup", 0)], "containerStatuses": [ended("migrate", 1)]}


def evaluate(variable: str, variables: dict[str, t.Any]) -> t.Any:
    """A variable of the role, as Ansible sees it."""
    known = ["-e", "@roles/mlflow/vars/main.yml", "-e", json.dumps(variables)]
    task = ["-m", "ansible.builtin.debug", "-a", json.dumps({"msg": f"{{{{ {{'found': {variable}}} | to_json }}}}"})]
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-i", "localhost,", *known, *task]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found = re.search(r"\{\"found\": .*\}", " ".join(done.stdout.split()))
    assert found, done.stdout
    return json.loads(found.group())["found"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"__mlflow_migrating": {"resources": PODS}}, [f"message of {why}" for why in STUCK], id="stuck"),
        pytest.param({}, [], id="not read yet"),
    ],
)
def test_a_migration_that_will_never_start_says_why(variables: dict[str, t.Any], expected: list[str]) -> None:
    assert evaluate("__mlflow_stuck", variables) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"__mlflow_migrating": {"resources": [{"status": BACKUP}]}}, "backup", id="no dump"),
        pytest.param({"__mlflow_migrating": {"resources": [{"status": MIGRATE}]}}, "migrate", id="no migration"),
        pytest.param({}, "migrate", id="not read yet"),
    ],
)
def test_the_log_of_what_failed_is_shown(variables: dict[str, t.Any], expected: str) -> None:
    assert evaluate("__mlflow_failed_container", variables) == expected


def condition(kind: str, reason: str = "", message: str = "") -> dict[str, t.Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def job(*conditions: dict[str, t.Any], **status: int) -> dict[str, t.Any]:
    return {"resources": [{"status": {**status, **({"conditions": list(conditions)} if conditions else {})}}]}


LATE = condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
TARGET = condition("FailureTarget", "DeadlineExceeded")


@pytest.mark.parametrize(
    ("read", "made", "end"),
    [
        pytest.param(job(active=1, ready=0), True, {}, id="runs"),
        pytest.param(job(TARGET, {**LATE, "status": "False"}, terminating=1), True, {}, id="its pod is going"),
        pytest.param(job(TARGET, LATE), False, LATE, id="never had a pod"),
    ],
)
def test_what_the_job_says(read: dict[str, t.Any], made: bool, end: dict[str, t.Any]) -> None:
    assert evaluate("[__mlflow_pod_made, __mlflow_job_end]", {"__mlflow_job": read}) == [made, end]


def test_it_is_waited_for_longer_than_it_may_take() -> None:
    # a look takes two seconds at least
    assert int(evaluate("__mlflow_polls", {"mlflow_migration_timeout": 3600})) * 2 >= 3600 + 60


def removal() -> str:
    """The line that chooses which dumps to remove."""
    lines = (ROOT / "roles/mlflow/templates/migration.yml.j2").read_text().splitlines()
    (line,) = (line for line in lines if "ls -1t /backup" in line)
    return line


@pytest.mark.parametrize(
    ("keep", "new_is_oldest", "kept"),
    [
        (0, False, ["new"]),
        (-3, False, ["new"]),
        (1, False, ["new"]),
        (2, False, ["c", "new"]),
        (4, False, ["a", "b", "c", "new"]),
        (9, False, ["a", "b", "c", "new"]),
        pytest.param(1, True, ["new"], id="a clock that went back"),
    ],
)
def test_the_new_dump_is_never_removed(tmp_path: pathlib.Path, keep: int, new_is_oldest: bool, kept: list[str]) -> None:
    for age, name in enumerate(["new", "c", "b", "a"]):
        dump = tmp_path / f"{name}.dump"
        dump.touch()
        when = 0 if name == "new" and new_is_oldest else 1000 - age
        os.utime(dump, (when, when))
    script = f'dump="{tmp_path}/new.dump"\n{removal()}'.replace("/backup", str(tmp_path))
    subprocess.run(["sh", "-ceu", script], check=True, env={**os.environ, "KEEP": str(keep)})
    assert sorted(path.stem for path in tmp_path.iterdir()) == kept


def test_without_an_older_dump_nothing_is_removed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "new.dump").touch()
    script = f'dump="{tmp_path}/new.dump"\n{removal()}'.replace("/backup", str(tmp_path))
    subprocess.run(["sh", "-ceu", script], check=True, env={**os.environ, "KEEP": "3"})
    assert (tmp_path / "new.dump").exists()
