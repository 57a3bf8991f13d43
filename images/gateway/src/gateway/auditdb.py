"""Outcomes and sensitive attributes into the audit's own database, as a role that may insert and read nothing.

Its tables are in audit/schema.sql. An insert that is already there is left as it is, so a retry changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import logging
import typing as t
from pathlib import Path

import psycopg

from gateway.sealing import Seal, SealError
from gateway.settings import SettingsError, read_secret
from gateway.shipping import DeliveryError

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.decisions import Attributes, DecisionLog
    from gateway.metrics import Metrics

__all__ = ("AuditTarget",)

ATTRIBUTES = (
    'INSERT INTO attributes (decision_id, model, "values", at) VALUES (%s, %s, %s::jsonb, %s) ON CONFLICT DO NOTHING'
)
OUTCOMES = "INSERT INTO outcomes (decision_id, outcome, at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
VERDICTS = "SELECT model, mlflow_version, attribute, verdict, measured_at FROM verdicts"

_log = logging.getLogger(__name__)
Rows = list[tuple[t.Any, ...]]


@dataclasses.dataclass
class AuditTarget:
    uri_file: Path
    log: DecisionLog
    metrics: Metrics
    seal: Seal
    audited: frozenset[str]  # models
    batch: int = 500
    _dirty: bool = dataclasses.field(default=True, init=False)

    async def deliver(self) -> bool:
        """Send one batch; True when there may be more. What has arrived is deleted here, attributes for good."""
        attributes, outcomes = await self.log.undelivered(self.batch)
        if not attributes and not outcomes:
            if self._dirty:
                # deleted rows stay readable in the WAL until it is cut; after a start nobody knows what it holds
                await self.log.clean_wal()
                self._dirty = False
            return False
        self._dirty = self._dirty or bool(attributes)
        given = [row for sealed in attributes if (row := self._opened(sealed))]
        told = [(row.decision_id, row.outcome, _moment(row.at_us)) for row in outcomes]
        async with self._cursor() as cursor:
            arrived = await self._insert(cursor, ATTRIBUTES, given) + await self._insert(cursor, OUTCOMES, told)
        await self.log.mark_delivered([row.decision_id for row in attributes], [row.decision_id for row in outcomes])
        self.metrics.shipped("auditdb", arrived)
        return len(attributes) == self.batch or len(outcomes) == self.batch

    def _opened(self, row: Attributes) -> tuple[t.Any, ...] | None:
        try:
            given = self.seal.open(row.given, row.decision_id).decode()
        except SealError:
            _log.error(
                "the attributes of decision %s were sealed with another key than the site's: dropped", row.decision_id
            )
            self.metrics.shipping_failed("auditdb")
            return None
        return row.decision_id, row.model, given, _moment(row.at_us)

    async def _insert(self, cursor: psycopg.AsyncCursor[t.Any], statement: str, rows: Rows) -> int:
        """How many arrived. A row that the database will never take must not hold up the others: it is named and dropped."""
        try:
            async with cursor.connection.transaction():
                await cursor.executemany(statement, rows)
        except psycopg.DataError as exc:
            if len(rows) > 1:
                half = len(rows) // 2
                return await self._insert(cursor, statement, rows[:half]) + await self._insert(
                    cursor, statement, rows[half:]
                )
            _log.error("the audit's database refuses what decision %s brings it (%s): dropped", rows[0][0], _name(exc))
            self.metrics.shipping_failed("auditdb")
            return 0
        return len(rows)

    async def read_verdicts(self) -> bool:
        """The audit's last verdicts, as gauges; while the database cannot be asked, those known last.

        Its next run takes away those of models that are audited no more; after the last of them there is none.
        """
        async with self._cursor() as cursor:
            await cursor.execute(VERDICTS)
            self.metrics.verdicts([row for row in await cursor.fetchall() if row[0] in self.audited])
        return False

    @contextlib.asynccontextmanager
    async def _cursor(self) -> AsyncIterator[psycopg.AsyncCursor[t.Any]]:
        """One transaction on a connection of its own: a new password or a new server is met at the next one."""
        try:
            uri = read_secret(self.uri_file)
            async with await psycopg.AsyncConnection.connect(uri, connect_timeout=5, application_name="gateway") as db:
                await db.execute("SET statement_timeout = '30s'")
                async with db.cursor() as cursor:
                    yield cursor
        except (psycopg.Error, OSError, SettingsError) as exc:
            # not its text: the server's may quote the values
            raise DeliveryError(f"the audit's database refused ({_name(exc)})") from exc


def _moment(at_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC)


def _name(exc: Exception) -> str:
    state = exc.sqlstate if isinstance(exc, psycopg.Error) else None
    return f"{type(exc).__name__}, SQLSTATE {state}" if state else type(exc).__name__
