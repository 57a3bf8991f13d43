"""What one row that the audit's database refuses does to its neighbours. The database is the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import typing as t
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from gateway.auditdb import AuditTarget
from gateway.decisions import Attributes, DecisionLog, Outcome
from gateway.metrics import Metrics
from gateway.sealing import Seal
from gateway.shipping import DeliveryError
from gateway.uuid7 import uuid7

BAD = '{"sex":"a value that no database keeps"}'
SEAL = Seal(b"k" * 32)
AUDITED = frozenset({"income"})
Rows = list[tuple[t.Any, ...]]


class Database:
    """As much of psycopg's connection and cursor as is used. `refuse` raises what the server would say to these rows."""

    def __init__(self, refuse: Callable[[Rows], None]) -> None:
        self.refuse = refuse
        self.kept: Rows = []
        self.connection = self

    async def connect(self, *_args: object, **_options: object) -> Database:
        return self

    async def __aenter__(self) -> Database:
        self.before = list(self.kept)
        return self

    async def __aexit__(self, kind: object, *_args: object) -> None:
        if kind:
            self.kept = self.before

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        before = list(self.kept)
        try:
            yield
        except BaseException:
            self.kept = before
            raise

    @contextlib.asynccontextmanager
    async def cursor(self) -> AsyncIterator[Database]:
        yield self

    async def execute(self, _text: str) -> None:
        self.refuse([])

    async def fetchall(self) -> Rows:
        return [(model, "3", "sex", "fail", dt.datetime.now(dt.UTC)) for model in ("income", "no longer audited")]

    async def executemany(self, _text: str, rows: Rows) -> None:
        for row in rows:
            self.kept.append(row)
            self.refuse([row])


def refuse_bad(rows: Rows) -> None:
    if any(BAD in row for row in rows):
        raise psycopg.errors.UntranslatableCharacter("unsupported Unicode escape sequence")


def attributes(text: str, seal: Seal = SEAL) -> Attributes:
    ident = uuid7()
    return Attributes(ident, "income", 1, seal.close(text.encode(), ident))


def deliver(
    folder: Path, monkeypatch: pytest.MonkeyPatch, database: Database, given: list[Attributes], outcomes: int = 0
) -> tuple[list[str], int, DecisionLog]:
    """What the attributes said that arrived, how many rows are still here, and the log that was closed."""
    monkeypatch.setattr(psycopg, "AsyncConnection", database)
    (folder / "uri").write_text("postgresql://gateway@auditdb/auditdb")
    metrics = Metrics()
    log = DecisionLog(folder, metrics, reserve_bytes=0)

    async def inside() -> int:
        log.open()
        try:
            await log.append([], given)
            for _ in range(outcomes):
                await log.add_outcome(Outcome(uuid7(), 1, "yes"))
            with contextlib.suppress(DeliveryError):
                await AuditTarget(folder / "uri", log, metrics, SEAL, AUDITED).deliver()
            return sum(len(rows) for rows in await log.undelivered(1000))
        finally:
            await asyncio.to_thread(log.close)

    left = asyncio.run(inside())
    return [row[2] for row in database.kept], left, log


def test_one_bad_row_is_dropped_and_named_and_the_others_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = [f'{{"sex":"{number}"}}' for number in range(30)]
    given = list(map(attributes, [*good[:20], BAD, *good[20:]]))
    arrived, left, log = deliver(tmp_path, monkeypatch, Database(refuse_bad), given, 2)
    assert ([one for one in arrived if isinstance(one, str)], len(arrived), left) == (good, 32, 0)
    [said] = [record.getMessage() for record in caplog.records]
    assert "22P05" in said
    assert "no database keeps" not in said
    assert log.metrics.registry.get_sample_value("gateway_shipped_total", {"target": "auditdb"}) == 32


def test_a_database_that_is_away_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_rows: Rows) -> None:
        raise psycopg.OperationalError("the connection is lost")

    assert deliver(tmp_path, monkeypatch, Database(away), [attributes("{}") for _ in range(3)], 1)[:2] == ([], 4)


def test_what_another_sites_key_sealed_is_dropped_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost = attributes("{}", Seal(b"j" * 32))
    arrived, left, _ = deliver(tmp_path, monkeypatch, Database(refuse_bad), [attributes('{"a":1}'), lost])
    assert (arrived, left) == (['{"a":1}'], 0)
    [said] = [record.getMessage() for record in caplog.records]
    assert lost.decision_id in said


def test_a_verdict_stays_while_nobody_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fail must not go away with the database, and come back as a new one."""

    def away(_rows: Rows) -> None:
        raise psycopg.OperationalError("the connection is lost")

    database, metrics = Database(lambda _rows: None), Metrics()
    monkeypatch.setattr(psycopg, "AsyncConnection", database)
    (tmp_path / "uri").write_text("postgresql://gateway@auditdb/auditdb")
    target = AuditTarget(tmp_path / "uri", DecisionLog(tmp_path, metrics), metrics, SEAL, AUDITED)
    asyncio.run(target.read_verdicts())
    database.refuse = away
    with pytest.raises(DeliveryError):
        asyncio.run(target.read_verdicts())
    labels = {"model": "income", "mlflow_version": "3", "attribute": "sex", "verdict": "fail"}
    assert metrics.registry.get_sample_value("gateway_audit_verdict", labels) == 1
    assert b"no longer audited" not in metrics.text()
