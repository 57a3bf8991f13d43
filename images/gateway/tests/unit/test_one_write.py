"""Which parts of an answer reach the client together. The protocol is the real one, its transport the test's own."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
import uvicorn
from transport import Transport
from uvicorn.server import ServerState

from gateway.connections import Connection

TURNS = 10  # of the loop, in which nothing here waits for anything
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    if scope["path"] == "/body":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    if scope["path"] == "/broken":
        raise RuntimeError
    body = {"type": "http.response.body", "body": b"ab"}
    await send({**body, "more_body": True})
    await send({**body, "body": b"cd"})


async def _writes(*requests: bytes) -> list[bytes]:
    config = uvicorn.Config(t.cast("t.Any", app), ws="none", lifespan="off", log_config=None, date_header=False)
    config.load()
    connection = Connection(config=config, server_state=ServerState(), app_state={}, most=8)
    transport = Transport(connection)
    for request in requests:
        connection.data_received(request)
        for _ in range(TURNS):
            await asyncio.sleep(0)
    connection.connection_lost(None)
    return transport.writes


ASK = b" HTTP/1.1\r\nhost: gateway\r\n"
GET = b"GET /" + ASK + b"\r\n"
CASES = [
    pytest.param([GET], [HEAD + b"ab", b"cd"], id="the head goes with the first of the body"),
    pytest.param([GET, GET], [HEAD + b"ab", b"cd"] * 2, id="one after the other on a kept connection"),
    pytest.param([GET + GET], [HEAD + b"ab", b"cd"] * 2, id="two at once"),
    pytest.param([b"HEAD /" + ASK + b"\r\n" + GET], [HEAD, HEAD + b"ab", b"cd"], id="no body comes to HEAD"),
    pytest.param([b"GET /broken" + ASK + b"\r\n"], [HEAD], id="a head without the body that was to come"),
    pytest.param(
        [b"POST /body" + ASK + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n", b"x"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"ab", b"cd"],
        id="what the client waits for goes at once",
    ),
]


@pytest.mark.parametrize(("requests", "writes"), CASES)
def test_writes(requests: list[bytes], writes: list[bytes]) -> None:
    assert asyncio.run(_writes(*requests)) == writes
