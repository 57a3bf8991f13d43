# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The cache of build results on the connected host: KIND/KEY holds what inputs with that key gave. I/O only."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import typing as t

__all__ = ("Cache", "default_cache", "host_lock")


def default_cache() -> str:
    """Where the cache lies unless an option says otherwise."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "airgap-mlops")


@contextlib.contextmanager
def host_lock(name: str) -> t.Iterator[None]:
    """One at a time on this host, whatever cache is used: the container storage that builds go through is shared by all.
    The lock goes with its process, so a power cut leaves none behind."""
    os.makedirs(default_cache(), exist_ok=True)
    with open(os.path.join(default_cache(), f".{name}.lock"), "w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class Cache:
    """Results appear whole under their key or not at all; deleting any of it only costs time."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> str:
        return os.path.join(self.root, kind, key)

    @contextlib.contextmanager
    def workspace(self, kind: str) -> t.Iterator[str]:
        """A directory for the making of a result, on the cache's file system, gone afterwards."""
        parent = os.path.join(self.root, kind)
        os.makedirs(parent, exist_ok=True)
        path = tempfile.mkdtemp(prefix=".new-", dir=parent)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def publish(self, made: str, kind: str, key: str) -> str:
        """Move a finished directory under its key. Of two that were made at once the first stays; they hold the same."""
        target = self.path(kind, key)
        try:
            os.rename(made, target)
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        return target

    def discard(self, kind: str, key: str) -> None:
        """Forget a result that turned out damaged."""
        shutil.rmtree(self.path(kind, key), ignore_errors=True)

    def log(self, name: str) -> str:
        """The file that the commands of a step write to, for whoever wants to watch."""
        folder = os.path.join(self.root, "logs")
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, f"{name}.log")
