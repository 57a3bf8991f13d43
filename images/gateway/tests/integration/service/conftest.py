"""A gateway with its neighbours, each of which a test can slow, stop or make talk nonsense.

A start takes seconds, so tests share one gateway (`gateway`) unless they stop it or need other settings (`make_gateway`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..conftest import RedisServer, running_redis
from .processes import Gateway, MindsDB

Make = Callable[..., Gateway]


@pytest.fixture(scope="module")
def redis_of_all() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def mindsdb_of_all() -> Iterator[MindsDB]:
    server = MindsDB()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway_of_all(
    tmp_path_factory: pytest.TempPathFactory, redis_of_all: RedisServer, mindsdb_of_all: MindsDB
) -> Iterator[Gateway]:
    """As a site deploys it, with an audit; its database is away, so that what waits for it stays on the volume."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "audit").write_text("postgresql://gateway:x@127.0.0.1:9/audit")
    gateway = make(folder, redis_of_all, mindsdb_of_all, GATEWAY_AUDIT_DATABASE_FILE=str(folder / "audit"))
    yield gateway.start()
    gateway.stop()


@pytest.fixture
def cache(redis_of_all: RedisServer) -> RedisServer:
    with redis_of_all.client() as client:
        client.flushall()
        client.config_set("maxmemory", "0")
    return redis_of_all


@pytest.fixture
def mindsdb(mindsdb_of_all: MindsDB) -> MindsDB:
    mindsdb_of_all.reset()
    return mindsdb_of_all


@pytest.fixture
def gateway(gateway_of_all: Gateway, cache: RedisServer, mindsdb: MindsDB) -> Gateway:
    return gateway_of_all


@pytest.fixture
def make_gateway(tmp_path: Path, cache: RedisServer, mindsdb: MindsDB) -> Iterator[Make]:
    """One of the test's own, not yet started."""
    made: list[Gateway] = []

    def another(**env: str) -> Gateway:
        folder = tmp_path / f"gateway{len(made)}"
        folder.mkdir()
        made.append(make(folder, cache, mindsdb, **env))
        return made[-1]

    yield another
    for gateway in made:
        gateway.end()


def make(folder: Path, cache: RedisServer, mindsdb: MindsDB, **env: str) -> Gateway:
    (folder / "redis-password").write_text(cache.password)
    neighbours = {
        "GATEWAY_REDIS_URL": cache.url,
        "GATEWAY_REDIS_PASSWORD_FILE": str(folder / "redis-password"),
        "GATEWAY_MINDSDB_URL": mindsdb.url,
        "GATEWAY_VERSION_SECONDS": "0.5",
    }
    return Gateway(folder, **neighbours, **env)
