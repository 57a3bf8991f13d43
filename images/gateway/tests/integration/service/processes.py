"""The gateway as a process of its own, and a MindsDB that misbehaves on demand."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import secrets
import signal
import socketserver
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import yaml
from mlflow_server import free_port

READY_SECONDS = 300  # of a machine that does much else
SOURCE = Path(__file__).parents[3] / "src"
COLUMNS = {"age": "category", "hours": "numeric", "job": "category", "customer": "category"}
POLICY = {
    "name": "income",
    "target": "income",
    "columns": {
        "age": {"action": "generalise", "bins": [0, 25, 35, 45, 55, 65]},
        "hours": "keep",
        "job": "keep",
        "customer": "hash",
        "passport": "drop",
    },
    "audit": {"attributes": ["sex"], "favourable": ">50K"},
}
ROW: dict[str, t.Any] = {
    "age": 39,
    "hours": 40,
    "job": "clerk",
    "customer": "c-4711",
    "sex": "Female",
    "passport": "P998877",
    "note": "Jane Roe",
}
RAW = (b"c-4711", b"Female", b"P998877", b"Jane Roe")  # what no policy lets through


def wait_for(ready: Callable[[], object], what: str, seconds: float = READY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class MindsDB:
    """Speaks the few paths that the gateway asks. `predict` makes the answer of a prediction out of its rows."""

    def __init__(self) -> None:
        self.version = 1
        self.made = "first"  # when the model was made: another one after DROP and CREATE
        self.seconds = 0.0
        self.port = free_port()
        self.rows: list[dict[str, t.Any]] = []
        self.session = "first"
        self.predict: Callable[[list[dict[str, t.Any]]], t.Any] = self._answer
        self._server: socketserver.BaseServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, answer, headers = outer.answer(self.path, self.headers.get("cookie", ""), body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in {**headers, "content-length": str(len(data))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, *_args: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self) -> None:
        """As at the start, with nothing asked; a version that was made stays."""
        self.seconds = 0.0
        self.rows = []
        self.predict = self._answer
        if self._server is None:
            self.start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self.session = secrets.token_hex(4)  # sessions do not outlive it, and old connections must log in again

    def answer(self, path: str, cookie: str, body: bytes) -> tuple[int, t.Any, dict[str, str]]:
        if self._server is None:
            return 503, {}, {"connection": "close"}
        if path == "/api/login":
            good = json.loads(body) == {"username": "user", "password": "pass"}
            return (200, {}, {"set-cookie": f"session={self.session}; Path=/"}) if good else (401, {}, {})
        if path == "/api/util/ping":
            return 200, {}, {}
        if f"session={self.session}" not in cookie:
            return 401, {}, {}
        model = "/api/projects/mindsdb/models/income"
        if path == model:
            found = {"version": self.version, "status": "complete", "id": self.version, "created_at": self.made}
            return 200, found, {}
        name, _, action = path.removeprefix(model + ".").partition("/")
        if action == "describe":
            columns = json.dumps([{"name": column, "type": kind} for column, kind in COLUMNS.items()])
            row = {"mlflow_model": "income", "mlflow_version": name, "run_id": f"run{name}", "columns": columns}
            return 200, [row], {}
        if action == "predict":
            time.sleep(self.seconds)
            rows = json.loads(body)["data"]
            self.rows += rows
            answer = self.predict(rows)
            return answer if isinstance(answer, tuple) else (200, answer, {})
        return 404, {}, {}

    def _answer(self, rows: list[dict[str, t.Any]]) -> t.Any:
        return [{**row, "income": f">{row['hours']}K by {self.version}"} for row in rows]


class Gateway:
    """`python -m gateway serve` on a folder of its own, which outlives the process."""

    key = "key-of-the-test-client"

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "gateway.log"
        self.volume = folder / "volume"
        self.keys = folder / "keys"
        self.process: subprocess.Popen[bytes] | None = None
        for path in (self.volume, self.keys):
            path.mkdir()
        (self.keys / "tests").write_text(self.key)
        self.policies({})
        files = {"site-key": secrets.token_hex(32), "user": "user", "password": "pass"}
        for name, text in files.items():
            (folder / name).write_text(text)
        self.env = {
            "PYTHONPATH": str(SOURCE),
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_MODELS": str(folder / "models.yml"),
            "GATEWAY_KEYS_DIR": str(self.keys),
            "GATEWAY_SITE_KEY_FILE": str(folder / "site-key"),
            "GATEWAY_VOLUME": str(self.volume),
            "GATEWAY_MINDSDB_USERNAME_FILE": str(folder / "user"),
            "GATEWAY_MINDSDB_PASSWORD_FILE": str(folder / "password"),
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # nobody listens there, unless the test says otherwise
            "GATEWAY_RESERVE_BYTES": "1000",
            **env,
        }

    def policies(self, changes: dict[str, t.Any]) -> None:
        (self.folder / "models.yml").write_text(yaml.safe_dump([{**POLICY, **changes}]))

    def start(self, **env: str) -> Gateway:
        self.env |= env
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "gateway", "serve"]
            self.process = subprocess.Popen(command, env={**os.environ, **self.env}, stdout=log, stderr=log)
        try:
            wait_for(self._ready, "the gateway did not start")
        except BaseException:
            self.end()
            raise
        return self

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(sig)
        code = self.process.wait(60)
        self.process = None
        return code

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def client(self, **options: t.Any) -> Iterator[httpx.Client]:
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60, trust_env=False, **options
        ) as client:
            yield client

    def predict(self, *rows: dict[str, t.Any], model: str = "income") -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/predictions", json={"model": model, "rows": list(rows)})

    def get(self, path: str) -> httpx.Response:
        with self.client() as client:
            return client.get(path)

    def metric(self, line: str) -> float:
        found = [text for text in self.get("/metrics").text.splitlines() if text.startswith(line + " ")]
        return float(found[0].split()[-1]) if found else 0.0

    def _ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2, trust_env=False).status_code == 200
        return False
