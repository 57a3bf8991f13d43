# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plugin in a process of its own: once Ansible's controller is imported, modules warn through it, and their tests would miss that."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
MAKE_BUNDLE = ROOT / "tests/integration/targets/k3s_images/files/make_bundle.py"
OLD = "sha256:" + "b" * 64
K3S = """\
#!/bin/sh
case "$4 $5" in
"images ls") echo "REF TYPE DIGEST SIZE PLATFORMS LABELS
{reference} x/y {digest} 2.0 MiB linux/amd64 airgap.mlops/generation=2,airgap.mlops/release=1.0.0,io.cri-containerd.pinned=pinned
airgap.local/app:0 x/y {old} 2.0 MiB linux/amd64 airgap.mlops/generation=1,airgap.mlops/release=0.9.0" ;;
"images check") echo "{reference}
airgap.local/app:0" ;;
esac
"""
# One host a case, each with the arguments that it gives. Text is what `-e images_prune=false` and an INI inventory give.
CASES: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "none_kept": {"keep_releases": 0},
    "no_prune_as_text": {"keep_releases": "0", "prune": "false"},
    "prune_as_text": {"keep_releases": "0", "prune": "yes"},
    "no_boolean": {"prune": "perhaps"},
    "no_number": {"keep_releases": "one"},
    "misspelt": {"purge": True},
    "given": {"release": "2.0.0"},
    "no_bundle": {"bundle": ""},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, t.Any]]:
    """Plans for a node that holds the bundle's only image, and one of the release before."""
    path = tmp_path_factory.mktemp("k3s_images")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "build/collections"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    bundle = path / "bundle"
    subprocess.run([sys.executable, str(MAKE_BUNDLE), str(bundle), "1.0.0", "app=one"], check=True, env=env)
    image = yaml.safe_load((bundle / "manifest.yml").read_text())["images"]["app"]
    (path / "k3s").write_text(K3S.format(old=OLD, **image))
    (path / "k3s").chmod(0o755)
    defaults = {"bundle": str(bundle), "k3s": str(path / "k3s")}
    hosts = {name: {**defaults, **arguments} for name, arguments in CASES.items()}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (path / "inventory.yml").write_text(json.dumps({"all": {"vars": local, "hosts": hosts}}))
    names = {name for arguments in hosts.values() for name in arguments}
    arguments = {name: f"{{{{ {name} | default(omit) }}}}" for name in names}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "adhoc", "all", "--check", "--inventory", str(path / "inventory.yml")),
            *("--module-name", "airgap.mlops.k3s_images", "--args", json.dumps(arguments)),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env=env,
    )
    answers = re.findall(r"^(\S+) \| \S+ => (\{.*?^\})", done.stdout, re.MULTILINE | re.DOTALL)
    return {host: json.loads(answer) for host, answer in answers}


@pytest.mark.parametrize(
    ("case", "actions"),
    [
        ("plain", []),
        ("none_kept", ["remove airgap.local/app:0"]),
        ("no_prune_as_text", []),
        ("prune_as_text", ["remove airgap.local/app:0"]),
    ],
)
def test_plan(results: dict[str, dict[str, t.Any]], case: str, actions: list[str]) -> None:
    assert results[case]["actions"] == actions


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("no_boolean", "'prune' is of type"),
        ("no_number", "'keep_releases' is of type"),
        ("misspelt", "module: purge. Supported parameters include: bundle"),
        ("given", "release cannot be given"),
        ("no_bundle", "bundle is required"),
    ],
)
def test_bad_input(results: dict[str, dict[str, t.Any]], case: str, expected: str) -> None:
    assert "actions" not in results[case]
    assert expected in results[case]["msg"]
