"""Bearer keys: one file a client in a mounted Secret, read again when the mount changes, so that a revoked key dies.

The kubelet swaps the whole folder through a symlink; a look at the files' stat once a second notices that, and edits
by hand as well. A key is compared by digest and in constant time, with every client's key, whoever matches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import logging
import time
import typing as t
from pathlib import Path

__all__ = ("KeyRing",)

LOOK_SECONDS = 1.0
SHORTEST = 16  # a key below this is a typing error or a toy

_log = logging.getLogger(__name__)
Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclasses.dataclass
class KeyRing:
    folder: Path
    clock: t.Callable[[], float] = time.monotonic
    _digests: dict[str, bytes] = dataclasses.field(default_factory=dict, init=False, repr=False)
    _seen: Fingerprint | None = dataclasses.field(default=None, init=False, repr=False)
    _next_look: float = dataclasses.field(default=float("-inf"), init=False, repr=False)

    @property
    def clients(self) -> list[str]:
        self._refresh()
        return sorted(self._digests)

    def client(self, authorization: bytes) -> str | None:
        """The name behind an Authorization header, or None."""
        self._refresh()
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        digest = hashlib.sha256(key.strip()).digest()
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found

    def _refresh(self) -> None:
        now = self.clock()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            files = sorted(file for file in self.folder.iterdir() if not file.name.startswith(".") and file.is_file())
            seen = tuple((file.name, *_identity(file)) for file in files)
            if seen == self._seen:
                return
            self._digests = {file.name: hashlib.sha256(key).digest() for file in files if (key := _read(file))}
        except OSError as exc:
            # Secrets swap in one step, so this is a mount that went away: no key may outlive it
            self._digests, self._seen = {}, None
            _log.error("the keys in %s cannot be read (%s): nobody is let in", self.folder, type(exc).__name__)
            return
        self._seen = seen
        _log.info("keys of %d clients read: %s", len(self._digests), ", ".join(sorted(self._digests)))


def _identity(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _read(file: Path) -> bytes | None:
    key = file.read_bytes().strip()
    if len(key) >= SHORTEST:
        return key
    _log.error("the key of client %s is shorter than %d characters: it lets nobody in", file.name, SHORTEST)
    return None
