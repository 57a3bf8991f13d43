"""Runs on a node as root: looks into the network namespace of each pod there, or tries connections from inside of it.

Needs nothing of the pods, whose images have no tools. Reads JSON and writes JSON:
    {"survey": true}                        -> {"pods": {address: [listening ports]}, "node": [listening ports]}
    {"tries": {address of a pod: [key, …]}} -> {address: {key: open | refused | silent}}, with keys such as `tcp 10.43.0.1 443`
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS, AT_ONCE, PODS_AT_ONCE = 2.5, 200, 4
# A name that only the cluster's own resolver knows, as a DNS query for its A record.
QUERY = (
    struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0)
    + b"".join(bytes([len(word)]) + word for word in b"kubernetes.default.svc.cluster.local".split(b"."))
    + struct.pack("!xHH", 1, 1)
)


def listening() -> list[int]:
    """TCP ports that something answers on, of this network namespace, beyond loopback."""
    ports = set()
    for file in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{file}").read_text(encoding="ascii").splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            loopback = address in ("0100007F", "00000000000000000000000001000000") or address.endswith(
                "0000FFFF0100007F"
            )
            if state == "0A" and not loopback:
                ports.add(int(port, 16))
    return sorted(ports)


async def attempt(key: str, gate: asyncio.Semaphore) -> str:
    protocol, address, port = key.split()
    async with gate:
        if protocol == "udp":
            return await asyncio.get_running_loop().run_in_executor(None, ask, address, int(port))
        try:
            _reader, writer = await asyncio.wait_for(asyncio.open_connection(address, int(port)), SECONDS)
        except TimeoutError:
            return "silent"
        except OSError:
            return "refused"
        writer.close()
        return "open"


def ask(address: str, port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        try:
            sock.connect((address, port))
            sock.send(QUERY)
            return "open" if sock.recv(512)[:2] == QUERY[:2] else "refused"
        except TimeoutError:
            return "silent"
        except OSError:
            return "refused"


async def attempts(keys: list[str]) -> dict[str, str]:
    gate = asyncio.Semaphore(AT_ONCE)
    return dict(zip(keys, await asyncio.gather(*(attempt(key, gate) for key in keys)), strict=True))


def namespaces() -> dict[str, str]:
    """The network namespace of each pod of this node, by the pod's address."""
    found = {}
    for file in Path("/run/netns").iterdir():
        command = ["ip", "-n", file.name, "-j", "-4", "address", "show", "dev", "eth0"]
        done = subprocess.run(command, capture_output=True, check=False)
        for link in json.loads(done.stdout or "[]"):
            found.update({address["local"]: str(file) for address in link.get("addr_info", [])})
    return found


def inside(namespace: str, request: t.Any) -> t.Any:
    """What this program answers in another network namespace."""
    command = ["nsenter", f"--net={namespace}", sys.executable, "-c", SELF, SELF]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def answer(request: dict[str, t.Any]) -> t.Any:
    if "here" in request:
        return listening() if request["here"] is None else asyncio.run(attempts(request["here"]))
    pods = namespaces()
    wanted = {address: None for address in pods} if "survey" in request else request["tries"]
    with ThreadPoolExecutor(PODS_AT_ONCE) as pool:
        there = [address for address in wanted if address in pods]
        found = dict(
            zip(there, pool.map(lambda address: inside(pods[address], {"here": wanted[address]}), there), strict=True)
        )
    return {"pods": found, "node": listening()} if "survey" in request else found


if __name__ == "__main__":
    SELF = sys.argv[1]  # this text: the program is given on the command line, and nothing is left on the node
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
