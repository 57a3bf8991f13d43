"""Python environments, kept by the hash of what is to be in them: a second checkout, or a second run, installs nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.setup.cache import CACHE
from tests.setup.packages import SetupError

__all__ = ("environment", "link")

KEPT = CACHE / "venvs"
# Nobody has used it for so long: its requirements are an older checkout's.
UNUSED_DAYS = 30


def environment(name: str, python: str, requirements: Sequence[Path], constraints: Sequence[Path] = ()) -> Path:
    """An environment made by this interpreter that holds what the files pin. Made whole, or not at all."""
    path = KEPT / f"{name}-{_digest(python, requirements, constraints)}"
    with _alone(name):
        if not path.exists():
            print(f"setup: installing the Python environment {name} (all new, that takes a minute or two)", flush=True)
            _make(path, python, requirements, constraints)
        os.utime(path)
        _remove_unused(name)
    return path


def link(at: Path, path: Path) -> None:
    """Have a checkout find an environment at a place of its own."""
    if at.is_symlink() and at.readlink() == path:
        return
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    at.parent.mkdir(parents=True, exist_ok=True)
    at.unlink(missing_ok=True)
    at.symlink_to(path)


def _digest(python: str, requirements: Sequence[Path], constraints: Sequence[Path]) -> str:
    version = _run([python, "-c", "import sys; print(sys.base_prefix, sys.version)"])
    files = "".join(f"{file.name}\n{file.read_text()}" for file in (*requirements, *constraints))
    return hashlib.sha256(f"{version}{files}".encode()).hexdigest()[:16]


def _make(path: Path, python: str, requirements: Sequence[Path], constraints: Sequence[Path]) -> None:
    # scripts carry the path that they were installed at, so it is made there, and gets its name when it is whole
    made = path.with_name(f"{path.name}.d")
    shutil.rmtree(made, ignore_errors=True)
    _run([python, "-m", "venv", str(made)])
    files = [f"--requirement={file}" for file in requirements] + [f"--constraint={file}" for file in constraints]
    run = str(made / "bin/python"), "-m"
    _run([*run, "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", *files])
    # pip does it on one processor, and half of the modules are those of collections, which nothing imports: they are sent to nodes.
    # What some packages ship for other Pythons does not compile, and need not.
    _run([*run, "compileall", "-qq", "-j0", "-x", "ansible_collections", str(made / "lib")], check=False)
    path.symlink_to(made.name)


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Two checkouts, or two steps of one run, may want the same at once."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_unused(name: str) -> None:
    oldest = time.time() - UNUSED_DAYS * 86400
    for made in KEPT.glob(f"{name}-*.d"):
        if made.stat().st_mtime < oldest:
            made.with_suffix("").unlink(missing_ok=True)
            shutil.rmtree(made)


def _run(command: list[str], *, check: bool = True) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if check and done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
    return done.stdout
