"""A lone answer's decisions, durable after one write to the disk: a write-ahead file, from which SQLite gets them with others.

A commit of SQLite writes a page for each table and index, and takes nearly twice as long as this. The file has a fixed size, so a
write to it needs no room and changes nothing but its own blocks. A record starts on a block of its own; what is taken back after
a crash is the run of whole records of one generation from the first block on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import mmap
import os
import struct
import threading
import typing as t
import zlib

import orjson

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gateway.writer import Append

__all__ = ("Journal",)

BLOCK = 4096  # what disks write as a whole, and O_DIRECT's unit nearly everywhere
BLOCKS = 256
MAX_RECORD = 16 * BLOCK
_HEAD = struct.Struct("<8sII")  # generation, length of what follows, CRC-32 of both
_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Journal:
    """One thread appends, another folds: moves what was appended to where it stays."""

    path: Path
    # False: in the page cache is enough, so that a killed process loses nothing, and a power cut the last seconds
    sync: bool
    _pending: list[Append] = dataclasses.field(default_factory=list, init=False)
    _next: int = dataclasses.field(default=0, init=False)  # the first block that is free
    _file: int | None = dataclasses.field(default=None, init=False)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, init=False)

    def open(self) -> None:
        """What was appended before and may not be folded is pending again. Without room for a file there is none."""
        with contextlib.suppress(FileNotFoundError):
            data = self.path.read_bytes()
            for rows, end in _records(data):
                self._pending.append(rows)
                self._next = end // BLOCK
        try:
            if not self._pending:
                _make(self.path)
            self._file = _open(self.path, sync=self.sync)
        except OSError as exc:
            _log.warning("the decision log goes on without its journal (%s): answers take longer", exc.strerror)
        self._generation = os.urandom(8) if not self._pending else data[:8]
        # aligned, as O_DIRECT asks for
        self._buffer = mmap.mmap(-1, MAX_RECORD)
        self._zeros = mmap.mmap(-1, BLOCK * BLOCKS)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def pending(self) -> int:
        return len(self._pending)

    def append(self, rows: Append) -> bool:
        """Durable once this is True. False: there is no room, or somebody folds, and it has to go another way."""
        if self._file is None or not self._lock.acquire(blocking=False):
            return False
        try:
            blocks = self._pack(orjson.dumps(rows, default=tuple))
            if not blocks or self._next + blocks > BLOCKS:
                return False
            _write(self._file, memoryview(self._buffer)[: blocks * BLOCK], self._next * BLOCK)
            self._next += blocks
            self._pending.append(rows)
        except OSError as exc:
            self._give_up(exc)
            return False
        finally:
            self._lock.release()
        return True

    def fold(self, keep: Callable[[Sequence[Append]], object]) -> None:
        """`keep` makes durable elsewhere what is pending. It may see a record again after a crash."""
        with self._lock:
            rows = list(self._pending)
        if rows:
            keep(rows)
        with self._lock:
            del self._pending[: len(rows)]
            if not self._pending and self._next:
                self._begin_anew()

    def _pack(self, content: bytes) -> int:
        """How many blocks it takes, now in the buffer; 0 if it is too large."""
        size = _HEAD.size + len(content)
        if size > MAX_RECORD:
            return 0
        _HEAD.pack_into(self._buffer, 0, self._generation, len(content), zlib.crc32(content, _seed(self._generation)))
        self._buffer[_HEAD.size : size] = content
        return -(-size // BLOCK)

    def _begin_anew(self) -> None:
        """Overwritten: nothing is taken back a second time, and what is deleted where it went is gone from here as well."""
        if self._file is None:
            return
        try:
            _write(self._file, memoryview(self._zeros)[: self._next * BLOCK], 0)
        except OSError as exc:
            self._give_up(exc)
            return
        self._buffer[:] = bytes(len(self._buffer))
        self._next = 0
        self._generation = os.urandom(8)

    def _give_up(self, exc: OSError) -> None:
        _log.error("the decision log goes on without its journal (%s): see the volume", exc.strerror)
        self.close()


def _records(data: bytes) -> Iterator[tuple[Append, int]]:
    """Each whole record of the generation of the first one, and where it ends."""
    place = 0
    while place + _HEAD.size <= len(data):
        generation, length, crc = _HEAD.unpack_from(data, place)
        content = data[place + _HEAD.size : place + _HEAD.size + length]
        if generation != data[:8] or not length or zlib.crc32(content, _seed(generation)) != crc:
            return
        place += -(-(_HEAD.size + length) // BLOCK) * BLOCK
        yield {table: [tuple(row) for row in rows] for table, rows in orjson.loads(content).items()}, place


def _seed(generation: bytes) -> int:
    return int.from_bytes(generation[:4])


def _make(path: Path) -> None:
    """Written in full: a write to blocks that the file system has yet to give, or to mark as written, takes twice as long."""
    if path.exists() and path.stat().st_size == BLOCK * BLOCKS:
        return
    new = path.with_suffix(".new")
    try:
        new.touch(mode=0o600)
        with new.open("wb") as file:
            file.write(bytes(BLOCK * BLOCKS))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)  # else a power cut may take the name, and all that was written under it
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open(path: Path, *, sync: bool) -> int:
    """Past the page cache where the file system can do that: one copy and one flush less."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_DSYNC if sync else 0)
    if sync:
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_DIRECT)
    return os.open(path, flags)


def _write(file: int, data: memoryview, place: int) -> None:
    if os.pwritev(file, [data], place) != len(data):
        raise OSError(0, "a short write")
