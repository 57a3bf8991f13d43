# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Files of a bundle: list, hash in parallel, copy with a check. I/O only, no decisions."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("copy_checked", "hash_file", "hash_files", "save_stream", "walk_files", "write_atomic")

_CHUNK = 1 << 20


def walk_files(path: str) -> dict[str, int]:
    """Every file below path with its size. A link counts as a file of its own: a bundle has none, so it is found out."""
    found: dict[str, int] = {}
    for folder, folders, names in os.walk(path):
        for name in names + [item for item in folders if os.path.islink(os.path.join(folder, item))]:
            full = os.path.join(folder, name)
            found[os.path.relpath(full, path)] = os.lstat(full).st_size
    return found


def hash_file(path: str) -> str:
    """sha256 of a file, in hex."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as stream:
        while True:
            count = stream.readinto(buffer)
            if not count:
                return digest.hexdigest()
            digest.update(view[:count])


def hash_files(root: str, sizes: t.Mapping[str, int]) -> dict[str, str]:
    """sha256 of many files below root. Threads work truly side by side here, for hashing and reading release the lock."""
    # Large files first: one that starts last would leave the other cores idle.
    names = sorted(sizes, key=lambda name: -sizes[name])
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return dict(zip(names, pool.map(lambda name: hash_file(os.path.join(root, name)), names)))


def copy_checked(source: str, target: str, sha256: str, mode: int) -> None:
    """Copy a file so that target appears whole, synced and with this content, or not at all."""
    digest = hashlib.sha256()
    with _atomic(target, mode) as out, open(source, "rb", buffering=0) as stream:
        while True:
            chunk = stream.read(_CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != sha256:
            raise AirgapError(
                f"{source} has other content than when it was stored (sha256 {digest.hexdigest()}, expected {sha256}): delete it and run again"
            )


def save_stream(source: t.Any, target: str) -> str:
    """Write what can be read from source to a file, and return its sha256."""
    digest = hashlib.sha256()
    with open(target, "wb") as out:
        while True:
            chunk = source.read(_CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
            out.write(chunk)


def write_atomic(target: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file so that readers see the old content or the new."""
    with _atomic(target, mode) as out:
        out.write(content)


@contextlib.contextmanager
def _atomic(target: str, mode: int) -> t.Iterator[t.BinaryIO]:
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as out:
            yield t.cast("t.BinaryIO", out)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
