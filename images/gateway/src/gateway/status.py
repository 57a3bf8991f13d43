"""How the gateway and those it needs are doing: for `/readyz`, for gauges, and for whoever looks."""

from __future__ import annotations

import asyncio
import dataclasses
import typing as t

from gateway.store import CacheUnavailable

if t.TYPE_CHECKING:
    from gateway.decisions import DecisionLog
    from gateway.metrics import Metrics
    from gateway.mindsdb import MindsDB
    from gateway.store import AsyncCacheStore

__all__ = ("Status",)


@dataclasses.dataclass
class Status:
    log: DecisionLog
    store: AsyncCacheStore
    mindsdb: MindsDB
    metrics: Metrics

    async def read(self) -> dict[str, t.Any]:
        """The decision log was checked by the caller; these three only degrade the service."""
        redis, mindsdb, backlog = await asyncio.gather(self._redis(), self.mindsdb.alive(), self.log.backlog())
        down = [name for name, up in (("redis", redis), ("mindsdb", mindsdb)) if not up]
        return {"status": "degraded" if down else "ok", "down": down, "unshipped_decisions": backlog["unshipped"]}

    async def count(self) -> None:
        """Bring the gauges up to date; runs when they are asked for."""
        backlog = await self.log.backlog()
        gauge = self.metrics.gauge
        gauge("decisions_unshipped", "Decisions that MLflow does not have yet").set(backlog["unshipped"])
        gauge("decisions_unshipped_seconds", "Age of the oldest of them").set(backlog["oldest_us"] / 1e6)
        gauge("audit_undelivered", "Outcomes and attributes that wait for the audit").set(backlog["undelivered"])
        gauge("decision_queue", "Writes that wait for the decision log").set(self.log.waiting())
        gauge("volume_free_bytes", "Room on the decision log's volume").set(self.log.free_bytes())
        gauge("redis_up", "1 while Redis answers").set(await self._redis())

    async def _redis(self) -> bool:
        try:
            await self.store.ping()
        except CacheUnavailable:
            return False
        return True
