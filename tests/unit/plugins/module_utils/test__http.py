# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests go where the sockets come from, whatever host the URL names and whatever proxy the node has."""

from __future__ import annotations

import http.server
import socket
import threading
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._http import open_pool


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers what the client said it wants from whom; the path /STATUS answers that status."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.headers['Host']} {self.path}".encode()
        self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: t.Any) -> None:
        pass


@pytest.fixture
def port() -> t.Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_sockets_come_from_whoever_is_asked(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    sockets: list[socket.socket] = []

    def connect() -> socket.socket:
        sockets.append(socket.create_connection(("127.0.0.1", port)))
        return sockets[-1]

    pool = open_pool(connect=connect)
    answers = [pool.request("GET", f"http://minio:9000/{number}/x") for number in range(3)]
    pool.clear()
    assert [answer.data.decode() for answer in answers] == [f"minio:9000 /{number}/x" for number in range(3)]
    assert len(sockets) == 1
    assert sockets[0].gettimeout() is not None


def test_without_connect_the_url_counts(port: int) -> None:
    pool = open_pool()
    assert pool.request("GET", f"http://127.0.0.1:{port}/a").data.decode() == f"127.0.0.1:{port} /a"
    pool.clear()


def test_errors_of_the_socket_come_through() -> None:
    def connect() -> socket.socket:
        raise AirgapError("no pod is ready")

    with pytest.raises(AirgapError, match="no pod is ready"):
        open_pool(connect=connect).request("GET", "http://minio:9000/")


def test_a_refusal_is_an_answer_and_not_tried_again(port: int) -> None:
    pool = open_pool()
    answer = pool.request("GET", f"http://127.0.0.1:{port}/404")
    assert (answer.status, answer.data.decode()) == (404, f"127.0.0.1:{port} /404")
    pool.clear()
