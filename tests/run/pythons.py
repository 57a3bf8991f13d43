"""The Pythons of this machine, and environments that hold what a node's Python holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.setup.environments import environment
from tests.setup.packages import SetupError

__all__ = ("CONTROLLER", "NODE_PYTHONS", "find_python", "make_env")

CONTROLLER = f"{sys.version_info.major}.{sys.version_info.minor}"
NODE_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")


def find_python(version: str) -> Path | None:
    """A working interpreter of this version: from PATH, or one that pyenv keeps without putting it there."""
    on_path = shutil.which(f"python{version}")
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for candidate in [*([Path(on_path)] if on_path else []), *kept]:
        probe = subprocess.run(
            [str(candidate), "-c", "import ensurepip, ssl, sys, venv; print(sys.executable, *sys.version_info[:2])"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if probe.returncode == 0 and probe.stdout.split()[1:] == version.split("."):
            return Path(probe.stdout.split()[0])
    return None


def make_env(name: str, python: Path, requirements: list[Path]) -> Path:
    """The Python of an environment that holds these requirements."""
    try:
        return environment(name, str(python), requirements) / "bin/python"
    except SetupError as exc:
        sys.exit(str(exc))
