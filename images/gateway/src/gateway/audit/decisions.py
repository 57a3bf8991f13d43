"""Decisions of a time window, as the gateway shipped them: traces of MLflow's experiment `decisions`.

MLflow asks nobody who they are, so anybody who reaches it can write there. What has not the form that a gateway writes is
left out and counted, lest one such trace ends every audit; what has it is believed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from gateway.traces import trace_id
from gateway.uuid7 import is_uuid

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Trace

__all__ = ("EXPERIMENT", "Decision", "LeftOut", "Window", "read_decisions")

EXPERIMENT = "decisions"
PAGE = 250


@dataclasses.dataclass(frozen=True)
class Window:
    """From `since` up to, but not with, `until`."""

    since: dt.datetime
    until: dt.datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("a window needs times with a time zone")
        if not self.since < self.until:
            raise ValueError(
                f"the window ends ({self.until:%Y-%m-%d %H:%M}) before it begins ({self.since:%Y-%m-%d %H:%M})"
            )

    def days(self) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """It in parts of a day, the last one as long as what is left."""
        begin = self.since
        while begin < self.until:
            end = min(begin + dt.timedelta(days=1), self.until)
            yield begin, end
            begin = end

    def __str__(self) -> str:
        return f"{self.since.astimezone(dt.UTC):%Y-%m-%d %H:%M} to {self.until.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


@dataclasses.dataclass(frozen=True)
class Decision:
    """What the audit needs of one answered row."""

    id: str
    model: str
    version: str  # of the model in MLflow
    output: Mapping[str, t.Any]


@dataclasses.dataclass
class LeftOut:
    """How many traces of the window were not taken for decisions."""

    foreign: int = 0  # of another form than a gateway writes
    repeated: int = 0  # read before: a trace that arrives while pages are read moves the others on


def read_decisions(
    client: MlflowClient, window: Window, left_out: LeftOut, page: int = PAGE
) -> Iterator[list[Decision]]:
    """Page by page. What is in memory is a page, and the ids of one day; `left_out` is counted up.

    Day by day, since MLflow walks to a page from the first one that its filter finds. Only times stand in the filter: nothing
    that a client named.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return
    for since, until in window.days():
        seen: set[bytes] = set()
        token: str | None = None
        while True:
            traces = client.search_traces(
                locations=[experiment.experiment_id], max_results=page, page_token=token, order_by=["timestamp_ms ASC"],
                filter_string=f"timestamp_ms >= {_ms(since)} AND timestamp_ms < {_ms(until)}",
            )  # fmt: skip
            yield [decision for trace in traces if (decision := _take(trace, seen, left_out))]
            token = traces.token
            if not token:
                break


def _ms(time: dt.datetime) -> int:
    return int(time.timestamp() * 1000)


def _take(trace: Trace, seen: set[bytes], left_out: LeftOut) -> Decision | None:
    decision = _decision(trace)
    if decision is None:
        left_out.foreign += 1
        return None
    ident = bytes.fromhex(decision.id.replace("-", ""))
    if ident in seen:
        left_out.repeated += 1
        return None
    seen.add(ident)
    return decision


def _decision(trace: Trace) -> Decision | None:
    """None for a trace that has not the form of a gateway's: other programs may write to the experiment too."""
    tags = trace.info.tags
    ident = tags.get("decision_id", "")
    outputs = [span.outputs for span in trace.data.spans if span.parent_id is None]
    if not is_uuid(ident) or trace.info.trace_id != trace_id(ident) or "model" not in tags:
        return None
    if len(outputs) != 1 or not isinstance(outputs[0], dict):
        return None
    version = tags.get("mlflow_version") or f"mindsdb-{tags.get('mindsdb_version', 'unknown')}"
    return Decision(ident, tags["model"], version, outputs[0])
