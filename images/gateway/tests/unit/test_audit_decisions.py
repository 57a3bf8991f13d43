"""Which traces of MLflow count as decisions, and that reading them keeps next to nothing."""

from __future__ import annotations

import datetime as dt
import itertools
import tracemalloc
import types
import typing as t
import uuid

import pytest

from gateway.audit.decisions import Decision, LeftOut, Window, read_decisions
from gateway.audit.facts import Fact
from gateway.audit.table import Table

WINDOW = Window(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 3, 31, tzinfo=dt.UTC))
TAGS = {"model": "m", "mlflow_version": "3"}


def trace(
    ident: str, tags: dict[str, str], outputs: t.Any = None, *, parent: str | None = None, name: str | None = None
) -> types.SimpleNamespace:
    """As MLflow's client returns one."""
    info = types.SimpleNamespace(trace_id=name or f"tr-{ident.replace('-', '')}", tags={"decision_id": ident, **tags})
    span = types.SimpleNamespace(parent_id=parent, outputs={"y": "low"} if outputs is None else outputs)
    return types.SimpleNamespace(info=info, data=types.SimpleNamespace(spans=[span]))


class Pages(list[t.Any]):
    token: str | None = None


class Client:
    """MLflow's client over pages that were made beforehand, or are made as they are asked for."""

    def __init__(self, pages: t.Iterable[list[t.Any]]) -> None:
        self.pages = iter(pages)
        self.filters: list[str] = []

    def get_experiment_by_name(self, name: str) -> t.Any:
        return types.SimpleNamespace(experiment_id="1")

    def search_traces(self, *, filter_string: str, **_: t.Any) -> Pages:
        self.filters.append(filter_string)
        page = next(self.pages, None)
        found = Pages(page or [])
        found.token = None if page is None else "next"
        return found


def read(*pages: list[t.Any]) -> tuple[list[Decision], LeftOut]:
    left_out = LeftOut()
    client = t.cast("t.Any", Client(pages))
    return [one for page in read_decisions(client, WINDOW, left_out) for one in page], left_out


A, B = "01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000b"


def test_a_decision_as_the_gateway_writes_it() -> None:
    assert read([trace(A, TAGS)], [trace(B, {"model": "m", "mindsdb_version": "2"})]) == (
        [Decision(A, "m", "3", {"y": "low"}), Decision(B, "m", "mindsdb-2", {"y": "low"})],
        LeftOut(),
    )


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(trace("of mine", TAGS), id="no uuid"),
        pytest.param(trace("", TAGS), id="no id"),
        pytest.param(trace(A.upper(), TAGS), id="an id of another writing"),
        pytest.param(trace(A, TAGS, name="tr-" + B.replace("-", "")), id="an id that is not the trace's"),
        pytest.param(trace(A, {"mlflow_version": "3"}), id="no model"),
        pytest.param(trace(A, TAGS, "low"), id="an output that is no object"),
        pytest.param(trace(A, TAGS, parent="1"), id="no root span"),
    ],
)
def test_what_is_none_is_counted_and_ends_nothing(stranger: t.Any) -> None:
    decisions, left_out = read([stranger, trace(B, TAGS)])
    assert [one.id for one in decisions] == [B]
    assert left_out == LeftOut(foreign=1)


def test_a_decision_counts_once() -> None:
    decisions, left_out = read([trace(A, TAGS), trace(B, TAGS)], [trace(B, TAGS), trace(str(uuid.uuid4()), TAGS)])
    assert len({one.id for one in decisions}) == len(decisions) == 3
    assert left_out == LeftOut(repeated=1)


def test_the_days_are_the_window() -> None:
    client = Client([])
    window = Window(WINDOW.since, WINDOW.since + dt.timedelta(days=2, hours=1))
    assert list(read_decisions(t.cast("t.Any", client), window, LeftOut())) == [[]] * 3
    edges = [int((window.since + dt.timedelta(hours=hours)).timestamp() * 1000) for hours in (0, 24, 48, 49)]
    assert client.filters == [
        f"timestamp_ms >= {low} AND timestamp_ms < {high}" for low, high in itertools.pairwise(edges)
    ]


def kept(decisions: int) -> int:
    """The most bytes that reading and counting so many decisions of one day holds at once."""
    made = (str(uuid.UUID(int=number)) for number in range(decisions))
    pages = iter(lambda: [trace(ident, TAGS) for ident in itertools.islice(made, 250)], [])
    table = Table(["sex"], target="y", favourable="low")
    tracemalloc.start()
    try:
        for page in read_decisions(t.cast("t.Any", Client(pages)), WINDOW, LeftOut()):
            for number, one in enumerate(page):
                table.add(one, Fact({"sex": number % 3}, "low"))
        assert table.decisions == decisions
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_decision_that_was_counted_is_its_id_alone() -> None:
    kept(500)  # what the first call imports and caches
    few, many = kept(2_000), kept(22_000)
    assert (many - few) / 20_000 < 200
