"""What Prometheus can ask of the gateway. Names and labels only: no client, no row, no key."""

from __future__ import annotations

import contextlib
import time
import typing as t

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from gateway.tallies import Counts, Times

if t.TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ("Metrics",)

FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry an application, so that two in one process (tests) do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = self._counts("requests", "Answers, by route and status", "route", "status")
        self._seconds = self._times("request_seconds", "From the first byte of a request to its answer", "route")
        stages = self._counts("prediction_stage_seconds", "Where the time of predictions goes", "stage")
        self._rows = self._counts("rows", "Rows answered, by model and where the answer came from", "model", "result")
        self._mindsdb_seconds = self._histogram("mindsdb_seconds", "How long MindsDB took", "operation")
        self._mindsdb_errors = self._counter("mindsdb_errors", "Questions to MindsDB that failed", "operation", "error")
        self._commit_seconds = self._times("decision_commit_seconds", "One commit of the decision log").of()
        self._journal_seconds = self._times(
            "decision_journal_seconds", "One write to the journal of the decision log"
        ).of()
        self._commit_writes = self._times(
            "decision_commit_writes", "Writes in one commit", bounds=(1, 2, 4, 8, 16, 32, 64, 512)
        ).of()
        self._shipped = self._counter("shipped", "What arrived elsewhere, by target", "target")
        self._shipping_errors = self._counter("shipping_errors", "Deliveries that failed, by target", "target")
        self._stale = self._counter(
            "stale_versions", "Answers by the version known last, as MindsDB could not be asked", "model"
        )
        labels = ("model", "mlflow_version", "attribute", "verdict")
        self._verdicts = Gauge("gateway_audit_verdict", "The bias audit's last verdict", labels, registry=self.registry)
        text = "When the last audit of a model was measured"
        self._audited = Gauge("gateway_audit_last_run_timestamp_seconds", text, ("model",), registry=self.registry)
        self._gauges: dict[str, Gauge] = {}
        self._anonymising, self._predicting, self._logging = map(stages.of, ("anonymise", "predict", "log"))
        self._cached = self._uncached = 0
        self.gauge("cache_hit_ratio", "Rows from the cache among all rows answered since the start", self._hit_ratio)

    def gauge(self, name: str, text: str, function: Callable[[], float] | None = None) -> Gauge:
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"gateway_{name}", text, registry=self.registry)
        if function:
            self._gauges[name].set_function(function)
        return self._gauges[name]

    def answered(self, route: str, status: int, started: float) -> None:
        self._requests.of(route, str(status)).add()
        self._seconds.of(route).add(time.perf_counter() - started)

    def stages(self, began: float, anonymised: float, predicted: float) -> None:
        """Moments of one request: anonymised, predicted (cache or MindsDB), and now, logged."""
        self._anonymising.add(anonymised - began)
        self._predicting.add(predicted - anonymised)
        self._logging.add(time.perf_counter() - predicted)

    def rows(self, model: str, cached: int, asked: int) -> None:
        self._cached += cached
        self._uncached += asked
        if cached:
            self._rows.of(model, "cached").add(cached)
        if asked:
            self._rows.of(model, "predicted").add(asked)

    def stale(self, model: str) -> None:
        self._stale.labels(model).inc()

    @contextlib.contextmanager
    def mindsdb(self, operation: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        except Exception as exc:
            self._mindsdb_errors.labels(operation, type(exc).__name__).inc()
            raise
        finally:
            self._mindsdb_seconds.labels(operation).observe(time.perf_counter() - started)

    def journaled(self, started: float) -> None:
        self._journal_seconds.add(time.perf_counter() - started)

    def committed(self, writes: int, started: float) -> None:
        self._commit_seconds.add(time.perf_counter() - started)
        self._commit_writes.add(writes)

    def shipped(self, target: str, count: int) -> None:
        self._shipped.labels(target).inc(count)

    def shipping_failed(self, target: str) -> None:
        self._shipping_errors.labels(target).inc()

    def verdicts(self, rows: Iterable[tuple[str, str, str, str, dt.datetime]]) -> None:
        """Of each model, version, attribute and verdict, and when it was measured."""
        self._verdicts.clear()
        self._audited.clear()
        latest: dict[str, float] = {}
        for model, version, attribute, verdict, measured_at in rows:
            self._verdicts.labels(model, version, attribute, verdict).set(1)
            latest[model] = max(latest.get(model, 0), measured_at.timestamp())
        for model, moment in latest.items():
            self._audited.labels(model).set(moment)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _hit_ratio(self) -> float:
        return self._cached / max(1, self._cached + self._uncached)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gateway_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"gateway_{name}", text, labels, registry=self.registry, buckets=FAST)

    def _counts(self, name: str, text: str, *labels: str) -> Counts:
        return Counts(self.registry, f"gateway_{name}", text, *labels)

    def _times(self, name: str, text: str, *labels: str, bounds: Sequence[float] = FAST) -> Times:
        return Times(self.registry, f"gateway_{name}", text, *labels, bounds=bounds)
