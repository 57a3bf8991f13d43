"""Whose failure it is when a question that several requests wait for fails. Without a Redis: see tests/integration for that."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway import AsyncPredictionCache, PredictionCache, connect, connect_async
from gateway.cache import BadAnswerError

GOOD: dict[str, t.Any] = {"x": 1}
BAD: dict[str, t.Any] = {"x": "bad"}


class Model:
    """Refuses a batch with a bad row, as MindsDB does, and each while it is down."""

    def __init__(self) -> None:
        self.asked: list[list[t.Any]] = []
        self.down = False
        self.value: t.Any = 1
        self.begun = threading.Event()
        self.held: asyncio.Event | None = None

    def answer(self, rows: Sequence[t.Any]) -> list[dict[str, t.Any]]:
        if self.down or BAD in rows:
            raise OSError(f"not {len(rows)} rows")
        return [{"y": self.value} for _ in rows]

    def run(self, test: Callable[[AsyncPredictionCache], Awaitable[None]]) -> None:
        async def predict(_model: str, _version: str, rows: Sequence[t.Any]) -> list[dict[str, t.Any]]:
            self.asked.append([row["x"] for row in rows])
            await (self.held.wait() if self.held else asyncio.sleep(0.02))
            return self.answer(rows)

        async def version_of(_model: str) -> str:
            return "1"

        async def inside() -> None:
            async with connect_async("redis://127.0.0.1:1") as client:
                await test(AsyncPredictionCache(client, predict, version_of, ttl=0))

        asyncio.run(inside())

    def threads(self) -> PredictionCache:
        def predict(_model: str, _version: str, rows: Sequence[t.Any]) -> list[dict[str, t.Any]]:
            self.asked.append([row["x"] for row in rows])
            self.begun.set()
            time.sleep(0.5)  # for the others to come
            return self.answer(rows)

        return PredictionCache(connect("redis://127.0.0.1:1"), predict, lambda _model: "1", ttl=0)


async def ask(cache: AsyncPredictionCache, rows: Sequence[t.Any]) -> list[str]:
    try:
        return [str(one.value["y"]) for one in await cache.predict_many("m", rows)]
    except OSError as exc:
        return [str(exc)]


def test_the_bad_row_of_another_request_is_not_mine() -> None:
    model = Model()

    async def test(cache: AsyncPredictionCache) -> None:
        batches = [[GOOD, BAD], [GOOD, BAD], [GOOD], [GOOD], [{"x": 2}, GOOD], [BAD]]
        got = await asyncio.gather(*(ask(cache, batch) for batch in batches))
        assert got == [["not 2 rows"], ["not 2 rows"], ["1"], ["1"], ["1", "1"], ["not 1 rows"]]
        assert model.asked == [[1, "bad"], [2], [1], ["bad"]], "and once for all who ask again"
        assert cache._flying == {}

    model.run(test)


def test_each_asks_once_more_at_most_while_mindsdb_is_down() -> None:
    model = Model()
    model.down = True

    async def test(cache: AsyncPredictionCache) -> None:
        got = await asyncio.gather(*(ask(cache, [GOOD]) for _ in range(50)))
        assert (got, model.asked) == ([["not 1 rows"]] * 50, [[1]]), "equal questions have equal answers"
        model.asked.clear()
        got = await asyncio.gather(*(ask(cache, [{"x": x}, {"x": x + 1}]) for x in range(50)))
        assert all(answer[0].startswith("not ") for answer in got)
        assert len(model.asked) <= 2 * 50
        assert cache._flying == {}

    model.run(test)


def test_who_asks_again_does_not_wait_for_another_bad_row() -> None:
    model = Model()

    async def test(cache: AsyncPredictionCache) -> None:
        model.held = asyncio.Event()
        first = asyncio.create_task(ask(cache, [GOOD, BAD]))
        while not model.asked:
            await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(ask(cache, [GOOD])) for _ in range(3)]
        again: list[asyncio.Task[list[str]]] = []
        seat = next(iter(cache._flying.values()))
        # on its way before those who wait have heard of the failure
        seat.future.add_done_callback(lambda _: again.append(asyncio.create_task(ask(cache, [GOOD, BAD]))))
        await asyncio.sleep(0.05)  # Redis is known to be away: nothing keeps them from getting in line
        model.held.set()
        assert [await task for task in waiting] == [["1"]] * 3
        assert (await first, await again[0]) == (["not 2 rows"], ["not 2 rows"])
        assert model.asked == [[1, "bad"], [1, "bad"], [1]]
        assert cache._flying == {}

    model.run(test)


def test_a_thread_does_not_get_the_failure_of_another_ones_row() -> None:
    model = Model()
    cache = model.threads()

    def wait() -> t.Any:
        model.begun.wait()
        return cache.predict("m", GOOD).value

    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(wait) for _ in range(2)]
        with pytest.raises(OSError, match="not 2 rows"):
            cache.predict_many("m", [GOOD, BAD])
        assert [other.result() for other in others] == [{"y": 1}] * 2
    assert model.asked[0] == [1, "bad"]
    assert cache._flying == {}


def test_threads_share_a_failure_of_equal_rows() -> None:
    model = Model()
    model.down = True
    cache = model.threads()

    def fail(number: int) -> str:
        if number:
            model.begun.wait()
        with pytest.raises(OSError, match="not 1 rows"):
            cache.predict("m", GOOD)
        return "raised"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fail, range(4))) == ["raised"] * 4
    assert model.asked == [[1]]


def test_an_answer_with_endless_marks_is_none() -> None:
    model = Model()
    model.value = "e" + "\u0301" * 5000

    async def test(cache: AsyncPredictionCache) -> None:
        with pytest.raises(BadAnswerError, match="JSON cannot carry: text holds more than 30 combining marks"):
            await cache.predict("m", GOOD)

    model.run(test)
