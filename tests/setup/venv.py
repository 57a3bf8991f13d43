"""The controller's virtual environment, compared with the requirement files by what is really installed in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from tests.setup.packages import SetupError

__all__ = ("differences", "install_requirements", "make_venv", "pins")

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;#]+)")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """`name==version` lines as a dict. A line of any other kind is refused: nothing unpinned gets in."""
    found = {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _PIN.match(line)
        if match is None:
            raise SetupError(f"requirement is not pinned with ==: {line}")
        found[_canonical(match["name"])] = match["version"]
    return found


def differences(wanted: dict[str, str], constraints: dict[str, str], installed: dict[str, str]) -> list[str]:
    """What pip has to do: absent or other versions of `wanted`, other versions of `constraints`."""
    absent = [f"{name}=={version}" for name, version in wanted.items() if name not in installed]
    other = [
        f"{name}=={version}" for name, version in {**constraints, **wanted}.items()
        if name in installed and installed[name] != version
    ]  # fmt: skip
    return sorted(absent + other)


def make_venv(path: Path) -> Path:
    """A venv made at `path` by this Python version. One that was moved, cut off or made by another version is made anew."""
    if _usable(path):
        return path
    print(f"setup: making the virtual environment {path}", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(path)])
    return path


def _usable(path: Path) -> bool:
    python, pip = path / "bin/python", path / "bin/pip"
    if not (python.exists() and pip.is_file() and _site_packages(path).is_dir()):
        return False
    # scripts carry the absolute path of the environment they were made in
    with pip.open() as script:
        return script.readline().strip() in (f"#!{python}", f"#!{python}3", f"#!{python}{_version()}")


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _site_packages(path: Path) -> Path:
    return path / f"lib/python{_version()}/site-packages"


def _installed(path: Path) -> dict[str, str]:
    found = distributions(path=[str(_site_packages(path))])
    return {_canonical(dist.metadata["Name"]): dist.version for dist in found if dist.metadata["Name"]}


def install_requirements(path: Path, *, requirements: Iterable[Path], constraints: Path) -> None:
    wanted: dict[str, str] = {}
    for file in requirements:
        wanted |= pins(file.read_text())
    todo = differences(wanted, pins(constraints.read_text()), _installed(path))
    if not todo:
        return
    print(
        f"setup: installing {len(todo)} Python packages (a few minutes when all are new): {' '.join(todo[:6])} …",
        flush=True,
    )
    flags = [f"--requirement={file}" for file in requirements]
    _run(
        [
            str(path / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"--constraint={constraints}",
            *flags,
        ]
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
