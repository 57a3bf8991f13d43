# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tunnel against the other end of a true WebSocket, played frame by frame."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
import typing as t

import pytest
import websocket

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeClient, KubeError
from ansible_collections.airgap.mlops.plugins.module_utils._kubeconfig import Login
from ansible_collections.airgap.mlops.plugins.module_utils._tunnel import Tunnel, open_websocket

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HANDSHAKE = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: {}\r\nSec-WebSocket-Accept: {}\r\n\r\n"


class ApiServer:
    """One connection's other end."""

    def __init__(self, refusal: str = "") -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._refusal = refusal
        self.request = b""
        self.peer = websocket.WebSocket()
        self._ready = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        sock, _address = self._listening.accept()
        self._listening.close()
        while b"\r\n\r\n" not in self.request:
            self.request += sock.recv(4096)
        if self._refusal:
            sock.sendall(self._refusal.encode())
            sock.close()
            return
        key = next(
            line.split(b": ")[1]
            for line in self.request.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest()).decode()
        sock.sendall(_HANDSHAKE.format("v4.channel.k8s.io", accept).encode())
        self.peer.sock, self.peer.connected = sock, True
        for channel in (0, 1):
            self.send(channel, (5432).to_bytes(2, "little"))
        self._ready.set()

    def close(self) -> None:
        self.peer.shutdown()

    def send(self, channel: int, data: bytes) -> None:
        self.peer.send_binary(bytes([channel]) + data)

    def open(self) -> tuple[Tunnel, socket.socket]:
        client = KubeClient(Login("127.0.0.1", self.port, "/base", "localhost", "secret-token", None))
        tunnel = Tunnel(open_websocket(client, "/api/v1/x?ports=5432", doing="forward"))
        assert self._ready.wait(5)
        ours = socket.socket(fileno=tunnel.fileno)
        ours.settimeout(5)
        return tunnel, ours


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def test_bytes_go_both_ways_and_are_logged_in() -> None:
    server = ApiServer()
    _tunnel, ours = server.open()
    with ours, contextlib.closing(server):
        ours.sendall(b"ping")
        assert server.peer.recv() == b"\x00ping"
        server.send(0, b"pong")
        assert ours.recv(4) == b"pong"
    assert server.request.startswith(b"GET /base/api/v1/x?ports=5432 ")
    assert b"Bearer secret-token" in server.request


def test_what_came_before_the_end_is_not_lost() -> None:
    server = ApiServer()
    tunnel, ours = server.open()
    block = bytes(range(256)) * 4000
    with ours, contextlib.closing(server):
        server.send(0, block)
        server.peer.close()
        assert read_all(ours) == block
    assert tunnel.error == ""


def test_the_kubelets_error_is_kept() -> None:
    server = ApiServer()
    tunnel, ours = server.open()
    with ours, contextlib.closing(server):
        server.send(1, b"connection refused")
        assert read_all(ours) == b""
    assert tunnel.error == "connection refused"


def test_a_long_request_and_its_early_answer_do_not_block_each_other() -> None:
    server = ApiServer()
    _tunnel, ours = server.open()
    block = b"x" * 4_000_000
    got: list[bytes] = []

    def echo() -> None:
        received = 0
        while received < len(block):
            data = t.cast("bytes", server.peer.recv())[1:]
            received += len(data)
            server.send(0, data)

    def read() -> None:
        while sum(map(len, got)) < len(block):
            got.append(ours.recv(65536))

    threads = [threading.Thread(target=work, daemon=True) for work in (echo, read)]
    with ours, contextlib.closing(server):
        for thread in threads:
            thread.start()
        ours.sendall(block)
        for thread in threads:
            thread.join(10)
    assert b"".join(got) == block


def test_a_refusal_is_told() -> None:
    server = ApiServer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(KubeError, match="^Cannot forward: the API server answers 404") as caught:
        server.open()
    assert caught.value.status == 404


def test_nobody_listens() -> None:
    client = KubeClient(Login("127.0.0.1", 1, "", "localhost", "", None))
    with pytest.raises(KubeError, match="^Cannot forward: the API server cannot be reached .*refused"):
        open_websocket(client, "/x", doing="forward")
