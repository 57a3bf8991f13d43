"""What site.yml refuses before anything changes, beyond the checks of role preflight."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
import yaml

BAD: dict[str, tuple[dict[str, object], str]] = {
    "postgresql": ({"postgresql_settings": {"fsync": "off"}}, "postgresql_settings sets fsync"),
    "redis": ({"redis_resources": {"limits": {"memory": "64Mi"}}}, "redis_resources.limits.memory is 64Mi"),
    "mlflow": ({"mlflow_artifacts": "ftp://store"}, "mlflow_artifacts is 'ftp://store'"),
    "mindsdb": ({"mindsdb_apis": ["mysql"]}, "mindsdb_apis is ['mysql']: http must be in it"),
    "gateway": ({"gateway_models": [{"name": "x"}]}, "gateway_models: "),
}
ROOT = pathlib.Path(__file__).resolve().parents[2]
SAYS = "database mlflowdb was written by a newer MLflow: why. Use the bundle that wrote it"


def refuse(python: pathlib.Path, *more: str) -> tuple[bool, str]:
    """Run the role's look with this interpreter of the node, which answers in the place of the module."""
    role = ["-m", "ansible.builtin.include_role", "-a", "name=airgap.mlops.mlflow tasks_from=refuse"]
    variables = {"ansible_python_interpreter": str(python), "mlflow_schema_revisions": ["a", "b"]}
    host = ["localhost", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "adhoc", *host, *role, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, " ".join(done.stdout.split())


def python_that_answers(folder: pathlib.Path, answer: dict[str, str]) -> pathlib.Path:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    program.chmod(0o755)
    return program


def test_a_database_that_is_not_ours_ends_the_run(tmp_path: pathlib.Path) -> None:
    python = python_that_answers(tmp_path, {"schema_state": "ahead", "reason": SAYS})
    passed, output = refuse(python)
    assert not passed
    assert f"Nothing was changed: {SAYS}" in output


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        pytest.param({"schema_state": "behind", "reason": ""}, [], id="a schema to migrate"),
        pytest.param({"failed": "true", "msg": "no service mlops/postgresql"}, [], id="a site that is down"),
        pytest.param(None, ["--check"], id="the plan of a bare host, without the interpreter"),
    ],
)
def test_what_is_ours_or_cannot_be_asked_is_no_reason_to_stop(
    tmp_path: pathlib.Path, answer: dict[str, str] | None, more: list[str]
) -> None:
    python = python_that_answers(tmp_path, answer) if answer else tmp_path / "python"
    passed, output = refuse(python, *more)
    assert passed, output


def test_the_look_comes_before_every_change_and_with_every_tag() -> None:
    checks, *changes = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    looks = [
        task for task in checks["tasks"] if task.get("ansible.builtin.import_role", {}).get("tasks_from") == "refuse"
    ]
    assert [task["ansible.builtin.import_role"]["name"] for task in looks] == ["airgap.mlops.mlflow"]
    assert checks["tags"] == ["always"]
    assert looks[0]["tags"] == ["mlflow"], "whoever skips mlflow has no database of its"
    assert len(changes) > 1


def components_looked_at() -> list[str]:
    checks, *_changes = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    (look,) = (task for task in checks["tasks"] if "{{ __site_component }}" in str(task))
    components: list[str] = look["loop"]
    return components


def test_settings_are_looked_at_before_every_change() -> None:
    assert set(components_looked_at()) == {path.parent.parent.name for path in ROOT.glob("roles/*/tasks/preflight.yml")}


def test_settings_that_cannot_work_are_refused(tmp_path: pathlib.Path) -> None:
    def look(component: str) -> dict[str, object]:
        role = {"name": f"airgap.mlops.{component}", "tasks_from": "preflight", "rolespec_validate": False}
        said = {
            "copy": {"content": "{{ ansible_failed_result.msg }}", "dest": f"{tmp_path}/{component}", "mode": "0600"}
        }
        return {"block": [{"include_role": role, "vars": BAD[component][0]}], "rescue": [said]}

    python = {"ansible_python_interpreter": sys.executable}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": python,
        "tasks": [look(name) for name in components_looked_at()],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        str(tmp_path / "play.yml"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for component in components_looked_at():
        assert BAD[component][1] in " ".join((tmp_path / component).read_text().split()), component
