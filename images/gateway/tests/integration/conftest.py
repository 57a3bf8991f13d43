"""Real servers: a Redis that a test starts, fills, stops and locks as it likes, and the PostgreSQL of the run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from mlflow_server import MlflowServer, free_port

READY_SECONDS = 30


@dataclass
class RedisServer:
    """`program` takes its configuration from standard input and stays in the foreground: no password is an argument."""

    program: str
    port: int
    password: str = "a password of this test"
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, **settings: str) -> None:
        self.settings |= settings
        lines = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": '""',
            "requirepass": f'"{self.password}"',
            **self.settings,
        }
        self.process = subprocess.Popen([self.program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{name} {value}\n" for name, value in lines.items()).encode())
        self.process.stdin.close()
        deadline = time.monotonic() + READY_SECONDS
        with self.client() as client:
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                assert self.process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(READY_SECONDS)
            self.process = None

    def client(self) -> redis.Redis:
        client: redis.Redis = redis.Redis(port=self.port, password=self.password)
        return client


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    program = os.environ.get("TEST_REDIS_SERVER") or shutil.which("valkey-server") or shutil.which("redis-server")
    assert program, "no server to test with: set TEST_REDIS_SERVER, or run `make integration`"
    server = RedisServer(program, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="session")
def variables() -> dict[str, t.Any]:
    """What the runner knows of its servers."""
    path = os.environ.get("INTEGRATION_VARIABLES")
    assert path, "no servers to test with: run `make integration`"
    return t.cast(dict[str, t.Any], json.loads(Path(path).read_text()))


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), f"http://127.0.0.1:{free_port()}")
    server.start()
    try:
        yield server
    finally:
        server.stop()
