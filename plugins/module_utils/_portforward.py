# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Sockets to a Service of the cluster through the API server's port-forward: nothing listens, no NetworkPolicy opens.

choose_target() is pure; PortForward asks the API server.
"""

from __future__ import annotations

import dataclasses
import socket
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._kube import KubeClient, KubeError, Object, api_path
from ansible_collections.airgap.mlops.plugins.module_utils._tunnel import Tunnel, open_websocket

__all__ = ("ForwardedSocket", "PortForward", "Target", "choose_target")


@dataclasses.dataclass(frozen=True)
class Target:
    """One port of one pod."""

    pod: str
    port: int


def choose_target(*, service: Object, pods: t.Iterable[Object], port: int) -> Target:
    """Pick a ready pod behind a Service, and the container port that this port of the Service means."""
    namespace = service["metadata"]["namespace"]
    name = f"{namespace}/{service['metadata']['name']}"
    ports = {entry["port"]: entry.get("targetPort", entry["port"]) for entry in service["spec"].get("ports", ())}
    if port not in ports:
        raise KubeError(f"service {name} has no port {port}; it has {', '.join(map(str, sorted(ports))) or 'none'}")
    found = sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
    ready = [pod for pod in found if _is_ready(pod)]
    if not ready:
        state = ", ".join(f"{pod['metadata']['name']} ({pod['status'].get('phase')})" for pod in found) or "none exists"
        raise KubeError(
            f"no pod behind service {name} is ready: {state}. Look at `kubectl -n {namespace} describe pod`."
        )
    pod = ready[0]
    target = ports[port]
    if isinstance(target, str) and not target.isdigit():
        return Target(pod["metadata"]["name"], _named_port(pod, target, name))
    return Target(pod["metadata"]["name"], int(target))


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return "deletionTimestamp" not in pod["metadata"] and any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
    )


def _named_port(pod: Object, wanted: str, service: str) -> int:
    for container in pod["spec"]["containers"]:
        for entry in container.get("ports", ()):
            if entry.get("name") == wanted:
                return int(entry["containerPort"])
    raise KubeError(f"pod {pod['metadata']['name']} behind service {service} has no port named {wanted}")


class ForwardedSocket(socket.socket):
    """Our end of a forwarded connection, a true socket. An end of stream that was an error is raised as that error."""

    def __init__(self, tunnel: Tunnel, target: Target) -> None:
        super().__init__(fileno=tunnel.fileno)
        self._tunnel = tunnel
        self._target = target

    def setsockopt(self, *args: t.Any) -> None:
        """Leave TCP options out: this is one end of a socket pair."""
        if args[0] != socket.IPPROTO_TCP:
            super().setsockopt(*args)

    def recv(self, *args: t.Any) -> bytes:
        data = super().recv(*args)
        if not data:
            self._raise_error()
        return data

    def recv_into(self, *args: t.Any, **kwargs: t.Any) -> int:  # what makefile() reads through
        count = super().recv_into(*args, **kwargs)
        if not count:
            self._raise_error()
        return count

    def _raise_error(self) -> None:
        if self._tunnel.error:
            raise ConnectionResetError(
                f"port {self._target.port} of pod {self._target.pod}: {self._tunnel.error.strip()}"
            )


class PortForward:
    """Connections to the Services of one namespace."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def connect(self, service: str, port: int) -> ForwardedSocket:
        """Return a new connection to a ready pod behind this port of the Service; every call makes one."""
        target = self._target(service, port)
        opened = open_websocket(
            self._client,
            f"{api_path('v1', 'pods', self._namespace, target.pod, 'portforward')}?ports={target.port}",
            doing=f"forward port {target.port} of pod {self._namespace}/{target.pod}",
        )
        return ForwardedSocket(Tunnel(opened), target)

    def _target(self, service: str, port: int) -> Target:
        found = self._client.request(
            "GET",
            api_path("v1", "services", self._namespace, service),
            doing=f"read service {self._namespace}/{service}",
        )
        selector = found["spec"].get("selector")
        if not selector:
            raise KubeError(
                f"service {self._namespace}/{service} selects no pods; give `address` for a server outside the cluster"
            )
        pods = self._client.request(
            "GET",
            api_path("v1", "pods", self._namespace),
            query={"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(selector.items()))},
            doing=f"list the pods behind service {self._namespace}/{service}",
        )
        return choose_target(service=found, pods=pods["items"], port=port)
