# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""One port of a pod as a socket, over Kubernetes' port-forward on a WebSocket (v4.channel.k8s.io). I/O.

Of each message the first byte is the channel: 0 is the port's bytes, 1 the kubelet's error. The first message on each says
the port's number. The guard for the websocket-client library is here and nowhere else.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import traceback
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeClient, KubeError

try:
    import websocket

    WEBSOCKET_TRACEBACK = ""
except ImportError:
    WEBSOCKET_TRACEBACK = traceback.format_exc()

__all__ = ("Tunnel", "open_websocket")

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CHUNK = 65536


def open_websocket(client: KubeClient, path: str, *, doing: str) -> t.Any:
    """A WebSocket to this path of the API server."""
    if WEBSOCKET_TRACEBACK:
        raise KubeError(missing_required_lib("websocket-client"), exception=WEBSOCKET_TRACEBACK)
    scheme = "ws" if client.login.tls is None else "wss"
    host = f"[{client.login.host}]" if ":" in client.login.host else client.login.host
    try:
        sock = client.socket()
        try:
            opened = websocket.WebSocket()
            # With a socket of ours the library looks for no proxy and needs no certificates.
            opened.connect(
                f"{scheme}://{host}:{client.login.port}{client.login.path}{path}",
                socket=sock,
                header=client.headers(),
                subprotocols=[_PROTOCOL],
            )
        except BaseException:
            sock.close()
            raise
    except websocket.WebSocketBadStatusException as exc:
        raise KubeError(f"Cannot {doing}: the API server answers {exc.status_code}", status=exc.status_code) from exc
    except (websocket.WebSocketException, OSError) as exc:
        raise KubeError(
            f"Cannot {doing}: the API server cannot be reached ({exc}). Check that k3s is running."
        ) from exc
    sock.settimeout(None)
    return opened


class Tunnel:
    """Moves bytes between a local socket and the pod's port until one of them ends. `error` is what the kubelet said."""

    def __init__(self, opened: t.Any) -> None:
        self.error = ""
        self._websocket = opened
        self._greeted: set[int] = set()
        outer, self._inner = socket.socketpair()
        self.fileno = outer.detach()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._move()
        except (websocket.WebSocketException, OSError) as exc:
            self.error = self.error or str(exc)
        finally:
            self._inner.close()
            with contextlib.suppress(websocket.WebSocketException, OSError):
                self._websocket.shutdown()

    def _move(self) -> None:
        """Neither side waits for the other, so that a long request and its early answer do not block each other."""
        outside, inside = self._websocket.sock, self._inner
        to_pod = from_pod = b""
        while True:
            waiting = (
                hasattr(outside, "pending") and outside.pending() > 0
            )  # decrypted already, so select does not see it
            readable, writable, _failed = select.select(
                [outside, *([] if to_pod else [inside])],
                [*([outside] if to_pod else []), *([inside] if from_pod else [])],
                [],
                0 if waiting else None,
            )
            if waiting or outside in readable:
                received = self._receive()
                if received is None:
                    inside.sendall(from_pod)
                    return
                from_pod += received
            if inside in readable:
                data = inside.recv(_CHUNK)
                if not data:
                    return
                to_pod = websocket.ABNF.create_frame(bytes([_DATA]) + data, websocket.ABNF.OPCODE_BINARY).format()
            if inside in writable:
                from_pod = from_pod[inside.send(from_pod) :]
            if outside in writable:
                to_pod = to_pod[outside.send(to_pod) :]

    def _receive(self) -> bytes | None:
        """Bytes of the port from one frame, which may be none; None at the end."""
        try:
            opcode, frame = self._websocket.recv_data_frame(True)
        except websocket.WebSocketConnectionClosedException:
            return None
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return None
        if opcode != websocket.ABNF.OPCODE_BINARY or not frame.data:
            return b""
        channel, data = frame.data[0], bytes(frame.data[1:])
        if channel not in self._greeted:
            self._greeted.add(channel)
            return b""
        if channel == _ERROR:
            self.error += data.decode("utf-8", "replace")
            return None
        return data
