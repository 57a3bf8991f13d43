"""The Pythons of this machine, and environments that hold what a node's Python holds."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.run.process import ROOT
from tests.run.report import say

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
    """A virtual environment under build/venvs, made anew when what it should hold has changed. Returns its Python."""
    wanted = "".join(f"{file.name}\n{file.read_text()}" for file in requirements)
    digest = hashlib.sha256(f"{python}\n{ROOT}\n{wanted}".encode()).hexdigest()[:16]
    path = ROOT / f"build/venvs/{name}-{digest}"
    if not path.exists():
        for old in path.parent.glob(f"{name}-*"):
            shutil.rmtree(old)
        say(f"             installing the Python environment {path.relative_to(ROOT)}")
        making = path.with_name(f"{path.name}.new")
        shutil.rmtree(making, ignore_errors=True)
        # pip writes absolute paths into scripts only; nothing here runs a script, so the rename does no harm
        _run([str(python), "-m", "venv", str(making)])
        files = [f"--requirement={file}" for file in requirements]
        _run([str(making / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *files])
        making.rename(path)
    return path / "bin/python"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
