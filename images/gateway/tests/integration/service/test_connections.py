"""Clients that speak slowly, endlessly or on too many connections, before they have shown a key. Raw sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from .conftest import Make
from .processes import ROW, Gateway, MindsDB
from .test_predictions import problem

GET = b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n"
MANY = 40


@contextlib.contextmanager
def connected(gateway: Gateway) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as sock:
        yield sock


def heard(sock: socket.socket) -> bytes:
    """All that the gateway says until it closes."""
    said = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while data := sock.recv(65536):
            said += data
    return said


def is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@pytest.mark.parametrize("given", [b"x: " + b"x" * 20_000, b"x: y\r\n" * 4000], ids=["one header", "many"])
def test_an_endless_head_is_cut_off(gateway: Gateway, given: bytes) -> None:
    with connected(gateway) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n" + given)
        said = heard(sock)
    # nothing, when some of it was still on its way
    assert said[:12] in (b"", b"HTTP/1.1 431")
    assert b"application/problem+json" in said or not said
    assert gateway.get("/healthz").status_code == 200


def test_a_slow_head_is_not_waited_for(gateway: Gateway) -> None:
    started = time.monotonic()
    with connected(gateway) as silent, connected(gateway) as slow, connected(gateway) as idle:
        idle.sendall(GET)
        slow.sendall(GET[:-2])
        assert b" 408 " in heard(slow).partition(b"\r\n")[0]
        assert heard(silent) == b""
        assert 5 < time.monotonic() - started < 25
        assert is_open(idle), "who has asked may ask again"


def test_connections_that_say_nothing_keep_nobody_out(make_gateway: Make, mindsdb: MindsDB) -> None:
    gateway = make_gateway(GATEWAY_MAX_CONNECTIONS=str(MANY // 2)).start()
    assert gateway.predict({**ROW, "hours": 1}).status_code == 200
    mindsdb.seconds = 2
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(gateway.predict(ROW)))
    asking.start()
    time.sleep(0.5)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(gateway)) for _ in range(MANY)]
        for sock in crowd[::2]:
            with contextlib.suppress(OSError):
                sock.sendall(GET)
        assert gateway.get("/healthz").status_code == 200
        assert gateway.get("/readyz").status_code == 200
        time.sleep(0.2)
        assert sum(map(is_open, crowd)) <= MANY // 2
        asking.join()
    assert answers[0].status_code == 200, "what is being answered is left alone"


def test_what_is_no_http_is_a_problem(gateway: Gateway) -> None:
    with connected(gateway) as sock:
        sock.sendall(b"hello\r\n\r\n")
        head, _, body = heard(sock).partition(b"\r\n\r\n")
    names = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
    headers = {name.decode(): value.decode() for name, value in names.items()}
    problem(httpx.Response(int(head.split()[1]), headers=headers, content=body), 400)
