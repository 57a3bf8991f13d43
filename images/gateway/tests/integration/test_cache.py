"""The cache for threads, against a real server: asked once, never wrong, and no worse than none when Redis is gone."""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway import PredictionCache, connect
from gateway.cache import BadAnswerError
from gateway.canonical import prediction_key
from gateway.entry import MAX_ENTRY_BYTES, Entry
from gateway.store import CacheStore, CacheUnavailable

from .conftest import RedisServer


class Model:
    """What is asked when the cache does not know, and how often it was."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.version = "1"
        self.asked: list[list[t.Any]] = []
        self.seconds = seconds
        self.error: BaseException | None = None
        self.answer: t.Callable[[Sequence[t.Any]], t.Any] = lambda rows: [
            {"y": row["x"], "by": self.version} for row in rows
        ]

    def __call__(self, model: str, version: str, rows: Sequence[t.Any]) -> t.Any:
        assert version == self.version
        self.asked.append([row["x"] for row in rows])
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.answer(rows)

    def cache(self, server: RedisServer, **more: t.Any) -> PredictionCache:
        client = connect(server.url, password=more.pop("password", server.password), timeout=more.pop("timeout", 2.0))
        return PredictionCache(client, self, lambda _model: self.version, **more)


def test_asked_once_then_answered_from_redis(redis_server: RedisServer) -> None:
    model = Model()
    cache = model.cache(redis_server)
    first, second = cache.predict("m", {"x": 1}), cache.predict("m", {"x": 1.0})
    assert (first.value, first.version, first.cached, first.warning) == ({"y": 1, "by": "1"}, "1", False, None)
    assert (second.value, second.version, second.cached, second.warning) == (first.value, "1", True, None)
    assert first.key == second.key == prediction_key("m", "1", {"x": 1})
    # another process, another client: the same entry
    assert model.cache(redis_server).predict("m", {"x": 1}).cached
    assert model.asked == [[1]]


def test_the_row_is_in_the_entry_by_its_digest_only(redis_server: RedisServer) -> None:
    model = Model()
    model.answer = lambda rows: [{"y": 1} for _ in rows]
    model.cache(redis_server, anonymise=lambda _m, row: {"x": row["x"][:1]}).predict(
        "m", {"x": "secret", "name": "Ada"}
    )
    with redis_server.client() as client:
        keys = client.keys("*")
        assert keys == [prediction_key("m", "1", {"x": "s"}).encode()]
        entry: t.Any = client.get(keys[0])
        assert entry[64:] == b'{"format":2,"model":"m","version":"1","output":{"y":1}}'
    assert model.asked == [["s"]]


def test_a_batch_asks_for_what_is_missing_once_each_and_keeps_its_order(redis_server: RedisServer) -> None:
    model = Model()
    cache = model.cache(redis_server)
    cache.predict("m", {"x": 2})
    got = cache.predict_many("m", [{"x": x} for x in (3, 2, 3, 1, 2)])
    assert [p.value["y"] for p in got] == [3, 2, 3, 1, 2]
    assert [p.cached for p in got] == [False, True, False, False, True]
    assert model.asked == [[2], [3, 1]]
    assert cache.predict_many("m", []) == []


def test_entries_end_and_not_all_together(redis_server: RedisServer) -> None:
    model = Model()
    model.cache(redis_server, ttl=100).predict_many("m", [{"x": x} for x in range(50)])
    with redis_server.client() as client:
        lives = [client.pttl(key) for key in client.keys("*")]
    assert 80_000 < min(lives) < max(lives) <= 110_000
    assert len(set(lives)) > 30
    short = model.cache(redis_server, ttl=lambda name: {"short": 0.1}[name])
    assert not short.predict("short", {"x": 1}).cached
    time.sleep(0.2)
    assert not short.predict("short", {"x": 1}).cached


def test_no_time_to_live_is_no_cache(redis_server: RedisServer) -> None:
    model = Model()
    cache = model.cache(redis_server, ttl=0)
    assert [cache.predict("m", {"x": 1}).cached for _ in range(2)] == [False, False]
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_a_new_version_never_answers_from_old_entries(redis_server: RedisServer) -> None:
    model = Model()
    cache = model.cache(redis_server)
    cache.predict("m", {"x": 1})
    model.version = "2"
    new = cache.predict("m", {"x": 1})
    assert (new.value, new.version, new.cached) == ({"y": 1, "by": "2"}, "2", False)
    with redis_server.client() as client:  # nor when somebody copies the old entry to the new key
        client.copy(prediction_key("m", "1", {"x": 2}), prediction_key("m", "2", {"x": 2}))
        client.copy(prediction_key("m", "1", {"x": 1}), prediction_key("m", "2", {"x": 1}), replace=True)
    assert cache.predict("m", {"x": 1}).value == {"y": 1, "by": "2"}
    assert not cache.predict("other", {"x": 1}).cached
    model.version = "1"
    assert cache.predict("m", {"x": 1}).cached, "the old one is askable as before"


POISON = [
    pytest.param(lambda client, key: client.set(key, b"\x80\x04}."), id="pickle"),
    pytest.param(
        lambda client, key: client.set(key, b'{"format":1,"model":"m","version":"1","output":{"y":9}}'), id="old format"
    ),
    pytest.param(lambda client, key: client.set(key, Entry("m", "1", {"y": 9}).encode("x")), id="of another row"),
    pytest.param(lambda client, key: client.set(key, b" " * 50_000_000), id="50 MB"),
    pytest.param(lambda client, key: client.rpush(key, b"x"), id="list"),
    pytest.param(lambda client, key: client.hset(key, "x", "y"), id="hash"),
]


@pytest.mark.parametrize("poison", POISON)
def test_poison_is_ignored_and_replaced(redis_server: RedisServer, poison: t.Callable[[t.Any, str], object]) -> None:
    model = Model()
    cache = model.cache(redis_server)
    with redis_server.client() as client:
        poison(client, prediction_key("m", "1", {"x": 1}))
        cache.predict("m", {"x": 2})
        before = client.info("stats")["total_net_output_bytes"]
        got = cache.predict_many("m", [{"x": 1}, {"x": 2}])
        after = client.info("stats")["total_net_output_bytes"]
    assert [(p.value["y"], p.cached, p.warning) for p in got] == [(1, False, None), (2, True, None)]
    assert after - before < 4 * MAX_ENTRY_BYTES, "what is no entry is not fetched to its end"
    assert cache.predict("m", {"x": 1}).cached


def test_with_a_secret_only_those_who_have_it_make_entries(redis_server: RedisServer) -> None:
    model = Model()

    def cache(secret: bytes) -> PredictionCache:
        client = connect(redis_server.url, password=redis_server.password)
        return PredictionCache(CacheStore(client, secret), model, lambda _model: "1")

    with redis_server.client() as client:
        key = prediction_key("m", "1", {"x": 1})
        client.set(key, Entry("m", "1", {"y": "forged"}).encode(key))
    assert [cache(b"a secret").predict("m", {"x": 1}).value["y"] for _ in range(2)] == [1, 1]
    assert model.asked == [[1]]
    assert cache(b"a secret").predict("m", {"x": 1}).cached
    assert not cache(b"another").predict("m", {"x": 1}).cached


def test_what_is_too_large_for_the_cache_is_answered_all_the_same(redis_server: RedisServer) -> None:
    model = Model()
    model.answer = lambda rows: [{"y": "x" * MAX_ENTRY_BYTES} for _ in rows]
    cache = model.cache(redis_server)
    assert [cache.predict("m", {"x": 1}).cached for _ in range(2)] == [False, False]
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_equal_questions_at_one_time_are_asked_once(redis_server: RedisServer) -> None:
    model = Model(seconds=0.3)
    cache = model.cache(redis_server)
    gate = threading.Barrier(32)

    def ask(x: int) -> t.Any:
        gate.wait()
        return cache.predict_many("m", [{"x": x % 2}, {"x": 7}])

    with ThreadPoolExecutor(32) as pool:
        got = list(pool.map(ask, range(32)))
    assert [[p.value["y"] for p in answer] for answer in got] == [[x % 2, 7] for x in range(32)]
    assert sorted(x for batch in model.asked for x in batch) == [0, 1, 7]
    assert cache._flying == {}


def test_an_error_reaches_all_who_wait_and_is_not_kept(redis_server: RedisServer) -> None:
    model = Model(seconds=0.3)
    model.error = OSError("MindsDB is down")
    cache = model.cache(redis_server)
    gate = threading.Barrier(8)

    def ask(_: int) -> str:
        gate.wait()
        with pytest.raises(OSError, match="MindsDB is down"):
            cache.predict("m", {"x": 1})
        return "raised"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == ["raised"] * 8
    assert model.asked == [[1]]
    model.error = None
    assert cache.predict("m", {"x": 1}).value["y"] == 1


def test_who_is_stopped_while_asking_takes_nobody_with_him(redis_server: RedisServer) -> None:
    model = Model(seconds=0.3)
    model.error = KeyboardInterrupt()
    cache = model.cache(redis_server)
    got: list[t.Any] = []

    def wait() -> None:
        time.sleep(0.1)
        got.append(cache.predict("m", {"x": 1}))

    waiter = threading.Thread(target=wait)
    waiter.start()
    with pytest.raises(KeyboardInterrupt):
        cache.predict("m", {"x": 1})
    model.error = None
    waiter.join()
    assert (got[0].value["y"], model.asked) == (1, [[1], [1]])


BAD = [
    pytest.param(lambda rows: [], "0 answers for 1 rows", id="too few"),
    pytest.param(lambda rows: [{}, {}], "2 answers for 1 rows", id="too many"),
    pytest.param(lambda rows: [5], "no mapping", id="a number"),
    pytest.param(lambda rows: [{"y": float("nan")}], "JSON cannot carry", id="nan"),
    pytest.param(lambda rows: [{"y": b"x"}], "JSON cannot carry", id="bytes"),
]


@pytest.mark.parametrize(("answer", "why"), BAD)
def test_nonsense_is_no_prediction(redis_server: RedisServer, answer: t.Callable[[t.Any], t.Any], why: str) -> None:
    model = Model()
    model.answer = answer
    with pytest.raises(BadAnswerError, match=why):
        model.cache(redis_server).predict("m", {"x": 1})
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_without_redis_it_predicts_and_says_so(redis_server: RedisServer) -> None:
    model = Model()
    cache = model.cache(redis_server, retry_after=0.5)
    cache.predict("m", {"x": 1})
    redis_server.stop()
    for _ in range(3):
        got = cache.predict("m", {"x": 1})
        assert (got.value["y"], got.cached, got.warning) == (1, False, "Redis cannot be reached")
    redis_server.start()
    time.sleep(0.5)
    assert [cache.predict("m", {"x": 1}).cached for _ in range(2)] == [False, True]
    assert cache.predict("m", {"x": 1}).warning is None


def test_a_redis_that_hangs_is_waited_for_once(redis_server: RedisServer) -> None:
    model = Model()
    cache = model.cache(redis_server, timeout=0.3)
    with redis_server.client() as client:
        client.client_pause(3_000)
    started = time.monotonic()
    got = [cache.predict("m", {"x": x}) for x in range(20)]
    assert time.monotonic() - started < 1.5
    assert {p.warning for p in got} == {"Redis did not answer in time"}


def test_a_wrong_password_is_no_cache(redis_server: RedisServer) -> None:
    model = Model()
    for wrong in ("wrong", None):
        cache = model.cache(redis_server, password=wrong)
        got = cache.predict("m", {"x": 1})
        assert (got.value["y"], got.cached, got.warning) == (1, False, "Redis refused the password or user")


def test_a_full_redis_answers_what_it_has(redis_server: RedisServer) -> None:
    redis_server.stop()
    redis_server.start(maxmemory="3mb", **{"maxmemory-policy": "noeviction"})
    model = Model()
    cache = model.cache(redis_server)
    cache.predict("m", {"x": 1})
    with redis_server.client() as client:
        client.config_set("maxmemory", "1mb")
    known, new = cache.predict("m", {"x": 1}), cache.predict("m", {"x": 2})
    assert (known.cached, known.warning) == (True, None)
    assert (new.value["y"], new.cached, new.warning) == (2, False, "Redis is full and takes no new entries (maxmemory)")
    assert cache.predict("m", {"x": 1}).cached, "and goes on to"
    with redis_server.client() as client:
        client.config_set("maxmemory", "100mb")
    assert [cache.predict("m", {"x": 3}).warning for _ in range(2)] == [None, None]


def test_a_redis_whose_user_may_do_nothing(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.acl_setuser("default", commands=["-get", "-getrange", "-set"])
    model = Model()
    assert model.cache(redis_server).predict("m", {"x": 1}).warning == "Redis refused the password or user"


def test_the_store_alone(redis_server: RedisServer) -> None:
    store = CacheStore(connect(redis_server.url, password=redis_server.password))
    store.ping()
    assert store.get_many([]) == []
    store.put_many({}, 10)
    redis_server.stop()
    for call in (store.ping, lambda: store.get_many(["x"])):
        with pytest.raises(CacheUnavailable, match="cannot be reached"):
            call()
