"""What role mlflow makes of the pods of a migration."""

from __future__ import annotations

import json
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
