"""MLflow's own server, which a test may stop and start again: what it stores is in its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

__all__ = ("MlflowServer", "free_port")

SECONDS = 300  # its first start makes 65 tables, and the machine may do much else
SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class MlflowServer:
    folder: Path
    url: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        host, port = self.url.removeprefix("http://").split(":")
        stores = [
            f"--backend-store-uri=sqlite:///{self.folder}/mlflow.db",
            f"--artifacts-destination={self.folder}/artifacts",
        ]
        command = [sys.executable, "-m", "mlflow", "server", *stores, f"--host={host}", f"--port={port}", "--workers=1"]
        with (self.folder / "log").open("ab") as log:
            # a session of its own: it starts a worker, which must end with it
            self.process = subprocess.Popen(
                command, env={**os.environ, **SETTINGS}, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._ready():
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"MLflow did not start: see {self.folder}/log"
            time.sleep(0.2)

    def _ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
        return False
