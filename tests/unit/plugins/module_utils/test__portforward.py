# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import socket
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeError, Object
from ansible_collections.airgap.mlops.plugins.module_utils._portforward import (
    ForwardedSocket,
    Target,
    choose_target,
)


def service(**port: t.Any) -> Object:
    return {"metadata": {"name": "postgresql", "namespace": "mlops"}, "spec": {"ports": [port]}}


def pod(name: str, *, ready: bool = True, deleted: bool = False, ports: dict[str, int] | None = None) -> Object:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    named = [{"name": key, "containerPort": value} for key, value in (ports or {}).items()]
    return {
        "metadata": {"name": name, **gone},
        "spec": {"containers": [{"name": "main", "ports": named}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


PLAIN = {"port": 5432}
NUMBER = {"port": 5432, "targetPort": 15432}
DIGITS = {"port": 5432, "targetPort": "15432"}
NAMED = {"port": 5432, "targetPort": "postgresql"}


@pytest.mark.parametrize(
    ("port", "pods", "expected"),
    [
        pytest.param(PLAIN, [pod("a")], Target("a", 5432), id="no target port means the same port"),
        pytest.param(NUMBER, [pod("a")], Target("a", 15432), id="number"),
        pytest.param(DIGITS, [pod("a")], Target("a", 15432), id="number as text"),
        pytest.param(NAMED, [pod("a", ports={"postgresql": 7})], Target("a", 7), id="name is looked up in the pod"),
        pytest.param(
            PLAIN, [pod("a", ready=False), pod("b")], Target("b", 5432), id="a pod that is not ready is left out"
        ),
        pytest.param(
            PLAIN, [pod("a", deleted=True), pod("b")], Target("b", 5432), id="a pod that is going is left out"
        ),
        pytest.param(PLAIN, [pod("b"), pod("a")], Target("a", 5432), id="the choice does not depend on the order"),
    ],
)
def test_choose_target(port: t.Any, pods: list[t.Any], expected: Target) -> None:
    assert choose_target(service=service(**port), pods=pods, port=5432) == expected


@pytest.mark.parametrize(
    ("port", "pods", "message"),
    [
        pytest.param({"port": 9000}, [pod("a")], "has no port 5432; it has 9000", id="port"),
        pytest.param(PLAIN, [], "no pod behind service mlops/postgresql is ready: none exists", id="no pod"),
        pytest.param(PLAIN, [pod("a", ready=False)], r"a \(Running\).*describe pod", id="not ready"),
        pytest.param(NAMED, [pod("a", ports={"http": 1})], "has no port named postgresql", id="name"),
    ],
)
def test_choose_target_says_what_is_wrong(port: t.Any, pods: list[t.Any], message: str) -> None:
    with pytest.raises(KubeError, match=message):
        choose_target(service=service(**port), pods=pods, port=5432)


class Tunnel:
    def __init__(self, fileno: int, error: str = "") -> None:
        self.fileno, self.error = fileno, error


@pytest.fixture
def pair() -> t.Iterator[tuple[socket.socket, int]]:
    ours, theirs = socket.socketpair()
    with theirs:
        yield theirs, ours.detach()


def test_forwarded_socket_carries_bytes_both_ways(pair: tuple[socket.socket, int]) -> None:
    theirs, fileno = pair
    with ForwardedSocket(t.cast("t.Any", Tunnel(fileno)), Target("a", 1)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"ping")
        assert theirs.recv(4) == b"ping"
        theirs.sendall(b"pong")
        assert sock.makefile("rb").read(4) == b"pong"


@pytest.mark.parametrize("read", [lambda s: s.recv(1), lambda s: s.makefile("rb").read(1)], ids=["recv", "makefile"])
def test_forwarded_socket_raises_the_error_of_the_other_side(
    pair: tuple[socket.socket, int], read: t.Callable[[socket.socket], bytes]
) -> None:
    theirs, fileno = pair
    theirs.close()
    sock = ForwardedSocket(t.cast("t.Any", Tunnel(fileno, "connection refused\n")), Target("a", 1))
    with sock, pytest.raises(ConnectionResetError, match="port 1 of pod a: connection refused$"):
        read(sock)


def test_forwarded_socket_ends_quietly_without_an_error(pair: tuple[socket.socket, int]) -> None:
    theirs, fileno = pair
    theirs.close()
    with ForwardedSocket(t.cast("t.Any", Tunnel(fileno)), Target("a", 1)) as sock:
        assert sock.recv(1) == b""
