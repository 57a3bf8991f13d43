"""When role k3s enables the service and starts it anew, and what check mode says of it: its tasks, with a systemctl that writes down what it is asked."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t
from dataclasses import dataclass

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLAY = {
    "hosts": "all",
    "gather_facts": False,
    "environment": {"PATH": "{{ path }}:" + os.environ["PATH"]},
    "tasks": [{"import_tasks": f"{ROOT}/roles/k3s/tasks/start.yml"}],
}
VARIABLES = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "__k3s_found": "{{ found }}",  # in place of what k3s_info finds on this machine
    "__k3s_unit": "k3s",
    "__k3s_binary_path": "{{ path }}/k3s",
    "__k3s_waits_for_dns": False,
    "__k3s_written": {"contents": {}},
    "k3s_binary": "/media/usb/k3s",
    "k3s_data_dir": "{{ path }}",
    "k3s_ready_timeout": 0,
    "k3s_role": "server",
    "k3s_version": "v1.35.4+k3s1",
}
SYSTEMCTL = """\
#!/bin/sh
[ "$1" = --no-block ] && shift
echo "$*" >>{path}/calls
case $1 in
show) printf 'LoadState={load}\\nActiveState=active\\n' ;;
is-enabled) echo {enabled}; [ {enabled} = enabled ] ;;
esac
"""


@dataclass(frozen=True)
class Ran:
    """What systemctl was asked to do, and how many tasks changed something."""

    asked: tuple[str, ...]
    changed: int


def node(*reasons: str, loaded: bool = True, enabled: bool = True) -> dict[str, t.Any]:
    return {
        "installed": {"version": "v1.35.4+k3s1"},
        "unit": {"loaded": loaded, "enabled": enabled},
        "restart_required": bool(reasons),
        "restart_reasons": list(reasons),
        "ready": True,
    }


NODES = {
    "converged": node(),
    "reconfigured": node("/etc/rancher/k3s/config.yaml has changed since the start"),
    "disabled": node(enabled=False),
    "bare": node("k3s.service is inactive", loaded=False, enabled=False),
}


def start(path: pathlib.Path, *flags: str) -> tuple[dict[str, Ran], str]:
    """Run the tasks on all nodes."""
    hosts: dict[str, t.Any] = {}
    for name, found in NODES.items():
        home = path / name
        home.mkdir()
        load = "loaded" if found["unit"]["loaded"] else "not-found"
        enabled = "enabled" if found["unit"]["enabled"] else "disabled"
        (home / "systemctl").write_text(SYSTEMCTL.format(path=home, load=load, enabled=enabled))
        (home / "systemctl").chmod(0o755)
        hosts[name] = {"path": str(home), "found": found}
    (path / "inventory.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    (path / "play.yml").write_text(json.dumps([PLAY]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", str(path / "play.yml"), *flags),
            *("--inventory", str(path / "inventory.yml"), "--extra-vars", json.dumps(VARIABLES)),
        ],
        cwd=ROOT,
        check=False,  # nothing really starts, so waiting for it fails
        capture_output=True,
        text=True,
    )
    recap = {name: int(count) for name, count in re.findall(r"^(\w+) .*changed=(\d+)", done.stdout, re.MULTILINE)}
    ran = {}
    for name in NODES:
        calls = (path / name / "calls").read_text().splitlines()
        ran[name] = Ran(tuple(call for call in calls if call.split()[0] not in ("show", "is-enabled")), recap[name])
    return ran, " ".join(done.stdout.split())  # long lines are wrapped


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    return start(tmp_path_factory.mktemp("done"))[0]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Ran], str]:
    return start(tmp_path_factory.mktemp("planned"), "--check")


def test_a_process_that_is_right_goes_on(done: dict[str, Ran]) -> None:
    assert done["converged"] == Ran((), 0)


def test_a_process_that_differs_starts_anew(done: dict[str, Ran]) -> None:
    assert done["reconfigured"] == Ran(("daemon-reload", "restart k3s.service"), 1)


def test_a_service_that_is_disabled_is_enabled_and_goes_on(done: dict[str, Ran]) -> None:
    assert done["disabled"] == Ran(("daemon-reload", "enable k3s.service"), 1)


def test_check_mode_says_why_it_would(planned: tuple[dict[str, Ran], str]) -> None:
    ran, output = planned
    assert ran == {name: Ran((), 0 if name == "converged" else 1) for name in NODES}
    assert "k3s.service would start anew: /etc/rancher/k3s/config.yaml has changed since the start" in output
    assert "k3s.service would start anew: k3s.service is inactive" in output
