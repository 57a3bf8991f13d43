"""Proof that a node is sealed and that the counters count: try to get out, fail, and be seen trying.

The attempts go to TEST-NET-1 and to a name that cannot exist. What they caused is taken off the node's record afterwards.
"""

from __future__ import annotations

import time

from tests.node.egress import Egress
from tests.node.network import GATEWAY, stopped_packets
from tests.node.node import Node
from tests.node.podman import NodeError

__all__ = ("prove_seal",)

_ADDRESS = "192.0.2.1"

_FAILED = 7  # what the programs below exit with when the attempt failed as it must
_PROGRAM = """
import socket, sys
try:
    socket.{call}
except OSError as exc:
    print(exc)
    sys.exit({failed})
"""
_CONNECT = _PROGRAM.format(call=f"create_connection(({_ADDRESS!r}, 443), timeout=2)", failed=_FAILED)


def prove_seal(node: Node) -> list[str]:
    """What was shown, a sentence each. Raises NodeError when a way out is open or an attempt was not seen."""
    before = node.egress()
    name = f"seal-probe-{time.time_ns()}.example.com"  # a new one each time: the recorder writes a name once
    try:
        return _try_all(node, before, name)
    finally:
        node.record.take_off(node.egress().counters - before.counters, [name])


def _try_all(node: Node, before: Egress, name: str) -> list[str]:
    stopped_before = stopped_packets()
    _must_fail(node, _CONNECT, "a TCP connection out of the node as it is")
    shown = ["a connection to the outside fails"]

    # A node with a route through this machine: the packets get as far as this machine's filter.
    _with_route(node, ("via", GATEWAY), "a TCP connection through the network's gateway")
    if stopped_packets() <= stopped_before:
        raise NodeError(
            f"a packet through the gateway {GATEWAY} was not stopped by this machine's filter: the node {node.name} is not sealed"
        )
    shown.append("a connection through a route that the node makes itself is stopped")

    _must_fail(
        node, _PROGRAM.format(call=f"getaddrinfo({name!r}, 443)", failed=_FAILED), "a look-up of an outside name"
    )
    after = node.egress()
    attempts = after.counters - before.counters
    if attempts.packets == 0:
        raise NodeError(f"packets tried to leave node {node.name}, and its counters did not see them")
    shown.append(f"the counters saw it ({attempts.packets} packets)")
    if name not in after.names:
        raise NodeError(f"node {node.name} looked up {name}, and the recorder did not see it")
    shown.append("a look-up of an outside name fails and is recorded")
    return shown


def _with_route(node: Node, way: tuple[str, ...], what: str) -> None:
    route = (f"{_ADDRESS}/32", *way)
    added = node.execute("ip", "route", "add", *route)
    if added.returncode != 0:
        raise NodeError(f"ip route add {' '.join(route)} on node {node.name}: {added.stderr.strip()}")
    try:
        _must_fail(node, _CONNECT, what)
    finally:
        node.execute("ip", "route", "del", *route)


def _must_fail(node: Node, program: str, what: str) -> None:
    done = node.execute("python3", "-c", program)
    if done.returncode == 0:
        raise NodeError(f"{what} succeeded: the node {node.name} is not sealed")
    if done.returncode != _FAILED:
        raise NodeError(f"{what} could not be tried on node {node.name}: {done.stderr.strip()}")
