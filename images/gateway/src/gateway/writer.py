"""Group commit: one thread that makes one transaction of all that waits, and wakes those who wait after the commit.

Within it, rows to append go in by one statement a table, whoever sent them: each step of SQLite gives up Python's lock,
and a thread that asks for it back while requests keep the event loop busy waits half a millisecond each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import queue
import sqlite3
import threading
import time
import typing as t

import orjson

from gateway.problems import DecisionLogFull, DecisionLogUnavailable, GatewayError

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.metrics import Metrics

__all__ = ("Append", "Write", "Writer", "problem_of")

MAX_BATCH = 512
_log = logging.getLogger(__name__)

# Rows by table, each row in the order of the table's columns.
Append = t.Mapping[str, t.Sequence[tuple[object, ...]]]
Write = t.Callable[[sqlite3.Connection], object]


class _Job(t.NamedTuple):
    write: Write | Append
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[t.Any]
    outside: bool  # of a transaction


@dataclasses.dataclass
class Writer:
    db: sqlite3.Connection
    metrics: Metrics
    _jobs: queue.SimpleQueue[_Job | None] = dataclasses.field(default_factory=queue.SimpleQueue, init=False)
    _held: _Job | None = dataclasses.field(default=None, init=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="decision-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._jobs.put(None)
        self._thread.join()

    def is_working(self) -> bool:
        return self._thread.is_alive()

    def waiting(self) -> int:
        return self._jobs.qsize()

    async def write(self, write: Write | Append, *, outside: bool = False) -> object:
        """Returns once it is durable; what `write` returned, if it is a function."""
        if not self.is_working():
            raise DecisionLogUnavailable("Its writer has stopped: restart the gateway.")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        self._jobs.put(_Job(write, loop, done, outside))
        return await done

    def keep(self, appends: Sequence[Append]) -> None:
        """Rows that may be there already, in one transaction. For whoever has the database now: a write, or all once this is stopped."""
        self._transaction([functools.partial(_append, appends, verb="INSERT OR IGNORE")])

    def _work(self) -> None:
        while jobs := self._take():
            started = time.perf_counter()
            self._commit(jobs)
            self.metrics.committed(len(jobs), started)

    def _take(self) -> list[_Job]:
        """All that waits now; empty once the log is closed."""
        if self._held is not None:
            jobs, self._held = [self._held], None
            return jobs
        jobs = []
        while (job := self._jobs.get()) is not None:
            if job.outside and jobs:
                self._held = job
                return jobs
            jobs.append(job)
            if job.outside or len(jobs) == MAX_BATCH or self._jobs.empty():
                return jobs
        if jobs:
            self._jobs.put(None)  # write these first, then end
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            results = self._results(jobs)
        except Exception as exc:  # noqa: BLE001 - whatever it is, who waits is told, and the next ones are served
            if len(jobs) > 1 and not _is_full(exc):
                # one bad write must not take its neighbours with it
                for job in jobs:
                    self._commit([job])
                return
            results = [_logged(exc, len(jobs))] * len(jobs)
        _answer(jobs, results)

    def _results(self, jobs: list[_Job]) -> Sequence[object]:
        first = jobs[0]
        if first.outside and callable(first.write):
            return [first.write(self.db)]
        return self._transaction([job.write for job in jobs])

    def _transaction(self, writes: Sequence[Write | Append]) -> list[object]:
        try:
            self.db.execute("BEGIN IMMEDIATE")
            _append([write for write in writes if not callable(write)], self.db)
            results = [write(self.db) if callable(write) else None for write in writes]
            self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
        return results


def _append(appends: Sequence[Append], db: sqlite3.Connection, verb: str = "INSERT") -> None:
    tables: dict[str, list[tuple[object, ...]]] = {}
    for append in appends:
        for table, rows in append.items():
            tables.setdefault(table, []).extend(rows)
    for table, rows in tables.items():
        if rows:
            db.execute(_statement(verb, table, len(rows[0])), (orjson.dumps(rows, default=tuple).decode(),))


@functools.cache
def _statement(verb: str, table: str, columns: int) -> str:
    """Rows come as one JSON list of lists."""
    values = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(columns))
    return f"{verb} INTO {table} SELECT {values} FROM json_each(?)"  # noqa: S608 - our own names


def _answer(jobs: list[_Job], results: Sequence[object]) -> None:
    """Wake each loop once for the whole batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[t.Any], object]]] = {}
    for job, result in zip(jobs, results, strict=True):
        by_loop.setdefault(job.loop, []).append((job.done, result))
    for loop, pairs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: list[tuple[asyncio.Future[t.Any], object]]) -> None:
    for done, result in pairs:
        if done.done():
            continue  # the request was cancelled; its decision stays
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)


def _is_full(exc: Exception) -> bool:
    # what Python's own layer refuses has no code of SQLite
    return getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _logged(exc: Exception, writes: int) -> GatewayError:
    problem = problem_of(exc)
    _log.error("the decision log refused %d writes: %s", writes, problem.detail)
    return problem


def problem_of(exc: Exception) -> GatewayError:
    """Names the error and not its text, which may quote what was to be written."""
    if _is_full(exc):
        return DecisionLogFull("No answer is given that cannot be logged: make room on it, then ask again.")
    name = getattr(exc, "sqlite_errorname", type(exc).__name__)
    return DecisionLogUnavailable(f"A write failed with {name}: see the volume of the gateway.", retry_after=5)
