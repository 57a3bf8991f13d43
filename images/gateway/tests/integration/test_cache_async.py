"""The same cache for asyncio, against a real server. What differs is the waiting: callers go away, and others wait on."""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing as t
from collections.abc import Awaitable, Callable, Sequence

import pytest
import redis

from gateway import AsyncPredictionCache, PredictionCache, connect, connect_async
from gateway.cache import BadAnswerError
from gateway.kept_connections import KeptConnections
from gateway.store import AsyncCacheStore, CacheUnavailable

from .conftest import RedisServer

Test = Callable[[AsyncPredictionCache], Awaitable[None]]


class Model:
    def __init__(self, *, kept: bool) -> None:
        self.kept = kept
        self.version = "1"
        self.asked: list[list[t.Any]] = []
        self.seconds = 0.0
        self.error: Exception | None = None
        self.answer: Callable[[Sequence[t.Any]], t.Any] = lambda rows: [
            {"y": row["x"], "by": self.version} for row in rows
        ]

    async def __call__(self, model: str, version: str, rows: Sequence[t.Any]) -> t.Any:
        self.asked.append([row["x"] for row in rows])
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.answer(rows)

    async def version_of(self, _model: str) -> str:
        return self.version

    def run(self, server: RedisServer, test: Test, **more: t.Any) -> None:
        async def inside() -> None:
            password = more.pop("password", server.password)
            client = connect_async(server.url, password=password, timeout=more.pop("timeout", 2.0))
            async with client:
                store = AsyncCacheStore(client, read=KeptConnections(client).getrange if self.kept else None)
                await test(AsyncPredictionCache(store, self, self.version_of, **more))

        asyncio.run(inside())


@pytest.fixture(params=[False, True], ids=["the client's connections", "kept connections"])
def model(request: pytest.FixtureRequest) -> Model:
    return Model(kept=request.param)


def test_asked_once_then_answered_from_redis_by_both_kinds(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        first, second = await cache.predict("m", {"x": 1}), await cache.predict("m", {"x": 1.0})
        assert (first.value, first.version, first.cached, first.warning) == ({"y": 1, "by": "1"}, "1", False, None)
        assert (second.value, second.cached, second.key) == (first.value, True, first.key)

    model.run(redis_server, test)
    threads = PredictionCache(connect(redis_server.url, password=redis_server.password), lambda *_: [], lambda _: "1")
    assert threads.predict("m", {"x": 1}).cached
    assert model.asked == [[1]]


def test_a_batch_and_a_version_that_is_named(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        await cache.predict("m", {"x": 2})
        got = await cache.predict_many("m", [{"x": x} for x in (3, 2, 3, 1)])
        assert [(p.value["y"], p.cached) for p in got] == [(3, False), (2, True), (3, False), (1, False)]
        assert model.asked == [[2], [3, 1]]
        assert await cache.predict_many("m", []) == []
        other = await cache.predict_many("m", [{"x": 2}], version="2")
        assert (other[0].version, other[0].cached) == ("2", False)
        model.version = "2"
        assert (await cache.predict("m", {"x": 2})).cached

    model.run(redis_server, test)


def test_equal_questions_at_one_time_are_asked_once(redis_server: RedisServer, model: Model) -> None:
    model.seconds = 0.2

    async def test(cache: AsyncPredictionCache) -> None:
        batches = [cache.predict_many("m", [{"x": n % 3}, {"x": 7}]) for n in range(200)]
        got = await asyncio.gather(*batches)
        assert [[p.value["y"] for p in answer] for answer in got] == [[n % 3, 7] for n in range(200)]
        assert sorted(x for batch in model.asked for x in batch) == [0, 1, 2, 7]
        assert cache._flying == {}

    model.run(redis_server, test)


def test_what_is_cached_does_not_wait_for_what_is_not(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        await cache.predict("m", {"x": 1})
        model.seconds = 1.0
        slow = asyncio.create_task(cache.predict_many("m", [{"x": 1}, {"x": 2}]))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        assert (await cache.predict("m", {"x": 1})).cached
        assert time.monotonic() - started < 0.5
        await slow

    model.run(redis_server, test)


def test_a_caller_that_goes_away_takes_nobody_with_him(redis_server: RedisServer, model: Model) -> None:
    model.seconds = 0.3

    async def test(cache: AsyncPredictionCache) -> None:
        first = asyncio.create_task(cache.predict("m", {"x": 1}))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(cache.predict("m", {"x": 1}))
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await second).value["y"] == 1
        # nobody waits any more: the answer is kept for the next one
        alone = asyncio.create_task(cache.predict("m", {"x": 2}))
        await asyncio.sleep(0.1)
        alone.cancel()
        await asyncio.sleep(0.4)
        assert (await cache.predict("m", {"x": 2})).cached
        assert model.asked == [[1], [2]]

    model.run(redis_server, test)


def test_an_error_reaches_all_who_wait_and_is_not_kept(redis_server: RedisServer, model: Model) -> None:
    model.seconds, model.error = 0.1, OSError("MindsDB is down")

    async def test(cache: AsyncPredictionCache) -> None:
        got = await asyncio.gather(*(cache.predict("m", {"x": 1}) for _ in range(5)), return_exceptions=True)
        assert [str(error) for error in got] == ["MindsDB is down"] * 5
        model.error = None
        assert (await cache.predict("m", {"x": 1})).value["y"] == 1
        assert model.asked == [[1], [1]]
        # nobody is left to take this one: asyncio must not complain of it (warnings are errors here)
        model.error = OSError("again")
        alone = asyncio.create_task(cache.predict("m", {"x": 2}))
        await asyncio.sleep(0.02)
        alone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await alone
        await asyncio.sleep(0.2)

    model.run(redis_server, test)


def test_nonsense_is_no_prediction(redis_server: RedisServer, model: Model) -> None:
    model.answer = lambda rows: [{"y": float("inf")}]

    async def test(cache: AsyncPredictionCache) -> None:
        with pytest.raises(BadAnswerError, match="JSON cannot carry"):
            await cache.predict("m", {"x": 1})

    model.run(redis_server, test)


def test_without_redis_it_predicts_and_says_so(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        await cache.predict("m", {"x": 1})
        await asyncio.to_thread(redis_server.stop)
        for _ in range(3):
            got = await cache.predict("m", {"x": 1})
            assert (got.value["y"], got.cached, got.warning) == (1, False, "Redis cannot be reached")
        await asyncio.to_thread(redis_server.start)
        await asyncio.sleep(0.5)
        assert [(await cache.predict("m", {"x": 1})).cached for _ in range(2)] == [False, True]

    model.run(redis_server, test, retry_after=0.5)


def test_a_redis_that_hangs_is_waited_for_once(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        with redis_server.client() as client:
            client.client_pause(3_000)
        started = time.monotonic()
        got = [await cache.predict("m", {"x": x}) for x in range(20)]
        assert time.monotonic() - started < 1.5
        assert {p.warning for p in got} == {"Redis did not answer in time"}

    model.run(redis_server, test, timeout=0.3)


def test_a_wrong_password_is_no_cache(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        got = await cache.predict("m", {"x": 1})
        assert (got.value["y"], got.cached, got.warning) == (1, False, "Redis refused the password or user")

    model.run(redis_server, test, password="wrong")


def test_a_full_redis_answers_what_it_has(redis_server: RedisServer, model: Model) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        await cache.predict("m", {"x": 1})
        with redis_server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "100kb")
        known, new = await cache.predict("m", {"x": 1}), await cache.predict("m", {"x": 2})
        assert (known.cached, known.warning) == (True, None)
        assert (new.cached, new.warning) == (False, "Redis is full and takes no new entries (maxmemory)")

    model.run(redis_server, test)


def test_the_store_alone(redis_server: RedisServer) -> None:
    async def inside() -> None:
        async with connect_async(redis_server.url, password=redis_server.password) as client:
            store = AsyncCacheStore(client)
            await store.ping()
            assert await store.get_many([]) == []
            await store.put_many({}, 10)
            await asyncio.to_thread(redis_server.stop)
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await store.ping()
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await store.get_many(["x"])

    asyncio.run(inside())


def test_kept_connections_that_redis_closed_are_made_anew(redis_server: RedisServer) -> None:
    async def test(cache: AsyncPredictionCache) -> None:
        rows = [{"x": x} for x in range(5)]
        await cache.predict_many("m", rows)
        for _ in range(2):
            got = await asyncio.gather(*(cache.predict("m", row) for row in rows))
            assert [(p.cached, p.warning) for p in got] == [(True, None)] * 5
            with redis_server.client() as client:
                client.client_kill_filter(_type="normal", skipme=True)
        assert (await cache.predict("m", rows[0])).cached

    Model(kept=True).run(redis_server, test)


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(redis_server: RedisServer) -> None:
    async def inside() -> None:
        async with connect_async(redis_server.url, password=redis_server.password) as client:
            kept = KeptConnections(client)
            await client.mset({"a": "1", "b": "2"})
            assert await kept.getrange("a", 10) == b"1"
            for _ in range(3):
                with redis_server.client() as other:
                    other.client_pause(300)
                stopped = asyncio.create_task(kept.getrange("a", 10))
                await asyncio.sleep(0.1)
                stopped.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await stopped
                assert await kept.getrange("b", 10) == b"2"
            assert len(client.connection_pool._in_use_connections) == 1, "those that failed are back in the pool"
            started = time.monotonic()
            with redis_server.client() as other:
                other.client_kill_filter(_type="normal", skipme=True)
            assert await kept.getrange("a", 10) == b"1"
            assert time.monotonic() - started < 0.5
            with redis_server.client() as other:
                other.lpush("list", "x")
            assert isinstance(await kept.getrange("list", 10), redis.ResponseError)
            assert await kept.getrange("a", 10) == b"1"

    asyncio.run(inside())
