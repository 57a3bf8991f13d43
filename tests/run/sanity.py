"""ansible-test sanity, over a copy: it resolves symlinks, so it would not find the collection at build/collections."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.run.process import ROOT, VENV, call, report, tool_env, tracked_files
from tests.run.pythons import CONTROLLER, NODE_PYTHONS, find_python
from tests.run.report import Tally
from tests.setup.cache import CACHE

__all__ = ("COPY", "copy_collection", "run_sanity", "sanity_tally")

COPY = ROOT / "build/sanity/ansible_collections/airgap/mlops"
# Each of its tests makes a virtual environment of its own pins, kept below HOME.
KEPT = CACHE / "sanity"
# ansible-test fetches a script that installs pip from a host of its own, which is no package registry. What Python
# brings along does the same, and the packages then come from the registry.
BOOTSTRAP = "import ensurepip\n\nensurepip.bootstrap()\n"


def copy_collection(target: Path) -> None:
    """What Ansible runs of the collection, and the tests that ansible-test knows.

    Test equipment of our own is neither. Nor is the Python inside images: it knows nothing of Ansible's conventions and
    has ruff and strict mypy with the packages of its image.
    """
    shutil.rmtree(target, ignore_errors=True)
    for name in tracked_files():
        if name.parts[0] == "tests" and name.parts[1] not in ("config.yml", "integration", "sanity", "unit"):
            continue
        if name.parts[0] == "images" and name.suffix == ".py":
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    # a repository of its own, or ansible-test would ask the one around it, which ignores build/
    subprocess.run(["git", "init", "--quiet", str(target)], check=True)


def run_sanity() -> Tally:
    bootstrap = _bootstrap_name()
    script = KEPT / ".ansible/test/cache" / bootstrap
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(BOOTSTRAP)
    missing = [version for version in NODE_PYTHONS if not _offer(version)]
    path = f"{_pythons()}:{VENV / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    env = tool_env(HOME=str(KEPT), PATH=path)
    del env["ANSIBLE_CONFIG"]
    done = call("ansible-test sanity", ["ansible-test", "sanity", "--color", "no"], env=env, cwd=COPY, patient=True)
    report("lint", done)
    notes = (f"sanity had no Python {', '.join(missing)} here",) if missing else ()
    return sanity_tally(done.output, done.rc) + Tally(notes=notes)


def sanity_tally(output: str, rc: int) -> Tally:
    """One test is one of ansible-test's tests on one Python version."""
    ran = re.findall(r'^Running sanity test "([^"]+)"(?: on Python ([\d.]+))?', output, re.MULTILINE)
    names = [f"ansible-test {name}{f' on {python}' if python else ''}" for name, python in ran]
    listed = re.search(r"sanity test\(s\) listed below \(out of \d+\) failed\..*\n((?:.+\n?)+)", output)
    failures = tuple(f"ansible-test {line.strip()}" for line in listed[1].splitlines()) if listed else ()
    if rc != 0 and not failures:
        failures = ("ansible-test sanity",)
    return Tally(max(len(names) - len(failures), 0), failures)


def _bootstrap_name() -> str:
    """The file name that this ansible-test looks for, by the version of pip that it pins."""
    pins = VENV / f"lib/python{CONTROLLER}/site-packages/ansible_test/_internal/python_requirements.py"
    found = re.search(r"pip='([\d.]+)'", pins.read_text())
    return f"get_pip_{(found[1] if found else '24.2').replace('.', '_')}.py"


def _pythons() -> Path:
    return ROOT / "build/sanity/bin"


def _offer(version: str) -> bool:
    """Put an interpreter of this version where ansible-test looks, alone in its folder."""
    python = find_python(version)
    link = _pythons() / f"python{version}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    if version == CONTROLLER:
        link.symlink_to(VENV / "bin/python")
    elif python:
        link.symlink_to(python)
    return python is not None
