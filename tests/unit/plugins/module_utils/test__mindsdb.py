# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How logging in, refusals and answers that are none come through. What MindsDB does is tested on a real one (molecule)."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import (
    Credentials,
    MindsdbRefused,
    MindsdbUnreachable,
    open_server,
    path,
)

LOGIN = {"login_user": "data", "login_password": "s3cr3t"}


class Door(http.server.BaseHTTPRequestHandler):
    """MindsDB's door, in the words of 26.1.0: what a login gives is good for as many questions as `lives` says."""

    protocol_version = "HTTP/1.1"
    lives = 99
    cookies = True  # with http_auth_type token there are none
    tokens: t.ClassVar[list[str]] = []
    asked: t.ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append(f"{self.command} {self.path}")
        if self.path == "/api/login":
            return self._login(json.loads(body))
        token = self.tokens[-1] if self.tokens else ""
        known = (
            self.headers.get("Cookie") == f"session={token}" or self.headers.get("Authorization") == f"Bearer {token}"
        )
        if not known or not type(self).lives:
            type(self).lives = 99
            return self._send(401, b'{"title": "Unauthorized", "detail": "Authorization is required"}')
        type(self).lives -= 1
        answers = {
            "/api/databases/": (200, b"[]"),
            "/api/gone": (404, b'{"detail": "not there"}'),
            "/api/page": (200, b"<html>"),
            "/api/broken": (400, b'{"title": "Connection error", "detail": "no route to host"}'),
            "/api/sql/query": (200, json.dumps(_rows(json.loads(body or b"{}"))).encode()),
        }
        return self._send(*answers[self.path])

    def _login(self, given: dict[str, str]) -> None:
        if given != {"username": "data", "password": "s3cr3t"}:
            return self._send(401, b'{"title": "Forbidden", "detail": "Invalid username or password"}')
        self.tokens.append(f"pat_{len(self.tokens)}")
        cookie = f"session={self.tokens[-1]}; HttpOnly; Path=/" if self.cookies else ""
        return self._send(200, json.dumps({"token": self.tokens[-1]}).encode(), cookie)

    def _send(self, status: int, body: bytes, cookie: str = "") -> None:
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: t.Any) -> None:
        pass


def _rows(body: dict[str, t.Any]) -> dict[str, t.Any]:
    if body.get("query") == "SELECT bad":
        return {"type": "error", "error_message": " unknown column \n"}
    if body.get("query") == "DROP":
        return {"type": "ok"}
    return {"type": "table", "column_names": ["NAME", "DB"], "data": [["m", body.get("context", {}).get("db")]]}


@pytest.fixture
def params() -> t.Iterator[dict[str, t.Any]]:
    Door.lives, Door.cookies, Door.tokens[:], Door.asked[:] = 99, True, [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield {"address": f"127.0.0.1:{server.server_address[1]}", "tls": False, "ca_path": None, **LOGIN}
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("cookies", [True, False])
def test_a_login_opens_and_nobody_logs_out(params: dict[str, t.Any], cookies: bool) -> None:
    Door.cookies = cookies
    with open_server(params) as server:
        assert server.ask("GET", "/databases/", doing="list") == []
        assert server.ask("GET", "/gone", doing="look") is None
    assert Door.asked == ["POST /api/login", "GET /api/databases/", "GET /api/gone"]


def test_a_login_that_died_with_its_server_is_renewed(params: dict[str, t.Any]) -> None:
    with open_server(params) as server:
        Door.lives = 0
        assert server.ask("GET", "/databases/", doing="list") == []
    assert Door.asked.count("POST /api/login") == 2


def test_rows_have_names(params: dict[str, t.Any]) -> None:
    with open_server(params) as server:
        assert server.sql("SELECT 1", doing="ask", project="p") == [{"name": "m", "db": "p"}]
        assert server.sql("DROP", doing="drop") == []


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        pytest.param(
            "/broken", MindsdbRefused, "refused to try: no route to host", id="a refusal, in the server's words"
        ),
        pytest.param("/page", MindsdbUnreachable, "not JSON: could not try. Is it MindsDB", id="a web page"),
    ],
)
def test_what_is_no_answer(params: dict[str, t.Any], where: str, error: type[AirgapError], message: str) -> None:
    with open_server(params) as server, pytest.raises(error, match=message):
        server.ask("GET", where, doing="try")


def test_an_error_of_sql(params: dict[str, t.Any]) -> None:
    with open_server(params) as server, pytest.raises(MindsdbRefused, match="refused to ask: unknown column$"):
        server.sql("SELECT bad", doing="ask")


def test_a_wrong_password_says_where_it_came_from(params: dict[str, t.Any]) -> None:
    wrong = {**params, "login_password": "guess"}
    with (
        pytest.raises(MindsdbRefused, match="does not take the login of data from login_user") as error,
        open_server(wrong),
    ):
        pass
    assert "guess" not in str(error.value)


def test_nobody_there(params: dict[str, t.Any]) -> None:
    nowhere = {**params, "address": "127.0.0.1:9"}
    with (
        pytest.raises(MindsdbUnreachable, match="127.0.0.1:9 does not answer .*could not log in"),
        open_server(nowhere),
    ):
        pass


def test_a_password_is_not_printed() -> None:
    assert "s3cr3t" not in repr(Credentials("data", "s3cr3t", "the task"))


def test_a_part_of_a_path_is_one_part() -> None:
    assert path("models", "../x?y#z", "a b") == "/models/..%2Fx%3Fy%23z/a%20b"
