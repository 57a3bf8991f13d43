"""The decision log: an answer leaves the gateway only after its decision is on the volume.

SQLite in WAL mode with synchronous=FULL keeps what was committed through a killed process and a power cut. Concurrent
requests share a commit (see `writer`); a request that is alone is faster with a write-ahead file before SQLite (see `journal`),
which gets what is in there whenever somebody reads. Reads have a connection of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import math
import os
import sqlite3
import threading
import time
import typing as t
from pathlib import Path

from gateway.journal import Journal
from gateway.problems import DecisionLogFull, GatewayError
from gateway.schema import migrate
from gateway.uuid7 import first_of
from gateway.writer import Append, Writer, problem_of

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.metrics import Metrics

__all__ = ("Attributes", "Decision", "DecisionLog", "Outcome")

FILE = "decisions.sqlite"
JOURNAL = "decisions.journal"
SPACE_SECONDS = 1.0
SHORT = 0.8  # of the volume's size: from there on what MLflow has is deleted before its time
AFTER_ALL = "g"  # no id begins with it
Take = t.Callable[[sqlite3.Cursor], list[t.Any]]
_log = logging.getLogger(__name__)


class Decision(t.NamedTuple):
    """One answered row, as it is stored; version, input and output are JSON."""

    id: str
    at_us: int
    request_id: str
    client: str
    model: str
    version: str
    input: str
    output: str
    cached: int
    latency_us: int
    shipped_us: int | None = None

    @property
    def size(self) -> int:
        """Characters of what may be large."""
        return len(self.input) + len(self.output)


class Attributes(t.NamedTuple):
    """What the audit alone may read: taken from the row before it was anonymised. `given` is sealed."""

    decision_id: str
    model: str
    at_us: int
    given: str


class Outcome(t.NamedTuple):
    decision_id: str
    at_us: int
    outcome: str


@dataclasses.dataclass
class DecisionLog:
    volume: Path
    metrics: Metrics
    sync: str = "full"
    reserve_bytes: int = 64 * 1024 * 1024
    volume_bytes: int = 0  # what the volume was given, which need not hold it to that; 0: all that is there
    _reading: threading.Lock = dataclasses.field(default_factory=threading.Lock, init=False)
    _lack: str = dataclasses.field(default="", init=False)
    _look_at: float = dataclasses.field(default=float("-inf"), init=False)
    _folding: asyncio.Task[None] | None = dataclasses.field(default=None, init=False)

    def open(self) -> None:
        path = self.volume / FILE
        # what is deleted is overwritten: sensitive attributes do not stay behind in free pages
        settings = (
            "auto_vacuum = INCREMENTAL",  # first: it can only be chosen for an empty file
            "journal_mode = WAL",
            f"synchronous = {self.sync}",
            "secure_delete = ON",
            "journal_size_limit = 67108864",
        )
        db = _connect(path, *settings)
        try:
            migrate(db, path)
            self._reader = _connect(path, "query_only = ON")
        except BaseException:
            db.close()
            raise
        self._writer = Writer(db, self.metrics)
        self._journal = Journal(self.volume / JOURNAL, sync=self.sync == "full")
        self._journal.open()
        self._fold_if_possible()
        self._writer.start()

    def close(self) -> None:
        """Write what waits, then fold the journal and the WAL into the file."""
        with self._reading:
            self._reader.close()
        self._writer.stop()
        self._fold_if_possible()
        self._journal.close()
        self._writer.db.close()

    # what is written

    async def append(
        self, decisions: Sequence[Decision], attributes: Sequence[Attributes] = (), *, alone: bool = False
    ) -> None:
        """Returns once all are durable. Refuses, before it writes, when the volume has no room left.

        `alone`: no other request runs, so there is no commit to share and nobody to keep waiting.
        """
        if lack := self._lacking():
            raise DecisionLogFull(f"{lack}: make room, then ask again.")

        rows: Append = {"decisions": decisions, "attributes": attributes} if attributes else {"decisions": decisions}
        started = time.perf_counter()
        if alone and self._writer.is_working():
            if self._journal.append(rows):
                self.metrics.journaled(started)
                return
            if self._journal.pending and self._folding is None:
                self._folding = asyncio.create_task(self._make_room())
        await self._writer.write(rows)

    async def add_outcome(self, outcome: Outcome) -> str:
        """The outcome that the decision has from now on: the first one given."""

        def write(db: sqlite3.Connection) -> str:
            db.execute(
                "INSERT INTO outcomes (decision_id, at_us, outcome) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", outcome
            )
            found = db.execute("SELECT outcome FROM outcomes WHERE decision_id = ?", (outcome.decision_id,)).fetchone()
            return str(found[0])

        return t.cast("str", await self._writer.write(write))

    async def mark_shipped(self, ids: Iterable[str]) -> None:
        rows = [(_now_us(), ident) for ident in ids]
        await self._writer.write(lambda db: db.executemany("UPDATE decisions SET shipped_us = ? WHERE id = ?", rows))

    async def mark_delivered(self, attributes: Iterable[str], outcomes: Iterable[str]) -> None:
        gone = [(ident,) for ident in attributes]
        told = [(_now_us(), ident) for ident in outcomes]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM attributes WHERE decision_id = ?", gone)
            db.executemany("UPDATE outcomes SET delivered_us = ? WHERE decision_id = ?", told)

        await self._writer.write(write)

    async def remember_version(self, model: str, version: str) -> None:
        statement = "INSERT INTO models VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version"
        await self._writer.write(lambda db: db.execute(statement, (model, version)))

    async def prune(self, retention_seconds: float, limit: int = 1000) -> int:
        """Delete shipped decisions, and attributes, beyond retention; while room is short any shipped decision.

        Returns how many decisions.
        """
        short = bool(self._lacking()) or self._size() > SHORT * self.volume_bytes > 0
        oldest = time.time() - retention_seconds
        keep_from = AFTER_ALL if short else first_of(oldest)

        def write(db: sqlite3.Connection) -> int:
            old = "SELECT id FROM decisions WHERE id < ? AND shipped_us IS NOT NULL ORDER BY id LIMIT ?"
            gone = db.execute(old, (keep_from, limit)).fetchall()
            db.executemany("DELETE FROM decisions WHERE id = ?", gone)
            db.execute("DELETE FROM outcomes WHERE delivered_us < ?", (int(oldest * 1e6),))
            # an audit's database that never comes back must not keep them here for ever
            db.execute("DELETE FROM attributes WHERE at_us < ?", (int(oldest * 1e6),))
            if short and gone:
                db.execute("PRAGMA incremental_vacuum").fetchall()
            return len(gone)

        count = t.cast("int", await self._writer.write(write))
        if short and count:
            await self.clean_wal()  # which also gives what was vacuumed back to the volume
        return count

    async def clean_wal(self) -> None:
        """Fold journal and WAL into the file and cut them, so that deleted attributes are gone from them as well."""
        await self._fold()
        await self._writer.write(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), outside=True)

    async def check(self) -> None:
        """Raises when a decision could not be logged now."""
        if lack := self._lacking():
            raise DecisionLogFull(f"{lack}: make room.")
        await self._writer.write(lambda _db: None)

    # what is read

    async def find(self, ident: str) -> Decision | None:
        rows = await self._read("SELECT * FROM decisions WHERE id = ?", (ident,))
        return Decision(*rows[0]) if rows else None

    async def unshipped(self, limit: int, size: float = math.inf, besides: Iterable[str] = ()) -> list[Decision]:
        """The oldest, besides those named, until they are of this size, which the last one may exceed. No more is loaded."""
        text = (
            "SELECT * FROM decisions WHERE shipped_us IS NULL AND id NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY id LIMIT ?"
        )
        return await self._read(text, (json.dumps(list(besides)), limit), lambda rows: _up_to(size, rows))

    async def undelivered(self, limit: int) -> tuple[list[Attributes], list[Outcome]]:
        attributes = await self._read("SELECT * FROM attributes ORDER BY decision_id LIMIT ?", (limit,))
        text = (
            "SELECT decision_id, at_us, outcome FROM outcomes WHERE delivered_us IS NULL ORDER BY decision_id LIMIT ?"
        )
        return [Attributes(*row) for row in attributes], [Outcome(*row) for row in await self._read(text, (limit,))]

    async def remembered_version(self, model: str) -> str | None:
        # not through the journal: none of it is in there, and a full one must not keep MindsDB from being asked
        rows = await asyncio.to_thread(self._query, "SELECT version FROM models WHERE name = ?", (model,))
        return str(rows[0][0]) if rows else None

    async def backlog(self) -> dict[str, int]:
        """How much waits for MLflow and for the audit's database, and the age of the oldest in microseconds."""
        rows = await self._read(
            "SELECT (SELECT count(*) FROM decisions WHERE shipped_us IS NULL),"
            " (SELECT at_us FROM decisions WHERE shipped_us IS NULL ORDER BY id LIMIT 1),"
            " (SELECT count(*) FROM attributes) + (SELECT count(*) FROM outcomes WHERE delivered_us IS NULL)"
        )
        unshipped, oldest, undelivered = rows[0]
        return {"unshipped": unshipped, "oldest_us": _now_us() - oldest if oldest else 0, "undelivered": undelivered}

    def free_bytes(self) -> int:
        stat = os.statvfs(self.volume)
        return stat.f_bavail * stat.f_frsize

    def waiting(self) -> int:
        return self._writer.waiting()

    async def _read(
        self, text: str, values: tuple[object, ...] = (), take: Take = sqlite3.Cursor.fetchall
    ) -> list[t.Any]:
        if self._journal.pending:
            await self._fold()
        return await asyncio.to_thread(self._query, text, values, take)

    async def _fold(self) -> None:
        """Between transactions: the journal begins anew only once all of it is committed."""
        await self._writer.write(lambda _db: self._journal.fold(self._writer.keep), outside=True)

    async def _make_room(self) -> None:
        try:
            await self._fold()
        except GatewayError as exc:
            _log.warning("the journal is full, and its decisions stay in it for now: %s", exc.detail)
            await asyncio.sleep(SPACE_SECONDS)  # not with each answer that is refused meanwhile
        finally:
            self._folding = None

    def _fold_if_possible(self) -> None:
        """While nobody else has the database. What finds no room now stays in the journal, which is read at each start."""
        try:
            self._journal.fold(self._writer.keep)
        except sqlite3.Error as exc:
            _log.warning("%d decisions stay in the journal for now: %s", self._journal.pending, problem_of(exc).detail)

    def _query(self, text: str, values: tuple[object, ...], take: Take = sqlite3.Cursor.fetchall) -> list[t.Any]:
        try:
            # closed, since a reader in the middle would keep the WAL from being cut
            with self._reading, contextlib.closing(self._reader.execute(text, values)) as rows:
                return take(rows)
        except sqlite3.Error as exc:
            raise problem_of(exc) from exc

    def _size(self) -> int:
        return (self.volume / FILE).stat().st_size

    def _lacking(self) -> str:
        """Why nothing more can be logged; empty while something can."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + SPACE_SECONDS
            self._lack = ""
            if self.free_bytes() < self.reserve_bytes:
                self._lack = f"Less than {self.reserve_bytes} bytes are free on it"
            elif self._size() >= self.volume_bytes > 0:
                self._lack = f"Decisions that MLflow does not have take all {self.volume_bytes} bytes of it"
        return self._lack


def _up_to(size: float, rows: Iterable[tuple[t.Any, ...]]) -> list[Decision]:
    found: list[Decision] = []
    total = 0
    for row in rows:
        found.append(Decision(*row))
        total += found[-1].size
        if total >= size:
            break
    return found


def _connect(path: Path, *settings: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        path.chmod(0o600)
        for setting in ("busy_timeout = 5000", *settings):
            db.execute(f"PRAGMA {setting}")
    except BaseException:
        db.close()
        raise
    return db


def _now_us() -> int:
    return time.time_ns() // 1000
