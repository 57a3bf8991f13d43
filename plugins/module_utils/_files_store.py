# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Files of a node: read their state, write them so that a power cut leaves the old one or the new one. I/O twin of _files.py."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
import tempfile
import time
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._files import ABSENT, FileState, Step, Wanted, staged_path

__all__ = ("apply_step", "file_sha256", "find_superseded", "read_state")

_TEXT_LIMIT = 256 * 1024


def file_sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(block)
    return digest.hexdigest()


def read_state(path: str, with_text: bool = False) -> FileState:
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISLNK(info.st_mode):
        return FileState("link", target=os.readlink(path))
    if stat.S_ISDIR(info.st_mode):
        return FileState("directory", mode)
    if not stat.S_ISREG(info.st_mode):
        return FileState("other", mode)
    text = ""
    if with_text and info.st_size <= _TEXT_LIMIT:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    return FileState("file", mode, file_sha256(path), text=text)


def find_superseded(pattern: str, marker: str | None) -> list[str]:
    """Files that match the pattern and, if a marker is given, bear it in their first line."""
    found = []
    for path in glob.glob(pattern):
        if not os.path.isfile(path) or os.path.islink(path):
            continue
        if marker is not None:
            with open(path, encoding="utf-8", errors="replace") as file:
                if marker not in file.readline():
                    continue
        found.append(path)
    return found


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(wanted: Wanted, content: str) -> None:
    directory, name = os.path.split(wanted.path)
    # The suffix keeps readers of *.yaml, *.toml and *.service away from a half-written file.
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode())
            os.fchmod(file.fileno(), wanted.mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, wanted.path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_directory(directory)


def _install(wanted: Wanted) -> None:
    staged = staged_path(wanted)
    arrived = file_sha256(staged)
    if arrived != wanted.sha256:
        os.unlink(staged)
        raise AirgapError(
            f"{wanted.path} arrived damaged: its sha256 is {arrived}, wanted is {wanted.sha256}. Run this again; if it stays so, verify the bundle."
        )
    os.chmod(staged, wanted.mode)
    # Whole seconds: k3s remembers an archive's time without the fraction, and imports a file that looks newer once more.
    now = int(time.time())
    os.utime(staged, (now, now))
    with open(staged, "rb") as file:
        os.fsync(file.fileno())
    os.replace(staged, wanted.path)
    _sync_directory(os.path.dirname(wanted.path))
    # What a run that was cut off left of another version.
    directory = os.path.dirname(staged)
    for leftover in glob.glob(
        os.path.join(glob.escape(directory), f".{glob.escape(os.path.basename(wanted.path))}.*.part*")
    ):
        os.unlink(leftover)


def _link(wanted: Wanted) -> None:
    temporary = f"{os.path.dirname(wanted.path)}/.{os.path.basename(wanted.path)}.{os.getpid()}.part"
    os.symlink(wanted.target, temporary)
    os.replace(temporary, wanted.path)


def apply_step(step: Step) -> None:
    wanted = step.wanted
    if wanted is None:
        os.unlink(step.path)
        return
    actions: dict[str, t.Callable[[], None]] = {
        "mkdir": lambda: os.makedirs(wanted.path, wanted.mode, exist_ok=True),
        "write": lambda: _write(wanted, wanted.content or ""),
        "install": lambda: _install(wanted),
        "mode": lambda: os.chmod(wanted.path, wanted.mode),
        "link": lambda: _link(wanted),
    }
    actions[step.verb]()
    if step.verb == "mkdir":
        os.chmod(wanted.path, wanted.mode)  # makedirs is subject to the umask
