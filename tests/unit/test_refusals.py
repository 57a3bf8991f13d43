"""What site.yml refuses before anything changes, beyond the checks of role preflight."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
import yaml

# Of each role: settings that cannot work, and what it says of them.
REFUSED: list[tuple[str, dict[str, object], str]] = [
    (
        "mlflow",
        {"mlflow_artifacts": "ftp://store/path"},
        "mlflow_artifacts is 'ftp://store/path': it can be minio, pvc, s3://BUCKET/PATH or gs://BUCKET/PATH.",
    ),
    ("mlflow", {"mlflow_artifacts": "s3://"}, "mlflow_artifacts is 's3://': it can be"),
    (
        "mlflow",
        {"mlflow_artifacts": "s3://bucket/path"},
        "mlflow_artifacts_secret is empty. Name a Secret of namespace mlops with the keys access_key and secret_key",
    ),
    ("mlflow", {"mlflow_artifacts": "gs://bucket"}, "with the key credentials.json"),
    (
        "mlflow",
        {"mlflow_environment": {"MLFLOW_WORKERS": 9, "GIT_PYTHON_REFRESH": "quiet"}},
        "mlflow_environment sets MLFLOW_WORKERS, which the role sets itself. Remove it",
    ),
    (
        "mlflow",
        {"mlflow_environment": {"MLFLOW_BACKEND_STORE_URI": "postgresql://elsewhere"}},
        "mlflow_environment sets MLFLOW_BACKEND_STORE_URI",
    ),
    (
        "mlflow",
        {"mlflow_schema_revisions": []},
        "mlflow_schema_revisions is empty. The bundle's manifest has the list",
    ),
    (
        "mlflow",
        {"mlflow_backup_keep": 0},
        "mlflow_backup_keep is 0: it must be 1 or more, for the dump of the migration",
    ),
    ("mlflow", {"mlflow_backup_keep": "-1"}, "mlflow_backup_keep is -1: it must be 1 or more"),
    (
        "mlflow credentials",
        {
            "mlflow_artifacts": "s3://models",
            "mlflow_artifacts_secret": "models-s3",
            "mlflow_kubeconfig": "/nonexistent/k3s.yaml",
        },
        "kubeconfig /nonexistent/k3s.yaml does not exist. Is k3s running on this host",
    ),
    (
        "postgresql",
        {"postgresql_settings": {"fsync": "off", "work_mem": "8MB"}},
        "postgresql_settings sets fsync, which the role sets itself",
    ),
    (
        "postgresql",
        {"postgresql_settings": {"Listen_Addresses": "localhost"}},
        "postgresql_settings sets listen_addresses",
    ),
    ("redis", {"redis_resources": {"limits": {"memory": "64Mi"}}}, "redis_resources.limits.memory is 64Mi"),
    ("mindsdb", {"mindsdb_apis": ["mysql"]}, "mindsdb_apis is ['mysql']: http must be in it"),
    ("gateway", {"gateway_models": [{"name": "x"}]}, "gateway_models: "),
    (
        "gateway",
        {"gateway_anonymise": [{"name": "patients_anon", "model": "x"}, {"name": "fine", "model": "x"}]},
        "gateway_anonymise has patients_anon for a name, of which a Job is made",
    ),
]
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
    """All in one run, for a start of Ansible takes longer than any of them."""

    def look(number: int, where: str, settings: dict[str, object]) -> dict[str, object]:
        role, _space, file = where.partition(" ")
        include = {"name": f"airgap.mlops.{role}", "tasks_from": file or "preflight", "rolespec_validate": False}
        answer = {"content": "{{ ansible_failed_result.msg }}", "dest": f"{tmp_path}/{number}", "mode": "0600"}
        variables = {"mlflow_schema_revisions": ["a", "b"], **settings}
        return {"block": [{"include_role": include, "vars": variables}], "rescue": [{"copy": answer}]}

    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [look(number, where, settings) for number, (where, settings, _says) in enumerate(REFUSED)],
    }
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(playbook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [" ".join((tmp_path / str(number)).read_text().split()) for number in range(len(REFUSED))]
    assert [
        says for (_where, _settings, says), answer in zip(REFUSED, answers, strict=True) if says not in answer
    ] == []
    assert {where for where, _settings, _says in REFUSED} >= set(components_looked_at())
