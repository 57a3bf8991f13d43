"""The images' own Python code, tested with the Python and the packages that it meets in its image."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path

from tests.run.process import LOGS, ROOT, call, report, tool_env
from tests.run.pythons import find_python, make_env
from tests.run.report import Tally, say
from tests.run.tallies import pytest_tally

__all__ = ("PYTHON", "env_python", "integration", "test_folders", "unit")

# That of Debian's current release, so of every image that stands on it.
PYTHON = "3.13"
REQUIREMENTS = ROOT / "tests/images/requirements.txt"


@cache
def env_python() -> Path | None:
    """The interpreter of the environment that all images' tests share; None when this machine has no such Python."""
    python = find_python(PYTHON)
    return make_env(f"images-{PYTHON}", python, [REQUIREMENTS]) if python else None


def test_folders(kind: str) -> list[str]:
    return sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob(f"images/*/tests/{kind}") if any(path.glob("test_*.py"))
    )


def unit(only: list[str]) -> Tally:
    return _pytest("unit", only or test_folders("unit"), ["-n", "2"], {})


def integration(only: list[str], work: Path, variables: dict[str, str], redis_server: Path) -> Tally:
    """Against the servers of this run; what they are called and their passwords stand in a file that only we read."""
    values = work / "image-variables.json"
    values.touch(0o600)
    values.write_text(json.dumps(variables))
    env = {"INTEGRATION_VARIABLES": str(values), "TEST_REDIS_SERVER": str(redis_server)}
    return _pytest("integration", only or test_folders("integration"), [], env)


def _pytest(kind: str, paths: list[str], flags: list[str], env: dict[str, str]) -> Tally:
    if not paths:
        return Tally()
    python = env_python()
    if python is None:
        say(f"{kind:12} no Python {PYTHON} on this machine: the images' code was not tested")
        return Tally(notes=(f"no Python {PYTHON} here, the {kind} tests of the images did not run",))
    argv = [
        str(python),
        "-m",
        "pytest",
        "-c",
        "images/pytest.ini",
        "--rootdir=.",
        "-q",
        "-p",
        "no:cacheprovider",
        *flags,
        *paths,
    ]
    done = call(f"{kind} pytest of images", argv, env=tool_env(TMPDIR=str(LOGS), **env), patient=kind == "unit")
    report(kind, done)
    return pytest_tally(done)


def main() -> int:
    """`python -m tests.run.images unit|integration|python [PATH …]`, while one works on an image.

    Integration tests then take their servers from the environment: TEST_REDIS_SERVER, INTEGRATION_VARIABLES.
    """
    kind, *only = sys.argv[1:] or ["unit"]
    if kind == "python":
        say(str(env_python()))
        return 0
    if kind == "unit":
        return 1 if unit(only).failed else 0
    env = {name: os.environ[name] for name in ("INTEGRATION_VARIABLES", "TEST_REDIS_SERVER") if name in os.environ}
    return 1 if _pytest("integration", only or test_folders("integration"), [], env).failed else 0


if __name__ == "__main__":
    sys.exit(main())
