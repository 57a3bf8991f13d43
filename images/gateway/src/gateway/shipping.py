"""Decisions leave for MLflow, outcomes and sensitive attributes for the audit's database: beside the requests, in
batches, again and again until they have arrived.

Plain JSON over HTTP, since importing MLflow's client would double the gateway's memory (see tests/bench/gateway).
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
import typing as t

import httpx

from gateway.problems import GatewayError, where
from gateway.traces import otlp_document, read_trace, trace_id

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.decisions import Decision, DecisionLog
    from gateway.metrics import Metrics

__all__ = ("DeliveryError", "TraceTarget", "deliver_forever")

LONGEST_PAUSE = 60.0
# MLflow answers so to a trace that it cannot read, and to most faults of its database as well.
REFUSALS = (400, 413, 422)
# Characters of inputs and outputs in one batch: each is in memory several times over on its way, here and in MLflow.
BATCH_SIZE = 4 * 1024 * 1024
# MLflow had the batch, or some of it, and did not get through.
TOO_MUCH = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
# Until a trace that was refused is tried again.
REFUSED_SECONDS = 300.0
# Until the experiment is looked at again: MLflow takes traces for a deleted one without a word.
EXPERIMENT_SECONDS = 60.0
_log = logging.getLogger(__name__)


class DeliveryError(Exception):
    """It did not arrive, for a reason that may pass. The text names what was tried, not what was sent."""


@dataclasses.dataclass
class TraceTarget:
    """MLflow's experiment of decisions."""

    http: httpx.AsyncClient
    log: DecisionLog
    metrics: Metrics
    experiment: str
    batch: int = 200
    clock: Callable[[], float] = time.monotonic
    # its id, and until when that is believed
    _experiment: tuple[str, float] | None = dataclasses.field(default=None, init=False)
    # by decision, when it is tried again
    _refused: dict[str, float] = dataclasses.field(default_factory=dict, init=False)
    # how many decisions make a batch just now
    _most: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._most = self.batch

    async def deliver(self) -> bool:
        """Send one batch; True when there may be more."""
        now, most = self.clock(), self._most
        later = [ident for ident, again in self._refused.items() if again > now]
        sent: list[str] = []
        refused: list[str] = []
        is_large = True
        # a few large ones may all be refused: as many as make a batch of small ones tell more
        while is_large and len(refused) == len(sent) < most:
            waiting = await self.log.unshipped(most - len(sent), BATCH_SIZE, [*later, *sent])
            refused += await self._send(waiting) if waiting else []
            sent += [decision.id for decision in waiting]
            is_large = sum(decision.size for decision in waiting) >= BATCH_SIZE
        if sent:
            self._judge(sent, refused)
        return is_large or len(sent) == most

    def _judge(self, sent: list[str], refused: list[str]) -> None:
        """A trace is to blame when MLflow took its neighbours: then it stays on the volume, is named, and holds up nobody."""
        new = [ident for ident in refused if ident not in self._refused]
        if new and len(refused) == len(sent):
            raise DeliveryError(f"MLflow refuses each of {len(sent)} traces, from decision {sent[0]} on: see its log")
        for ident in sent:
            self._refused.pop(ident, None)
        self._refused |= dict.fromkeys(refused, self.clock() + REFUSED_SECONDS)
        for ident in new:
            self.metrics.shipping_failed("mlflow")
            _log.error(
                "MLflow refuses the trace of decision %s and takes others: it stays here and is tried again", ident
            )

    async def find(self, decision_id: str) -> dict[str, t.Any] | None:
        """A trace that is no longer on the volume, as MLflow keeps it."""
        response = await self._call("GET", "/api/3.0/mlflow/traces/get", params={"trace_id": trace_id(decision_id)})
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise DeliveryError(f"MLflow answered with status {response.status_code} when asked for a trace")
        return read_trace(decision_id, response.content)

    async def _send(self, decisions: list[Decision]) -> list[str]:
        """Those that MLflow refuses even alone."""
        headers = {"content-type": "application/json", "x-mlflow-experiment-id": await self._experiment_id()}
        try:
            response = await self._call("POST", "/v1/traces", content=otlp_document(decisions), headers=headers)
        except DeliveryError as exc:
            if isinstance(exc.__cause__, TOO_MUCH):
                self._most = max(1, len(decisions) // 2)
            raise
        self._most = min(self.batch, 2 * self._most)
        if response.status_code == 200:
            await self.log.mark_shipped(decision.id for decision in decisions)
            self.metrics.shipped("mlflow", len(decisions))
            return []
        # it may have been deleted and made again; and who cannot say which it is now has no verdict on a trace
        self._experiment = None
        if response.status_code not in REFUSALS:
            raise DeliveryError(f"MLflow answered with status {response.status_code} to a batch of traces")
        if len(decisions) == 1:
            return [decisions[0].id]
        half = len(decisions) // 2
        return [*await self._send(decisions[:half]), *await self._send(decisions[half:])]

    async def _experiment_id(self) -> str:
        if self._experiment is None or self.clock() >= self._experiment[1]:
            self._experiment = await self._ask_experiment(), self.clock() + EXPERIMENT_SECONDS
        return self._experiment[0]

    async def _ask_experiment(self) -> str:
        path = "/api/2.0/mlflow/experiments/"
        response = await self._call("GET", path + "get-by-name", params={"experiment_name": self.experiment})
        if response.status_code == 404:
            response = await self._call("POST", path + "create", json={"name": self.experiment})
        if response.status_code != 200:
            raise DeliveryError(
                f"MLflow answered with status {response.status_code} about experiment {self.experiment}"
            )
        try:
            found = response.json()
            found = found.get("experiment", found)
            ident, stage = str(found["experiment_id"]), found.get("lifecycle_stage", "active")
        except (ValueError, LookupError, TypeError, AttributeError):
            text = f"{self.http.base_url} says nothing of experiment {self.experiment}: is that MLflow?"
            raise DeliveryError(text) from None
        if stage != "active":
            raise DeliveryError(f"MLflow's experiment {self.experiment} was deleted: restore it")
        return ident

    async def _call(self, method: str, path: str, **options: t.Any) -> httpx.Response:
        try:
            response = await self.http.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise DeliveryError(f"MLflow cannot be reached ({type(exc).__name__})") from exc
        # httpx's own refers to the response: that would keep the batch until Python looks for such circles
        response.stream = httpx.ByteStream(response.content)
        return response


async def deliver_forever(
    target: str, deliver: Callable[[], Awaitable[bool]], seconds: float, metrics: Metrics
) -> t.NoReturn:
    """Deliver until cancelled, whatever fails. After a failure wait twice as long each time, up to a minute.

    While there is more, rest as long as each delivery took: a backlog leaves the other side half of its time.
    """
    failures = 0
    told: set[str] = set()
    while True:
        started = time.monotonic()
        try:
            more = await deliver()
        except Exception as exc:  # noqa: BLE001 - nobody starts this again
            failures += 1
            metrics.shipping_failed(target)
            kind = type(exc).__name__
            if kind not in told:
                reason = str(exc) if isinstance(exc, (DeliveryError, GatewayError)) else f"{kind} at {where(exc)}"
                _log.warning("delivery to %s waits: %s", target, reason)
                told.add(kind)
            pause = min(LONGEST_PAUSE, 2.0 ** min(failures, 6)) * random.uniform(0.5, 1)  # noqa: S311 - spreads load, no secret
        else:
            if failures:
                _log.warning("delivery to %s goes on after %d failures", target, failures)
            failures = 0
            told.clear()
            pause = min(time.monotonic() - started, LONGEST_PAUSE) if more else seconds
        metrics.gauge(f"{target}_up", f"1 while deliveries to {target} arrive").set(0 if failures else 1)
        await asyncio.sleep(pause)
