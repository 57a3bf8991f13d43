"""What role mlflow asks of a cluster around a migration, in which order, and what it says in the end."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
# In the place of the modules: the kubeconfig holds their answers by kind or module, and what was asked.
STAND_IN = """\
#!/usr/bin/python
# WANT_JSON
import json, pathlib, sys

args = json.loads(pathlib.Path(sys.argv[1]).read_text())
path = pathlib.Path(args["kubeconfig"])
cluster = json.loads(path.read_text())
module = args["_ansible_module_name"].split(".")[-1]
name = args["kind"] if module == "k8s_info" else module
given = {"k8s_scale": "replicas", "kube_job": "wait_timeout"}.get(module)
if given or module == "kube_apply":
    cluster["asked"].append(f"{module} {args[given]}" if given else module)
path.write_text(json.dumps(cluster))
print(json.dumps({"changed": False, **cluster["answers"].get(name, {})}))
"""
MODULES = {
    "kubernetes.core": ["k8s_info", "k8s_scale"],
    "airgap.mlops": ["kube_apply", "kube_job", "mlflow_database_info"],
}
Answers = dict[str, dict[str, t.Any]]

SERVERS: Answers = {"Deployment": {"resources": [{"spec": {"replicas": 2}}]}, "Pod": {"resources": []}}
# Longer than the hour that the Job may take, and then its pod half a minute to go.
RUN = ["k8s_scale 0", "kube_apply", "kube_job 3720"]
RESTART = "k8s_scale 2"
AS_IT_WAS = "The schema is as it was. Servers of the older release were started again. Mend it and run again."


def failed(msg: str, **details: t.Any) -> dict[str, t.Any]:
    return {"failed": True, "msg": msg, **details}


# What the cluster answers, what it is asked to change, and what the last task says.
CASES: dict[str, tuple[Answers, list[str], str]] = {
    "succeeded": ({}, RUN, ""),
    "failed": (
        {"kube_job": failed("Its log ends: refused a step", over=True)},
        [*RUN, RESTART],
        f"from old to new failed: Its log ends: refused a step. {AS_IT_WAS}",
    ),
    "may-still-run": (
        {"kube_job": failed("It is still there.", over=False)},
        RUN,
        "failed: It is still there. The migration may still run. No server was started. Mend it and run again.",
    ),
    "nobody-knows": ({"kube_job": failed("no answer")}, RUN, "no answer. The migration may still run."),
    "given-up-but-done": (
        {"kube_job": failed("not in time", over=True), "mlflow_database_info": {"schema_state": "current"}},
        RUN,
        "not in time. The schema is at new all the same. No server was started.",
    ),
    "servers-that-stay": (
        {"Pod": {"resources": [{}]}},
        ["k8s_scale 0", RESTART],
        f"failed: migrate | Wait until the last is gone, in vain. {AS_IT_WAS}",
    ),
}
PLANS: dict[str, tuple[Answers, list[str], str]] = {"plan": ({}, RUN, "")}


def collections_of(folder: pathlib.Path) -> pathlib.Path:
    """The role beside modules that only seem to ask a cluster."""
    for collection, modules in MODULES.items():
        place = folder / "ansible_collections" / collection.replace(".", "/")
        (place / "plugins/modules").mkdir(parents=True)
        for module in modules:
            (place / f"plugins/modules/{module}.py").write_text(STAND_IN)
    (folder / "ansible_collections/airgap/mlops/roles").symlink_to(ROOT / "roles")
    return folder


def migrate(folder: pathlib.Path, cases: dict[str, tuple[Answers, list[str], str]], *flags: str) -> None:
    """Each case on a host of its own, all in one run, for a start of Ansible takes longer than any of them."""
    for name, (answers, _asked, _says) in cases.items():
        (folder / name).write_text(json.dumps({"answers": {**SERVERS, **answers}, "asked": []}))
    role = {"name": "airgap.mlops.mlflow", "tasks_from": "migrate", "rolespec_validate": False}
    says = {"content": "{{ ansible_failed_result.msg }}", "dest": "{{ mlflow_kubeconfig }}.says", "mode": "0600"}
    play = {
        "hosts": "all",
        "strategy": "free",
        "gather_facts": False,
        "tasks": [{"block": [{"include_role": role}], "rescue": [{"copy": says, "check_mode": False}]}],
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "mlflow_kubeconfig": f"{folder}/{{{{ inventory_hostname }}}}",
            "mlflow_image": "mlflow",
            "mlflow_backup_image": "postgresql",
            "mlflow_schema_revisions": ["old", "new"],
        },
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    short = {"mlflow_wait_timeout": 2, "__mlflow_database": {"schema_state": "behind", "revision": "old"}}
    inventory = ["-i", ",".join([*cases, ""]), "-e", json.dumps(short)]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *inventory, *flags, str(folder / "play.yml")],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("cases", "flags"), [pytest.param(CASES, [], id="for real"), pytest.param(PLANS, ["--check"], id="in check mode")]
)
def test_the_end_of_a_migration(
    tmp_path: pathlib.Path, cases: dict[str, tuple[Answers, list[str], str]], flags: list[str]
) -> None:
    migrate(collections_of(tmp_path), cases, *flags)
    for name, (_answers, asked, says) in cases.items():
        assert json.loads((tmp_path / name).read_text())["asked"] == asked, name
        answer = tmp_path / f"{name}.says"
        said = " ".join(answer.read_text().split()) if answer.exists() else ""
        assert says in said if says else not said, (name, said)
