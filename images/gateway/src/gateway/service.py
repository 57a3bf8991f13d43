"""One prediction request, from rows to an answer whose decisions are durable.

The order is the promise: anonymise first, and only then look at the cache, MindsDB, the log or the disk. What the audit
takes of a row as it came is sealed before it meets the disk.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
import typing as t

import orjson

from gateway.anonymise import Anonymiser, RowError
from gateway.cache import AsyncPredictionCache, BadAnswerError, Prediction
from gateway.canonical import settle
from gateway.decisions import Attributes, Decision
from gateway.fitting import Fitting
from gateway.problems import MindsDBWrong, NotFound, RowsRefused
from gateway.uuid7 import uuid7

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.body import PredictionRequest
    from gateway.cache import AsyncCacheStore
    from gateway.decisions import DecisionLog
    from gateway.metrics import Metrics
    from gateway.mindsdb import MindsDB, ModelVersion
    from gateway.policy import ModelPolicy
    from gateway.sealing import Seal
    from gateway.texts import TextWorkers
    from gateway.versions import Versions

__all__ = ("Answer", "Caller", "PredictionService")

MAX_FAULTS = 20
Row = dict[str, t.Any]


class Load(t.Protocol):
    """How many requests are being answered at this moment."""

    @property
    def running(self) -> int: ...


class Caller(t.NamedTuple):
    client: str
    request_id: str
    started: float  # time.perf_counter() when the request came
    load: Load


class Answer(t.NamedTuple):
    body: bytes
    cache_status: bytes  # the Cache-Status header (RFC 9211)
    hits: int  # rows from the cache


class _Draft(t.NamedTuple):
    """What there is of a decision before the prediction."""

    id: str
    input: str  # anonymised, as JSON


@dataclasses.dataclass(frozen=True)
class _Fitted:
    """What is made once for a version of a model, and held by a request to its end whatever version comes meanwhile."""

    version: ModelVersion
    fitting: Fitting
    key: str
    public: bytes


@dataclasses.dataclass
class _Model:
    policy: ModelPolicy
    anonymise: Anonymiser
    texts: list[str]  # the columns that are looked through for names, which others need not wait for
    fitted: _Fitted | None = None

    def fit(self, version: ModelVersion) -> _Fitted:
        if self.fitted is None or self.fitted.version is not version:
            fitting = Fitting(self.policy.name, self.policy.columns, self.policy.target, version)
            self.fitted = _Fitted(version, fitting, settle(version.key), orjson.dumps(version.public()))
        return self.fitted


class PredictionService:
    def __init__(
        self,
        policies: Mapping[str, ModelPolicy],
        site_key: bytes,
        store: AsyncCacheStore,
        versions: Versions,
        mindsdb: MindsDB,
        log: DecisionLog,
        metrics: Metrics,
        seal: Seal | None,
        texts: TextWorkers,
    ) -> None:
        """`seal`: what the audit's attributes wait in; without one there is no audit, and none are taken."""
        self._seal = seal
        self._texts = texts
        self._models = {
            name: _Model(policy, Anonymiser(policy, site_key), policy.text_columns) for name, policy in policies.items()
        }
        self._versions = versions
        self._mindsdb = mindsdb
        self._log = log
        self._metrics = metrics
        self._cache = AsyncPredictionCache(
            store, self._ask, self._version_key, ttl=lambda name: self._models[name].policy.cache_ttl
        )

    async def predict(self, request: PredictionRequest, caller: Caller) -> Answer:
        model = self._models.get(request.model)
        if model is None:
            known = ", ".join(sorted(self._models)) or "none"
            raise NotFound(f"The gateway has no such model; it has: {known}. gateway_models adds one.")
        began = time.perf_counter()
        rows = await self._anonymised(model, request.rows)
        anonymised = time.perf_counter()
        version = await self._versions.current(model.policy.mindsdb_model)
        fitted = model.fit(version)
        faults = [fault for index, row in enumerate(rows) for fault in fitted.fitting.faults(index, row)]
        if faults:
            raise RowsRefused("Some values are not what the model takes: see errors.", errors=faults[:MAX_FAULTS])
        # the cache is asked at once, and answers while the rest is made ready
        asked = asyncio.eager_task_factory(asyncio.get_running_loop(), self._predictions(model, fitted, rows))
        drafts = [_Draft(uuid7(), orjson.dumps(row).decode()) for row in rows]
        attributes = self._attributes(model.policy, drafts, request.rows)
        predictions = await asked
        predicted = time.perf_counter()
        outputs = [orjson.dumps(prediction.value) for prediction in predictions]
        decisions = _decisions(model.policy.name, fitted.public, caller, drafts, predictions, outputs)
        answer = _answer(model.policy.name, fitted.public, decisions, predictions, outputs)
        await self._log.append(decisions, attributes, alone=caller.load.running == 1)
        self._metrics.stages(began, anonymised, predicted)
        self._metrics.rows(model.policy.name, answer.hits, len(rows) - answer.hits)
        return answer

    async def _anonymised(self, model: _Model, rows: Sequence[Row]) -> list[Row]:
        if model.texts:
            return await self._texts.run(functools.partial(_anonymise, model.anonymise), rows, model.texts)
        return _anonymise(model.anonymise, rows)

    async def _predictions(self, model: _Model, fitted: _Fitted, rows: list[Row]) -> list[Prediction]:
        wanted = [fitted.fitting.take(row) for row in rows]
        try:
            return await self._cache.predict_many(model.policy.name, wanted, version=fitted.key, settled=True)
        except BadAnswerError as exc:
            raise MindsDBWrong(f"MindsDB's answer cannot be used: {exc}.") from exc

    async def _version_key(self, name: str) -> str:
        return (await self._versions.current(self._models[name].policy.mindsdb_model)).key

    async def _ask(self, name: str, version: str, rows: Sequence[Mapping[str, t.Any]]) -> list[Row]:
        policy = self._models[name].policy
        number = version.partition("/")[0]
        return await self._mindsdb.predict(policy.mindsdb_model, number, policy.target, [dict(row) for row in rows])

    def _attributes(self, policy: ModelPolicy, drafts: list[_Draft], rows: Sequence[Row]) -> list[Attributes]:
        """Sealed: they may wait on the disk for as long as the audit's database is away."""
        if self._seal is None or policy.audit is None:
            return []
        names = policy.audit.attributes
        at_us = time.time_ns() // 1000
        close = self._seal.close
        return [
            Attributes(
                draft.id, policy.name, at_us, close(orjson.dumps({name: row.get(name) for name in names}), draft.id)
            )
            for draft, row in zip(drafts, rows, strict=True)
        ]


def _anonymise(anonymise: Anonymiser, rows: Iterable[Row]) -> list[Row]:
    done: list[Row] = []
    faults: list[dict[str, t.Any]] = []
    for index, row in enumerate(rows):
        try:
            done.append(anonymise(row))
        except RowError as exc:
            faults.append({"row": index, "column": exc.column, "reason": exc.reason})
    if faults:
        raise RowsRefused("Some rows do not fit the policy of the model: see errors.", errors=faults[:MAX_FAULTS])
    return done


def _decisions(
    name: str,
    version: bytes,
    caller: Caller,
    drafts: list[_Draft],
    predictions: list[Prediction],
    outputs: list[bytes],
) -> list[Decision]:
    at_us = time.time_ns() // 1000
    latency_us = round((time.perf_counter() - caller.started) * 1e6)
    text = version.decode()
    return [
        Decision(
            draft.id, at_us, caller.request_id, caller.client, name, text,
            draft.input, output.decode(), int(prediction.cached), latency_us,
        )
        for draft, prediction, output in zip(drafts, predictions, outputs, strict=True)
    ]  # fmt: skip


def _answer(
    name: str, version: bytes, decisions: list[Decision], predictions: list[Prediction], outputs: list[bytes]
) -> Answer:
    # lists, since each step of a generator is a call
    hits = sum([prediction.cached for prediction in predictions])
    warnings = [prediction.warning for prediction in predictions if prediction.warning][:1]
    body = _body(name, version, decisions, outputs, warnings)
    return Answer(body, _cache_status(hits, len(predictions), warnings), hits)


def _body(name: str, version: bytes, decisions: list[Decision], outputs: list[bytes], warnings: list[str]) -> bytes:
    answer: dict[str, t.Any] = {
        "model": name,
        "model_version": orjson.Fragment(version),
        "predictions": [
            {"output": orjson.Fragment(output), "cached": bool(decision.cached), "decision_id": decision.id}
            for decision, output in zip(decisions, outputs, strict=True)
        ],
    }
    if warnings:
        answer["warnings"] = warnings
    return orjson.dumps(answer)


def _cache_status(hits: int, rows: int, warnings: list[str]) -> bytes:
    if hits == rows:
        return b"gateway; hit"
    if warnings:
        return b"gateway; fwd=bypass; detail=unavailable"
    return b"gateway; fwd=partial" if hits else b"gateway; fwd=miss"
