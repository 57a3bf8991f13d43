"""Real servers: a Redis that a test starts, fills, stops and locks as it likes, and the PostgreSQL of the run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

READY_SECONDS = 30
MLFLOW_SECONDS = 180  # its first start makes 65 tables


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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    program = os.environ.get("TEST_REDIS_SERVER") or shutil.which("valkey-server") or shutil.which("redis-server")
    assert program, "no server to test with: set TEST_REDIS_SERVER, or run `make integration`"
    server = RedisServer(program, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def variables() -> dict[str, t.Any]:
    """What the runner knows of its servers."""
    path = os.environ.get("INTEGRATION_VARIABLES")
    assert path, "no servers to test with: run `make integration`"
    return t.cast(dict[str, t.Any], json.loads(Path(path).read_text()))


@dataclass
class MlflowServer:
    """MLflow's own server, which a test may stop and start again: what it stores is in its folder."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        settings = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        stores = [
            "--backend-store-uri",
            f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination",
            f"{self.folder}/artifacts",
        ]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *stores, *address],
                env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + MLFLOW_SECONDS
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "MLflow did not start"
            time.sleep(0.3)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)  # its workers too
            self.process.wait(READY_SECONDS)
            self.process = None


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
