"""Models of the registry as files: one copy for all processes, and no more of them than /tmp has room for.

MindsDB starts and ends its processes as it likes, and a pyfunc may read its files at any time. A copy is therefore held, by a
lock on its folder that ends with the process, for as long as a model lives that was loaded from it; the one that was loaded
longest ago of those that nobody holds goes first. What a killed process left behind goes too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import RegistryError

__all__ = ("KEPT", "Copy", "hold_copy")

KEPT = 8
NAME = re.compile(r"[0-9a-f]{32}")


class Copy:
    """A folder that stays until it is released."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def release(self) -> None:
        os.close(self._lock)


def hold_copy(name: str, fetch: Callable[[Path], Path]) -> Copy:
    """The copy of this name, 32 hexadecimal digits. `fetch` lays a new one out below the folder that it is given."""
    home = _home()
    with _alone(home):
        if (home / name).exists():
            return _used(home / name)
        _make_room(home)
        coming = Copy(Path(tempfile.mkdtemp(dir=home)))
    try:
        whole = fetch(coming.folder)
        with _alone(home):
            if not (home / name).exists():  # no other process was first
                whole.rename(home / name)
            return _used(home / name)
    finally:
        with _alone(home):
            shutil.rmtree(coming.folder, ignore_errors=True)
        coming.release()


def _home() -> Path:
    home = Path(tempfile.gettempdir()) / f"tabular-models-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.is_symlink() or home.stat().st_uid != os.getuid():
        raise RegistryError(f"{home} belongs to somebody else: models of the registry are not loaded from there.")
    return home


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time looks at what is there, takes hold of it, or clears it away."""
    lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _used(folder: Path) -> Copy:
    os.utime(folder)
    return Copy(folder)


def _make_room(home: Path) -> None:
    """For one more."""
    found = sorted(home.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    copies = [path for path in found if NAME.fullmatch(path.name)]
    for path in [*copies[KEPT - 1 :], *(path for path in found if path not in copies)]:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # a half of a copy must not bear its name, should this process be killed now
            gone = path.rename(home / f"gone-{path.name}")
            shutil.rmtree(gone, ignore_errors=True)
        except BlockingIOError:
            continue  # somebody holds it
        finally:
            os.close(lock)
