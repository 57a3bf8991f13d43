"""Unit tests: the controller's Python, node code on the oldest Python of a node too, image code with its image's, the stand-in's Go."""

from __future__ import annotations

from tests.run import go, images
from tests.run.process import ROOT, VENV, call, report, tool_env
from tests.run.pythons import CONTROLLER, NODE_PYTHONS, find_python, make_env
from tests.run.report import Tally, say
from tests.run.tallies import pytest_tally

__all__ = ("run",)

NODE_TESTS = ["tests/unit/plugins/module_utils", "tests/unit/plugins/modules"]
REQUIREMENTS = ROOT / "tests/unit/requirements-oldest.txt"


def run(only: list[str]) -> Tally:
    of_images = [path for path in only if path.startswith("images/")]
    own = [path for path in only if path not in of_images]
    tally = Tally()
    if own or not only:
        tally += _pytest("pytest", [str(VENV / "bin/python")], own or ["tests/unit"], tool_env())
    if of_images or not only:
        tally += images.unit(of_images)
    return tally if only else tally + _oldest() + go.unit()


def _oldest() -> Tally:
    version = NODE_PYTHONS[0]
    python = find_python(version)
    if python is None:
        say(f"unit         no Python {version} on this machine: node code ran on {CONTROLLER} alone")
        return Tally(notes=(f"no Python {version} here, node code ran on {CONTROLLER} alone",))
    env_python = make_env(f"unit-{version}", python, [REQUIREMENTS])
    # ansible-core's own module_utils support this Python, its package does not: so it is lent, not installed
    lent = ROOT / f"build/venvs/lent-{version}"
    lent.mkdir(parents=True, exist_ok=True)
    link = lent / "ansible"
    link.unlink(missing_ok=True)
    link.symlink_to(VENV / f"lib/python{CONTROLLER}/site-packages/ansible")
    paths = [path for path in NODE_TESTS if (ROOT / path).is_dir()]
    return _pytest(f"pytest on Python {version}", [str(env_python)], paths, tool_env(PYTHONPATH=str(lent)))


def _pytest(name: str, python: list[str], paths: list[str], env: dict[str, str]) -> Tally:
    argv = [*python, "-m", "pytest", "-c", "tests/pytest.ini", "-q", "-p", "no:cacheprovider", "-n", "2", *paths]
    done = call(f"unit {name}", argv, env=env, patient=True)
    report("unit", done)
    return pytest_tally(done)
