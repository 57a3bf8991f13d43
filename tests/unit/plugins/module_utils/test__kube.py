# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils import _kube
from ansible_collections.airgap.mlops.plugins.module_utils._kube import (
    KubeClient,
    KubeError,
    api_path,
    read_secret,
)
from ansible_collections.airgap.mlops.plugins.module_utils._kubeconfig import Login

Answer = tuple[int, t.Any, dict[str, str]]


class Server:
    """Answers in the order given, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.clients: list[KubeClient] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                server.asked.append((self.command, self.path, dict(self.headers), body))
                status, content, headers = server.answers.pop(0)
                if status == 0:
                    self.close_connection = True
                    return
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status, "Reason")
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *args: t.Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def client(self) -> KubeClient:
        host, port = self.http.server_address[:2]
        self.clients.append(KubeClient(Login(str(host), port, "", "localhost", "secret-token", None)))
        return self.clients[-1]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Server]:
    monkeypatch.setattr(_kube, "_WAITS", (0.0, 0.0))
    made = Server()
    yield made
    for client in made.clients:
        client.close()
    made.http.shutdown()
    made.http.server_close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (api_path("v1", "nodes"), "/api/v1/nodes"),
        (api_path("v1", "pods", "mlops", "a", "log"), "/api/v1/namespaces/mlops/pods/a/log"),
        (api_path("apps/v1", "deployments", "mlops"), "/apis/apps/v1/namespaces/mlops/deployments"),
        (api_path("v1", "secrets", "../x", "a b"), "/api/v1/namespaces/..%2Fx/secrets/a%20b"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert path == expected


def test_requests_say_who_asks_and_what_they_send(server: Server) -> None:
    server.answers = [(200, {"a": 1}, {}), (200, {}, {}), (200, {}, {}), (200, b"line\xff\n", {})]
    client = server.client()
    assert client.request("GET", "/x", doing="look", query={"a": "b c"}) == {"a": 1}
    client.request("PATCH", "/x", doing="patch", body={"b": 2})
    client.apply("/x", doing="apply", query={}, body={"c": 3})
    assert client.text("/log", doing="read") == "line\ufffd\n"
    kinds = [headers.get("Content-Type") for _method, _path, headers, _body in server.asked]
    assert kinds == [None, "application/merge-patch+json", "application/apply-patch+yaml", None]
    assert [(method, path, body) for method, path, _headers, body in server.asked] == [
        ("GET", "/x?a=b+c", b""),
        ("PATCH", "/x", b'{"b": 2}'),
        ("PATCH", "/x", b'{"c": 3}'),
        ("GET", "/log", b""),
    ]
    assert {headers["Authorization"] for _method, _path, headers, _body in server.asked} == {"Bearer secret-token"}


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (403, {"message": "pods is forbidden"}, "403 pods is forbidden$"),
        (500, b"not json", "500 Reason$"),
        (500, [], "500 Reason$"),
        (200, b"<html>", "no JSON: b'<html>'$"),
    ],
)
def test_refusals_say_what_was_being_done(server: Server, status: int, content: t.Any, message: str) -> None:
    server.answers = [(status, content, {})]
    with pytest.raises(KubeError, match="^Cannot read it: .*" + message) as caught:
        server.client().request("GET", "/x", doing="read it")
    assert caught.value.status == (status if status != 200 else 0)


def test_what_is_not_there_is_none(server: Server) -> None:
    server.answers = [(404, {"message": "not found"}, {})]
    assert server.client().find("/x", doing="look") is None


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.answers = [(503, {}, {}), (429, {}, {}), (200, {"a": 1}, {})]
    assert server.client().request("POST", "/x", doing="write", body={}) == {"a": 1}
    server.answers = [(503, {}, {})] * 3
    with pytest.raises(KubeError, match="^Cannot write: the API server answers 503"):
        server.client().request("POST", "/x", doing="write", body={})


def test_a_lost_connection_is_made_anew_for_reading_alone(server: Server) -> None:
    server.answers = [(0, {}, {}), (200, {"a": 1}, {})]
    assert server.client().request("GET", "/x", doing="look") == {"a": 1}
    server.answers = [(0, {}, {})]
    with pytest.raises(
        KubeError, match=r"^Cannot write: the API server cannot be reached \(.*Check that k3s is running"
    ):
        server.client().request("POST", "/x", doing="write", body={})


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    client = KubeClient(Login("127.0.0.1", 1, "", "localhost", "", None))
    with pytest.raises(KubeError, match="^Cannot look: the API server cannot be reached .*refused"):
        client.request("GET", "/x", doing="look")


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    for name in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answers = [(200, {}, {})]
    assert server.client().request("GET", "/x", doing="look") == {}


def test_warnings_of_the_server_are_kept_once(server: Server) -> None:
    warning = {"Warning": r'299 - "would violate PodSecurity \"restricted:latest\""'}
    server.answers = [(200, {}, warning), (200, {}, warning)]
    client = server.client()
    for _time in range(2):
        client.request("GET", "/x", doing="look")
    assert list(client.warnings) == ['would violate PodSecurity "restricted:latest"']


def secret(data: t.Any) -> Answer:
    return 200, {"metadata": {"name": "a"}, **({"data": data} if data is not None else {})}, {}


def test_read_secret_decodes(server: Server) -> None:
    server.answers = [secret({"password": base64.b64encode("ä".encode()).decode()}), secret(None)]
    assert read_secret(server.client(), "mlops", "a") == {"password": "ä"}
    assert read_secret(server.client(), "mlops", "empty") == {}


@pytest.mark.parametrize("data", [{"k": "/w=="}, {"k": "%"}])
def test_read_secret_never_shows_what_it_cannot_decode(server: Server, data: dict[str, str]) -> None:
    server.answers = [secret(data)]
    with pytest.raises(KubeError, match="key k of secret mlops/a is not UTF-8 text") as caught:
        read_secret(server.client(), "mlops", "a")
    assert caught.value.__cause__ is None


def test_read_secret_that_is_not_there(server: Server) -> None:
    server.answers = [(404, {}, {})]
    with pytest.raises(KubeError, match="secret mlops/b does not exist"):
        read_secret(server.client(), "mlops", "b")
