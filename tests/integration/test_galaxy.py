"""What is published: the tarball builds, installs, and its playbooks run by the collection's name."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest
import yaml

from tests.run.process import tracked_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
# All of it is published, but for our own tests of it.
WHAT_RUNS = ("images", "meta", "playbooks", "plugins", "roles", "site.yml")
OURS = {"images/mypy.ini", "images/pytest.ini"}


def run(*command: str, cwd: pathlib.Path, collections: pathlib.Path) -> str:
    config = collections / "ansible.cfg"  # not the checkout's
    config.touch()
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_CONFIG": str(config)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("build")
    run("ansible-galaxy", "collection", "build", "--output-path", str(output), cwd=ROOT, collections=output)
    (found,) = output.glob("airgap-mlops-*.tar.gz")
    return found


@pytest.fixture(scope="module")
def installed(tarball: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    target = tmp_path_factory.mktemp("collections")
    # the collections that ours needs come with the ansible package; nothing is to be fetched
    flags = ("--offline", "--no-deps", "--collections-path", str(target))
    run("ansible-galaxy", "collection", "install", *flags, str(tarball), cwd=target, collections=target)
    return target


def test_the_tarball_holds_what_is_needed_and_nothing_else(tarball: pathlib.Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive if member.isfile()}
    what_runs = {str(path) for path in tracked_files(*WHAT_RUNS) if "tests" not in path.parts} - OURS
    assert {name for name in names if name.split("/")[0] in WHAT_RUNS} == what_runs
    assert {"README.md", "COPYING", "requirements.txt", "docs/install.md", "inventories/fleet/hosts.yml"} <= names
    others = {
        "MANIFEST.json",
        "FILES.json",
        "README.md",
        "COPYING",
        "requirements.txt",
        "changelogs",
        "docs",
        "examples",
    }
    assert {name.split("/")[0] for name in names} - others == {*WHAT_RUNS, "inventories"}
    assert not {name for name in names if "/tests/" in name or name.startswith("inventories/demo/")}


def test_the_tarball_stays_small(tarball: pathlib.Path) -> None:
    assert tarball.stat().st_size < 2_000_000


@pytest.mark.parametrize("playbook", ["site", "bundle", "audit"])
def test_an_installed_playbook_is_found_by_the_name_of_the_collection(installed: pathlib.Path, playbook: str) -> None:
    inventory = installed / "ansible_collections/airgap/mlops/inventories/fleet"
    run(
        "ansible-playbook", "--syntax-check", "--inventory", str(inventory), f"airgap.mlops.{playbook}",
        cwd=installed, collections=installed,
    )  # fmt: skip


def test_the_installed_collection_plans_a_site(installed: pathlib.Path) -> None:
    """Over SSH, on the edge node: the installed roles, plugins and files, and nothing of the checkout but bundle and inventory."""
    if "INTEGRATION_VARIABLES" not in os.environ:
        pytest.skip("no edge node: make integration starts one")
    variables = json.loads(pathlib.Path(os.environ["INTEGRATION_VARIABLES"]).read_text())
    inventory, bundle = ROOT / "molecule/shared/inventory/edge1.yml", variables["bundle"]
    output = run(
        "ansible-playbook", "airgap.mlops.site", "--check", "--diff", "--inventory", str(inventory),
        "--extra-vars", f"repository={ROOT}", "--extra-vars", f"airgap_bundle={bundle}",
        cwd=installed, collections=installed,
    )  # fmt: skip
    recap = re.search(r"^edge1 +: ok=(\d+) .*unreachable=0 +failed=0 ", output, re.MULTILINE)
    assert recap, output
    assert int(recap[1]) > 10, output


def test_every_module_of_the_installed_collection_has_docs(installed: pathlib.Path) -> None:
    listed = run("ansible-doc", "--list", "airgap.mlops", cwd=installed, collections=installed)
    documented = {line.split()[0] for line in listed.splitlines() if line.startswith("airgap.mlops.")}
    modules = {f"airgap.mlops.{path.stem}" for path in (ROOT / "plugins/modules").glob("*.py")}
    assert modules <= documented


def test_the_version_is_one(tarball: pathlib.Path) -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert tarball.name == f"airgap-mlops-{version}.tar.gz"
