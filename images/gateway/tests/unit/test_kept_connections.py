"""What a kept connection makes of a server that is not quite a Redis. With the real one: tests/integration/test_cache_async.py."""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections.abc import Awaitable, Callable

import pytest
import redis

from gateway.kept_connections import KeptConnections
from gateway.store import connect_async

TIMEOUT = 0.3
Answers = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


async def ask(answers: Answers, *, times: int) -> tuple[list[object], int]:
    """What each question brought, and how many connections that took. `answers` gets the number of the connection."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        number = connections = connections + 1
        while command := await reader.read(1000):
            if b"GETRANGE" in command:
                await answers(writer, number)
            else:  # each command of a login begins with the count of its parts
                writer.write(b"+OK\r\n" * command.count(b"*"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect_async(f"redis://127.0.0.1:{port}", timeout=TIMEOUT) as client:
            kept = KeptConnections(client)
            got: list[object] = []
            for _ in range(times):
                got += await asyncio.gather(kept.getrange("key", 10), return_exceptions=True)
                await asyncio.sleep(0.05)
            assert len(client.connection_pool._in_use_connections) <= 1
    return got, connections


def run(answers: Answers, *, times: int = 2) -> tuple[list[object], int]:
    return asyncio.run(asyncio.wait_for(ask(answers, times=times), 30))


def test_an_answer_in_pieces_is_put_together() -> None:
    async def answers(writer: asyncio.StreamWriter, _number: int) -> None:
        for piece in (b"$3", b"\r\nab", b"c\r", b"\n"):
            writer.write(piece)
            await asyncio.sleep(0.01)

    assert run(answers) == ([b"abc", b"abc"], 1)


def test_an_error_is_an_answer_and_ends_nothing() -> None:
    async def answers(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(b"-LOADING the data\r\n")

    got, connections = run(answers)
    assert [str(error) for error in got] == ["LOADING the data"] * 2
    assert connections == 1


@pytest.mark.parametrize(
    ("nonsense", "error"),
    [(b"HTTP/1.1 400 Bad Request\r\n", redis.InvalidResponse), (b"$1000\r\nabc", redis.TimeoutError)],
    ids=["not Redis", "cut"],
)
def test_after_nonsense_there_is_a_new_connection(nonsense: bytes, error: type[Exception]) -> None:
    async def answers(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(nonsense if number == 1 else b"$3\r\nabc\r\n")

    got, connections = run(answers)
    assert (type(got[0]), got[1], connections) == (error, b"abc", 2)


def test_what_nobody_asked_for_is_no_answer_to_the_next() -> None:
    async def answers(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"$3\r\nabc\r\n")
        if number == 1:
            await asyncio.sleep(0.02)
            writer.write(b"$3\r\nxyz\r\n")

    assert run(answers, times=3) == ([b"abc"] * 3, 2)


def test_one_that_is_closed_while_it_is_asked_is_tried_once_more() -> None:
    async def answers(writer: asyncio.StreamWriter, number: int) -> None:
        asked[number] = asked.get(number, 0) + 1
        if number == 1 and asked[1] == 2:
            writer.close()
        else:
            writer.write(b"$3\r\nabc\r\n")

    asked: dict[int, int] = {}
    started = time.monotonic()
    assert run(answers) == ([b"abc"] * 2, 2)
    assert time.monotonic() - started < TIMEOUT


def test_a_new_one_that_is_closed_is_an_error() -> None:
    async def answers(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.close()

    got, connections = run(answers)
    assert {type(error) for error in t.cast("list[Exception]", got)} == {redis.ConnectionError}
    assert connections == 2
