"""What a connection may cost before it has shown a key. The transport is the test's own, the parser the real one."""

from __future__ import annotations

import asyncio
import functools
import json
import typing as t
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from transport import Transport
from uvicorn.server import ServerState

from gateway import connections
from gateway.connections import MAX_HEAD, MAX_PIPELINED, Connection

GET = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n"
POST = b"POST /v1/predictions HTTP/1.1\r\nhost: gateway\r\ncontent-length: 20000\r\n\r\n"


class Server:
    """Answers each request once `go` is set; `/body` is read before, as the service does for whoever has a key."""

    def __init__(self, most: int = 100) -> None:
        protocol: t.Any = functools.partial(Connection, most=most)
        self.config = uvicorn.Config(self.app, http=protocol, interface="asgi3", proxy_headers=False, log_config=None)
        self.config.load()
        self.state = ServerState()
        self.go = asyncio.Event()
        self.go.set()
        self.whole: list[bool] = []
        self.paths: list[str] = []

    async def app(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        self.whole.append("whole" in scope["state"])
        self.paths.append(scope["path"])
        if scope["path"] == "/body":
            while (await receive())["more_body"]:
                pass
        await self.go.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    def connect(self) -> tuple[Transport, Connection]:
        loop = asyncio.get_running_loop()
        protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.state, app_state={}, _loop=loop
        )
        return Transport(protocol), t.cast("Connection", protocol)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.05)


async def settle(seconds: float = 0) -> None:
    for _ in range(5):
        await asyncio.sleep(seconds / 5)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


LARGE = {
    "one header": b"GET / HTTP/1.1\r\nx: " + b"x" * MAX_HEAD + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD // 5) + b"\r\n",
    "a path": b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n\r\n",
    "no end": b"GET / HTTP/1.1\r\nx: " + b"x" * MAX_HEAD,
}


@pytest.mark.parametrize("size", [100, 10**6], ids=["in pieces", "at once"])
@pytest.mark.parametrize("name", LARGE)
def test_a_head_has_an_end(name: str, size: int) -> None:
    async def test() -> None:
        transport, protocol = Server().connect()
        for piece in pieces(LARGE[name], size):
            if not transport.is_closing():
                protocol.data_received(piece)
        assert transport.is_closing()
        assert transport.answers() == [431]
        assert json.loads(transport.sent.partition(b"\r\n\r\n")[2])["status"] == 431
        await settle()

    run(test)


def test_trailers_have_an_end_as_well() -> None:
    async def test() -> None:
        transport, protocol = Server().connect()
        protocol.data_received(b"POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        await settle()
        for _ in range(MAX_HEAD):
            if not transport.is_closing():
                protocol.data_received(b"a: b\r\n")
        assert transport.is_closing()
        assert transport.sent == b"", "it would be taken for the answer to the request"
        await settle()

    run(test)


@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_what_is_allowed_is_answered_whatever_its_pieces(size: int) -> None:
    head = b"POST /body HTTP/1.1\r\nx: " + b"x" * (MAX_HEAD - 500) + b"\r\ncontent-length: 100000\r\n\r\n"
    chunks = b"POST /body HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"

    async def test() -> None:
        transport, protocol = Server().connect()
        for request in (GET, head + b"x" * 100_000, chunks, GET + GET):
            for piece in pieces(request, size):
                protocol.data_received(piece)
            await settle()
        assert transport.answers() == [200] * 5
        assert not transport.is_closing()

    run(test)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("given", "answers"),
    [(b"", []), (b"G", [408]), (GET[:-2], [408]), (GET + GET[:-9], [200, 408]), (POST + b"x" * 10, [200])],
    ids=["nothing", "a letter", "no end", "a second one", "a body that nobody waits for"],
)
def test_a_head_is_not_waited_for_for_ever(given: bytes, answers: list[int]) -> None:
    async def test() -> None:
        server = Server()
        transport, protocol = server.connect()
        if given:
            protocol.data_received(given)
        await settle()
        if given.startswith(GET):
            protocol.data_received(GET[-9:-8])
        while not transport.is_closing():
            await settle(0.01)
        assert transport.answers() == answers

    run(test)


@pytest.mark.usefixtures("quick")
def test_a_request_may_take_longer_than_its_head() -> None:
    async def test() -> None:
        server = Server()
        server.go.clear()
        transport, protocol = server.connect()
        protocol.data_received(POST.replace(b"/v1/predictions", b"/body") + b"x" * 10)
        await settle(0.2)
        protocol.data_received(b"x" * 19_990)
        await settle(0.2)
        assert (transport.is_closing(), transport.sent) == (False, b"")
        server.go.set()
        await settle()
        assert transport.answers() == [200]
        await settle(0.2)  # idle is another thing
        assert not transport.is_closing()

    run(test)


def test_a_body_that_is_there_is_said_to_be() -> None:
    async def test() -> None:
        server = Server()
        _, protocol = server.connect()
        head = POST.replace(b"/v1/predictions", b"/body")
        for pieces in ([head + b"x" * 20_000], [head + b"x" * 19_999, b"x"], [GET]):
            for piece in pieces:
                protocol.data_received(piece)
                await settle(0.01)
        assert server.whole == [True, False, True]

    run(test)


def test_the_one_that_was_idle_for_longest_makes_room() -> None:
    async def test() -> None:
        server = Server(most=3)
        transports: list[Transport] = []
        protocols: list[Connection] = []

        async def another() -> None:
            transport, protocol = server.connect()
            protocol.data_received(GET)
            await settle(0.01)
            transports.append(transport)
            protocols.append(protocol)

        for _ in range(3):
            await another()
        protocols[0].data_received(GET)  # it was heard of last
        await settle(0.01)
        for _ in range(2):
            await another()
        assert [transport.is_closing() for transport in transports] == [False, True, True, False, False]
        assert transports[-1].answers() == [200]

    run(test)


def test_what_is_being_answered_does_not_make_room() -> None:
    async def test() -> None:
        server = Server(most=2)
        server.go.clear()
        busy = [server.connect() for _ in range(2)]
        for _, protocol in busy:
            protocol.data_received(GET)
        await settle()
        many = [server.connect()[0] for _ in range(5)]  # within one turn of the loop
        assert [transport.answers() for transport in many] == [[503]] * 5
        server.go.set()
        await settle()
        assert [transport.answers() for transport, _ in busy] == [[200]] * 2
        transport, protocol = server.connect()
        protocol.data_received(GET)
        await settle()
        assert transport.answers() == [200]

    run(test)


def test_many_at_once_leave_no_more_than_there_may_be() -> None:
    async def test() -> None:
        server = Server(most=3)
        transports = [server.connect()[0] for _ in range(20)]  # within one turn of the loop
        assert [transport.is_closing() for transport in transports] == [True] * 17 + [False] * 3
        await settle()
        assert len(server.state.connections) == 3

    run(test)


def test_requests_that_wait_for_an_answer_have_an_end() -> None:
    async def test() -> None:
        server = Server()
        server.go.clear()
        transport, protocol = server.connect()
        protocol.data_received(GET * 2000)
        assert transport.is_closing()
        assert len(protocol.pipeline) == MAX_PIPELINED
        assert transport.sent == b"", "it would be taken for the answer to the first"
        await settle()
        assert len(server.whole) == 1

    run(test)


def test_a_few_requests_at_once_are_answered_in_order_and_no_more_is_read_meanwhile() -> None:
    async def test() -> None:
        server = Server()
        transport, protocol = server.connect()
        reading: list[tuple[int, bool]] = []
        transport.pause_reading = lambda: reading.append((len(protocol.pipeline), False))  # type: ignore[method-assign]
        transport.resume_reading = lambda: reading.append((len(protocol.pipeline), True))  # type: ignore[method-assign]
        protocol.data_received(b"".join(GET.replace(b"/healthz", b"/%d" % number) for number in range(4)))
        while len(transport.answers()) < 4:
            await settle()
        assert server.paths == ["/0", "/1", "/2", "/3"]
        assert transport.answers() == [200] * 4
        assert [waiting for waiting, is_read in reading if not is_read] == [0, 2, 1]
        assert reading[-1][1], "all is answered"
        assert not transport.is_closing()

    run(test)


def test_what_is_no_http_is_a_problem_like_any_other() -> None:
    async def test() -> None:
        transport, protocol = Server().connect()
        protocol.data_received(b"\x16\x03\x01 hello")
        assert transport.answers() == [400]
        assert b"application/problem+json" in transport.sent
        await settle()

    run(test)
