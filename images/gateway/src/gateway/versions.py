"""Which version of a model answers now: asked of MindsDB at most once in a few seconds, by one request for all.

While the answer is young it is used as it is; when it is older a refresh runs beside the requests. When MindsDB cannot
be asked the version known last goes on, also over a restart of the gateway, so that cached answers go on as well.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
import typing as t

import orjson

from gateway.mindsdb import Column, ModelVersion
from gateway.problems import GatewayError, NotFound

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.decisions import DecisionLog
    from gateway.metrics import Metrics
    from gateway.mindsdb import MindsDB

__all__ = ("Versions",)

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Known:
    version: ModelVersion
    checked: float
    fresh: bool = True  # False: the last try to ask again failed


@dataclasses.dataclass
class Versions:
    mindsdb: MindsDB
    log: DecisionLog
    metrics: Metrics
    seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = dataclasses.field(default_factory=dict, init=False)
    _asking: dict[str, asyncio.Task[ModelVersion]] = dataclasses.field(default_factory=dict, init=False)

    async def current(self, model: str) -> ModelVersion:
        known = self._known.get(model)
        age = self.clock() - known.checked if known else 0.0
        if known and age < self.seconds / 2:
            return self._used(model, known)
        asking = self._asking.get(model) or self._ask(model)
        if known and (age < self.seconds or not known.fresh):
            return self._used(model, known)
        try:
            return await asyncio.shield(asking)
        except NotFound:
            raise
        except GatewayError:
            known = self._known.get(model)
            if known is None:
                raise
            return self._used(model, known)

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _used(self, model: str, known: _Known) -> ModelVersion:
        if not known.fresh:
            self.metrics.stale(model)
        return known.version

    def _ask(self, model: str) -> asyncio.Task[ModelVersion]:
        task = asyncio.get_running_loop().create_task(self._refresh(model))
        self._asking[model] = task
        task.add_done_callback(lambda done: self._asked(model, done))
        return task

    def _asked(self, model: str, task: asyncio.Task[ModelVersion]) -> None:
        self._asking.pop(model, None)
        if not task.cancelled():
            task.exception()  # looked at here: whoever waits gets it too

    async def _refresh(self, model: str) -> ModelVersion:
        known = self._known.get(model) or await self._remembered(model)
        try:
            # without any version there is no answer; else a MindsDB that hangs must not hold up those from the cache
            return await self._look_up(model, patient=known is None)
        except NotFound:
            self._known.pop(model, None)
            raise
        except GatewayError as exc:
            if known:
                if known.fresh:
                    _log.warning("model %s stays at version %s: %s", model, known.version.mindsdb, exc.title)
                self._known[model] = _Known(known.version, self.clock(), fresh=False)
            raise

    async def _look_up(self, model: str, *, patient: bool) -> ModelVersion:
        number, identity = await self.mindsdb.active(model, patient=patient)
        known = self._known.get(model)
        if known and (known.version.mindsdb, known.version.identity) == (number, identity):
            version = known.version
        else:
            version = await self.mindsdb.describe(model, number, identity, patient=patient)
            _log.info(
                "model %s answers with version %s (MLflow %s)", model, number, version.mlflow_version or "unknown"
            )
            await self.log.remember_version(model, orjson.dumps(version).decode())
        self._known[model] = _Known(version, self.clock())
        return version

    async def _remembered(self, model: str) -> _Known | None:
        text = await self.log.remembered_version(model)
        if text is None:
            return None
        fields = orjson.loads(text)
        columns = tuple(Column(**column) for column in fields.pop("columns"))
        return _Known(ModelVersion(**fields, columns=columns), self.clock())
