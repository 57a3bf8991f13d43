#!/usr/bin/env python3
"""Measure the prediction path and print it as ratios of one run. Standard library alone, so that it runs on a node.

    python3 tests/bench/gateway.py --gateway HOST:PORT --redis HOST:PORT --row row.json --key-file KEY [--redis-password-file FILE]

The row file (or its JSON in place of its name) holds {"model": …, "rows": [one row], "vary": COLUMN}: a numeric column of
the row, kept by the policy, that gets a new value for each uncached request.

A cached row is compared with a direct GET in two ways: by raw sockets, where no library's own cost hides the servers', and by client
libraries, as an application sees both. The latter needs redis-py, and is left out where that is not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import http.client
import importlib
import json
import random
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

TARGETS = {"redis": 6.0, "uncached": 20.0, "overhead": 40.0, "idle": 150.0, "load": 250.0}
ROUNDS, EACH, UNCACHED = 10, 100, 60
MEMORY = "process_resident_memory_bytes"


class Redis:
    def __init__(self, address: str, password: str) -> None:
        self.sock = connect(address)
        if password and self.command(b"AUTH", password.encode())[:1] != b"+":
            sys.exit("Redis refuses the password: see --redis-password-file.")

    def command(self, *parts: bytes) -> bytes:
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.sock.recv(1 << 20)

    def a_prediction(self) -> bytes:
        found = re.findall(
            rb"pred:v1:[0-9a-f]{64}", self.command(b"SCAN", b"0", b"MATCH", b"pred:*", b"COUNT", b"10000")
        )
        if not found:
            sys.exit("Redis holds no prediction: is it the gateway's Redis?")
        return bytes(found[0])


class Gateway:
    """One kept connection; requests are bytes that were made beforehand."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.key = address, key
        self.sock = connect(address)

    def request(self, content: dict[str, object]) -> bytes:
        body = json.dumps(content).encode()
        head = f"POST /v1/predictions HTTP/1.1\r\nhost: {self.address}\r\nauthorization: Bearer {self.key}\r\n"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    def ask(self, request: bytes) -> bytes:
        self.sock.sendall(request)
        answer = self.sock.recv(1 << 20)
        while not complete(answer):
            answer += self.sock.recv(1 << 20)
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(f"The gateway refuses: {answer.decode(errors='replace')[:600]}")
        return answer

    def metric(self, name: str) -> float:
        with connect(self.address) as sock:
            sock.sendall(f"GET /metrics HTTP/1.1\r\nhost: {self.address}\r\nconnection: close\r\n\r\n".encode())
            text = b"".join(iter(lambda: sock.recv(1 << 16), b"")).decode()
        found = re.search(rf"^{re.escape(name)} (\S+)", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


def libraries(
    addresses: tuple[str, str], password: str, key: bytes, gateway_key: str, content: object
) -> tuple[Callable[[], object], Callable[[], object]] | None:
    """The direct GET by redis-py and the cached row by http.client, each on a kept connection."""
    try:
        redis = importlib.import_module("redis")
    except ImportError:
        return None
    (host, _, port), (gateway_host, _, gateway_port) = (address.rpartition(":") for address in addresses)
    client = redis.Redis(host=host, port=int(port), password=password or None)
    connection = http.client.HTTPConnection(gateway_host, int(gateway_port), timeout=60)
    headers = {"Authorization": f"Bearer {gateway_key}", "Content-Type": "application/json"}
    body = json.dumps(content)

    def ask() -> None:
        connection.request("POST", "/v1/predictions", body, headers)
        answer = connection.getresponse().read()
        if b'"cached":true' not in answer:
            sys.exit(f"The gateway has no cached answer any more: {answer.decode(errors='replace')[:600]}")

    return (lambda: client.get(key)), ask


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end and found and len(body) >= int(found[1]))


def compared(how: str, direct: list[float], cached: list[float]) -> list[tuple[str, str, str]]:
    get, hit, late = percentile(direct, 0.5), percentile(cached, 0.5), percentile(cached, 0.95)
    return [
        (f"direct Redis GET, p50 ({how})", f"{get * 1e6:.0f} us", ""),
        (f"gateway, cached row, p50 / p95 ({how})", f"{hit * 1e6:.0f} / {late * 1e6:.0f} us", ""),
        (f"  as a ratio to the direct GET ({how})", f"{hit / get:.1f} x", f"<= {TARGETS['redis']:.0f} x"),
    ]


def percentile(times: list[float], part: float) -> float:
    return sorted(times)[int(len(times) * part)]


def timed(action: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return times


def in_turns(*actions: Callable[[], object]) -> list[list[float]]:
    """What else the machine does meets all alike."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(ROUNDS):
        for taken, action in zip(times, actions, strict=True):
            taken += timed(action, EACH)
    return times


async def load(
    gateway: Gateway, request: bytes, connections: int, seconds: float
) -> tuple[int, int, list[float], float]:
    """Cached requests on so many connections at once: answers, errors, the time of each, and the gateway's most memory meanwhile."""
    host, _, port = gateway.address.rpartition(":")
    end = time.perf_counter() + seconds
    times: list[float] = []
    errors = 0
    most = 0.0

    async def watch() -> None:
        nonlocal most
        while time.perf_counter() < end:
            with contextlib.suppress(OSError):  # those who ask count it
                most = max(most, await asyncio.to_thread(gateway.metric, MEMORY))
            await asyncio.sleep(min(5.0, seconds / 10))

    async def one() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.perf_counter() < end:
            started = time.perf_counter()
            try:
                writer.write(request)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                found = re.search(rb"content-length: (\d+)", head)
                await reader.readexactly(int(found[1]) if found else 0)
                if not head.startswith(b"HTTP/1.1 200"):
                    errors += 1
                times.append(time.perf_counter() - started)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                errors += 1
                await asyncio.sleep(0.1)
                with contextlib.suppress(OSError):  # if it is still away, the next turn counts another error
                    reader, writer = await asyncio.open_connection(host, int(port))
        writer.close()

    await asyncio.gather(watch(), *(one() for _ in range(connections)))
    return len(times), errors, times, most


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the gateway against the Redis behind it.")
    for name in ("gateway", "redis", "row", "key-file"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--redis-password-file")
    parser.add_argument(
        "--seconds", type=float, default=300, help="of load (default: 300, what the target of no errors is for)"
    )
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    content = json.loads(arguments.row if arguments.row.startswith("{") else Path(arguments.row).read_text())
    vary = content.pop("vary")
    gateway = Gateway(arguments.gateway, Path(arguments.key_file).read_text().strip())
    file = arguments.redis_password_file
    password = Path(file).read_text().strip() if file else ""
    redis = Redis(arguments.redis, password)
    idle = gateway.metric(MEMORY)

    def varied() -> bytes:
        row = {**content["rows"][0], vary: random.randrange(10**9)}  # noqa: S311 - not a secret
        return gateway.request({**content, "rows": [row]})

    request = gateway.request(content)
    gateway.ask(request)
    if b'"cached":true' not in gateway.ask(request):
        sys.exit("The second answer was not cached: has the model's policy a cache_ttl above 0, and is Redis there?")
    key = redis.a_prediction()
    uncached: list[float] = []
    stages = {
        name: -gateway.metric(f'gateway_prediction_stage_seconds_total{{stage="{name}"}}')
        for name in ("anonymise", "log")
    }
    direct, cached = in_turns(lambda: redis.command(b"GET", key), lambda: gateway.ask(request))
    whole = sum(cached)
    stages = {
        name: start + gateway.metric(f'gateway_prediction_stage_seconds_total{{stage="{name}"}}')
        for name, start in stages.items()
    }
    clients = libraries((arguments.redis, arguments.gateway), password, key, gateway.key, content)
    by_library = (
        compared("client libraries", *in_turns(*clients))
        if clients
        else [("the same by client libraries", "left out", "redis-py is not installed")]
    )
    for _ in range(UNCACHED):
        uncached += timed(functools.partial(gateway.ask, varied()), 1)
    before = time.perf_counter()
    answers, errors, times, loaded = asyncio.run(load(gateway, request, arguments.connections, arguments.seconds))
    taken = time.perf_counter() - before

    hit, miss = (percentile(list_of, 0.5) for list_of in (cached, uncached))
    overhead = 100 * sum(stages.values()) / whole
    lines = [
        *compared("raw sockets", direct, cached),
        *by_library,
        ("gateway, uncached row, p50", f"{miss * 1e3:.1f} ms", ""),
        ("  as a ratio to the cached one", f"{miss / hit:.0f} x", f">= {TARGETS['uncached']:.0f} x"),
        ("anonymise and decision log, of a cached answer", f"{overhead:.0f} %", f"<= {TARGETS['overhead']:.0f} %"),
        *((f"  {name}", f"{100 * seconds / whole:.0f} %", "") for name, seconds in stages.items()),
        (f"requests/s cached, {arguments.connections} connections, {taken:.0f} s", f"{answers / taken:.0f}", "report"),
        ("  p50 / p99", f"{percentile(times, 0.5) * 1e3:.1f} / {percentile(times, 0.99) * 1e3:.1f} ms", ""),
        ("  errors", str(errors), "0"),
        ("memory idle", f"{idle / 2**20:.0f} MiB", f"<= {TARGETS['idle']:.0f} MiB"),
        ("memory under load", f"{loaded / 2**20:.0f} MiB", f"<= {TARGETS['load']:.0f} MiB"),
    ]
    for name, value, target in lines:
        print(f"{name:52}{value:>16}   {target}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
