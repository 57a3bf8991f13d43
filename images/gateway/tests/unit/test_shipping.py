"""How deliveries are repeated, and what one refused trace does to its neighbours. MLflow is the test's own transport."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import typing as t
import weakref
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pytest

from gateway import shipping
from gateway.decisions import Decision, DecisionLog
from gateway.metrics import Metrics
from gateway.shipping import EXPERIMENT_SECONDS, REFUSED_SECONDS, DeliveryError, TraceTarget, deliver_forever
from gateway.uuid7 import uuid7

VERSION = '{"mindsdb":"3","mlflow_model":"income","mlflow_version":"3","run_id":"r"}'


def decision(output: str = '{"income":1}') -> Decision:
    return Decision(uuid7(), time.time_ns() // 1000, "r", "shop", "income", VERSION, "{}", output, 0, 5)


def run(
    folder: Path,
    decisions: list[Decision],
    answer: Callable[[httpx.Request], httpx.Response],
    times: int = 1,
    pause: float = 0,
    more: list[bool] | None = None,
) -> tuple[list[str], list[str]]:
    """Deliver so often, so many seconds apart; the outputs that arrived, and those still here. `more`: what deliveries say."""
    arrived: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        if request.url.path == "/v1/traces" and response.status_code == 200:
            for span in orjson.loads(request.content)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
                arrived.extend(
                    item["value"]["stringValue"] for item in span["attributes"] if item["key"] == "mlflow.spanOutputs"
                )
        return response

    async def inside() -> list[str]:
        metrics, clock = Metrics(), [0.0]
        log = DecisionLog(folder, metrics, reserve_bytes=0)
        log.open()
        async with httpx.AsyncClient(base_url="http://mlflow", transport=httpx.MockTransport(handle)) as client:
            target = TraceTarget(client, log, metrics, "decisions", 4, clock=lambda: clock[0])
            await log.append(decisions)
            for _ in range(times):
                with contextlib.suppress(DeliveryError):
                    (more if more is not None else []).append(await target.deliver())
                clock[0] += pause
        left = [one.output for one in await log.unshipped(100)]
        await asyncio.to_thread(log.close)
        return left

    return arrived, asyncio.run(inside())


def usual(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("get-by-name"):
        return httpx.Response(200, json={"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}})
    return httpx.Response(200)


def test_a_refused_trace_stays_and_the_others_go(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422) if b"wrong" in request.content else usual(request)

    decisions = [decision(f'"{name}"') for name in ("a", "wrong", "c", "d", "e", "f")]
    arrived, left = run(tmp_path, decisions, answer, times=2)
    assert (sorted(arrived), left) == (['"a"', '"c"', '"d"', '"e"', '"f"'], ['"wrong"'])


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_of_all_says_nothing_of_a_trace(tmp_path: Path, status: int) -> None:
    """MLflow answers so to most faults of its own database: the next try takes them all."""
    tries: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request.url.path)
        return httpx.Response(status) if len(tries) <= 3 and request.url.path == "/v1/traces" else usual(request)

    assert run(tmp_path, [decision('"a"'), decision('"b"')], answer, times=2) == (['"a"', '"b"'], [])


def test_what_was_refused_is_tried_again(tmp_path: Path) -> None:
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if b"wrong" not in request.content:
            return usual(request)
        tries.append(len(request.content))
        return httpx.Response(400)

    decisions = [decision('"a"'), decision('"wrong"')]
    assert run(tmp_path, decisions, answer, times=4, pause=REFUSED_SECONDS / 2)[1] == ['"wrong"']
    assert len(tries) == 3, "with the others, alone, and alone once more when its time was over"
    assert tries[1] == tries[2]


def test_a_database_with_a_fault_is_asked_once_a_try(tmp_path: Path) -> None:
    """Who cannot say which experiment it is has no verdict on a trace, and is not asked about each half."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return usual(request) if len(asked) == 1 else httpx.Response(400)

    assert run(tmp_path, [decision() for _ in range(4)], answer)[0] == []
    name = "/api/2.0/mlflow/experiments/get-by-name"
    assert asked == [name, "/v1/traces", name]


def batches(request: httpx.Request) -> list[int]:
    return [request.content.count(b'"traceId"')] if request.url.path == "/v1/traces" else []


def test_a_batch_has_an_end_in_bytes_and_the_rest_comes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "BATCH_SIZE", 1000)
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.extend(batches(request))
        return httpx.Response(413) if b"wrong" in request.content else usual(request)

    outputs = [f'"{name}"' for name in ("a" * 600, "wrong" * 100, "b" * 600, "c" * 2000, "d", "e")]
    more: list[bool] = []
    arrived, left = run(tmp_path, [decision(output) for output in outputs], answer, times=3, more=more)
    assert more == [True, True, False]
    assert sizes == [2, 1, 1, 2, 2], "the refused one makes no batch after it smaller"
    assert (arrived, left) == ([outputs[0], *outputs[2:]], [outputs[1]])


def test_large_traces_that_are_refused_hold_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "BATCH_SIZE", 1000)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(413) if b"wrong" in request.content else usual(request)

    outputs = [f'"{name}"' for name in ("wrong" * 300, "wrong" * 300, "c", "d")]
    assert run(tmp_path, [decision(output) for output in outputs], answer) == (outputs[2:], outputs[:2])


def test_a_refused_trace_that_is_alone_after_a_failure_gets_neighbours(tmp_path: Path) -> None:
    errors: list[Exception] = [httpx.ReadTimeout("slow"), httpx.ReadTimeout("slow")]

    def answer(request: httpx.Request) -> httpx.Response:
        if batches(request) and errors:
            raise errors.pop(0)
        return httpx.Response(422) if b"wrong" in request.content else usual(request)

    decisions = [decision(f'"{name}"') for name in ("wrong", "b", "c", "d")]
    assert run(tmp_path, decisions, answer, times=5) == (['"b"', '"c"', '"d"'], ['"wrong"'])


def test_a_batch_that_arrived_is_in_memory_no_more(tmp_path: Path) -> None:
    sent: list[weakref.ref[httpx.Request]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(weakref.ref(request))
        return usual(request)

    gc.disable()
    try:
        run(tmp_path, [decision()], answer)
        assert [request() for request in sent] == [None, None]
    finally:
        gc.enable()


def failing(*errors: Exception) -> tuple[list[int], Callable[[httpx.Request], httpx.Response]]:
    """The sizes of the batches that come, and a server that fails the first of them so."""
    sizes: list[int] = []
    left = list(errors)

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.extend(found := batches(request))
        if found and left:
            raise left.pop(0)
        return usual(request)

    return sizes, answer


def test_a_batch_that_takes_too_long_is_halved_and_grows_again(tmp_path: Path) -> None:
    sizes, answer = failing(httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("killed"), httpx.ReadError("cut"))
    decisions = [decision(f'"{number}"') for number in range(12)]
    arrived, left = run(tmp_path, decisions, answer, times=8)
    assert sizes == [4, 2, 1, 1, 2, 4, 4, 1]
    assert (len(arrived), left) == (12, [])


def test_a_server_that_is_away_says_nothing_of_the_batch(tmp_path: Path) -> None:
    sizes, answer = failing(httpx.ConnectError("away"), httpx.ConnectTimeout("away"), httpx.PoolTimeout("busy"))
    run(tmp_path, [decision() for _ in range(4)], answer, times=4)
    assert sizes == [4, 4, 4, 4]


def test_an_experiment_that_was_deleted_gets_no_more(tmp_path: Path) -> None:
    """MLflow takes traces for it all the same, and throws them away with it."""
    stages = iter(["active", "deleted"])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("get-by-name"):
            found = {"experiment_id": "7", "lifecycle_stage": next(stages)}
            return httpx.Response(200, json={"experiment": found})
        return httpx.Response(200)

    decisions = [decision(f'"{number}"') for number in range(12)]
    arrived, left = run(tmp_path, decisions, answer, times=3, pause=EXPERIMENT_SECONDS / 2)
    assert (len(arrived), len(left)) == (8, 4)


@pytest.mark.parametrize(
    "broken",
    [
        lambda _request: httpx.Response(503),
        lambda request: httpx.Response(500) if request.url.path == "/v1/traces" else usual(request),
        lambda _request: httpx.Response(200, json={"experiment": {"experiment_id": "7", "lifecycle_stage": "deleted"}}),
        lambda _request: httpx.Response(200, text="<html>Please log in"),
        lambda _request: httpx.Response(200, json=[]),
        lambda _request: httpx.Response(200, json={"experiment": "7"}),
        lambda _request: httpx.Response(200, json={}),
    ],
    ids=["down", "no traces", "experiment deleted", "no JSON", "a list", "no experiment", "no id"],
)
def test_what_did_not_arrive_stays(tmp_path: Path, broken: t.Any) -> None:
    assert run(tmp_path, [decision('"a"')], broken, times=2) == ([], ['"a"'])


def test_the_experiment_is_made_when_it_is_absent(tmp_path: Path) -> None:
    made: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("get-by-name"):
            return httpx.Response(404)
        if request.url.path.endswith("create"):
            made.append(orjson.loads(request.content))
            return httpx.Response(200, json={"experiment_id": "7"})
        assert request.headers["x-mlflow-experiment-id"] == "7"
        return httpx.Response(200)

    assert run(tmp_path, [decision('"a"')], answer) == (['"a"'], [])
    assert made == [{"name": "decisions"}]


def test_deliveries_rest_while_there_is_more_and_wait_longer_after_each_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def remember(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def deliver() -> bool:
        await sleep(0.02)
        if len(pauses) >= 3:
            raise DeliveryError("away")
        return len(pauses) < 2

    async def inside() -> None:
        monkeypatch.setattr(asyncio, "sleep", remember)
        task = asyncio.create_task(deliver_forever("mlflow", deliver, 5, Metrics()))
        while len(pauses) < 12:
            await sleep(0.01)
        task.cancel()

    asyncio.run(inside())
    assert all(0.02 <= pause < 1 for pause in pauses[:2])
    assert pauses[2] == 5
    bounds = [2.0**n for n in range(1, 6)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses[3:], bounds, strict=False))
    assert max(pauses) <= 60


def test_an_outage_of_days_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def deliver() -> bool:
        raise DeliveryError("away")

    async def remember(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def inside() -> None:
        monkeypatch.setattr(asyncio, "sleep", remember)
        task = asyncio.create_task(deliver_forever("mlflow", deliver, 5, Metrics()))
        while len(pauses) < 3000 and not task.done():
            await sleep(0.01)
        task.cancel()

    asyncio.run(inside())
    assert len(pauses) >= 3000
    assert max(pauses) <= 60


def test_no_failure_ends_deliveries_and_each_kind_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sleep = asyncio.sleep
    errors = [
        ValueError("a value"),
        ValueError("a value"),
        KeyError("a value"),
        DeliveryError("away"),
        None,
        ValueError(),
    ]
    left = list(errors)

    async def deliver() -> bool:
        if left and (error := left.pop(0)):
            raise error
        return False

    async def inside() -> None:
        monkeypatch.setattr(asyncio, "sleep", lambda _seconds: sleep(0))
        task = asyncio.create_task(deliver_forever("mlflow", deliver, 5, Metrics()))
        while left:
            await sleep(0.01)
        assert not task.done()
        task.cancel()

    asyncio.run(inside())
    said = [record.getMessage() for record in caplog.records if "waits" in record.getMessage()]
    kinds = ["ValueError", "KeyError", "away", "ValueError"]
    assert len(said) == len(kinds)
    assert all(kind in text for kind, text in zip(kinds, said, strict=True))
    assert "a value" not in caplog.text
    assert "test_shipping.py" in said[0], "and where it happened"
