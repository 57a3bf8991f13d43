"""The cluster that is tried: its pods, Services and nodes, and pods of our own in place of what does not run just now."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lines.picture import ELSEWHERE, STRANGER, Source, Target
from tests.node.node import Node
from tests.node.podman import NodeError

__all__ = ("NAMESPACE", "Cluster")

NAMESPACE = "mlops"
_ELSEWHERE = "lines-elsewhere"
_NAME, _OURS = "app.kubernetes.io/name", "airgap.mlops/lines-test"
_PROBE = Path(__file__).with_name("probe.py").read_text()
# Never ready, so that no Service takes such a pod for one of its servers.
_POD = """
apiVersion: v1
kind: Pod
metadata: {{name: lines-{name}, namespace: {namespace}, labels: {{{name_label}: {name}, {ours}: "true"}}}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  securityContext: {{runAsNonRoot: true, runAsUser: 65534, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: listen
      image: {image}
      imagePullPolicy: Never
      command: [sh, -c, "for port in {ports}; do httpd -p $port -h /bin; done; exec sleep 2147483647"]
      readinessProbe: {{exec: {{command: ["false"]}}, periodSeconds: 60}}
      resources: {{requests: {{cpu: 1m, memory: 4Mi}}, limits: {{cpu: 500m, memory: 32Mi}}}}
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"""


@dataclass(frozen=True)
class Cluster:
    nodes: tuple[Node, ...]  # the first one runs kubectl

    def kubectl(self, *args: str, stdin: str = "") -> str:
        return _remote(self.nodes[0], ["k3s", "kubectl", *args], stdin)

    def probe(self, request: dict[str, t.Any]) -> list[t.Any]:
        """The answer of each node."""
        command = ["python3", "-c", _PROBE, _PROBE]
        return [json.loads(_remote(node, command, json.dumps(request))) for node in self.nodes]

    def get(self, kind: str) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = json.loads(self.kubectl("get", kind, "--all-namespaces", "-o", "json"))["items"]
        return found

    def pods(self) -> list[dict[str, t.Any]]:
        """Running pods with a network of their own."""
        return [
            pod
            for pod in self.get("pods")
            if pod["status"]["phase"] == "Running"
            and not pod["spec"].get("hostNetwork")
            and "deletionTimestamp" not in pod["metadata"]
        ]

    @contextmanager
    def company(self, components: list[str], ports: list[int]) -> Iterator[None]:
        """A pod for every component that has none, for a stranger, and for one in another namespace; all listen on all ports."""
        self._send_away()
        running = {_component(pod) for pod in self.pods()}
        images = _remote(self.nodes[0], ["k3s", "ctr", "--namespace", "k8s.io", "images", "ls", "-q"], "").split()
        image = next(name for name in images if "library-busybox:" in name)
        wanted = [(name, NAMESPACE) for name in [*components, STRANGER] if name not in running]
        texts = [
            _POD.format(
                name=name,
                namespace=namespace,
                name_label=_NAME,
                ours=_OURS,
                image=image,
                ports=" ".join(map(str, ports)),
            )
            for name, namespace in [*wanted, (ELSEWHERE, _ELSEWHERE)]
        ]
        namespace = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {_ELSEWHERE}}}}}"
        try:
            self.kubectl("apply", "-f", "-", stdin="\n---\n".join([namespace, *texts]))
            for where in (NAMESPACE, _ELSEWHERE):
                condition = "--for=jsonpath={.status.phase}=Running"
                self.kubectl("-n", where, "wait", condition, "pod", "-l", _OURS, "--timeout=120s")
            self._wait_for_company(ports)
            yield
        finally:
            self._send_away()

    def _wait_for_company(self, ports: list[int]) -> None:
        """A refusal says nothing where nobody listens."""
        for _second in range(30):
            heard = self._heard()
            deaf = [pod for pod in self.pods() if _OURS in (pod["metadata"].get("labels") or {})
                    and not set(ports) <= set(heard.get(pod["status"]["podIP"], []))]  # fmt: skip
            if not deaf:
                return
            time.sleep(1)
        raise NodeError(f"pod {deaf[0]['metadata']['name']} does not listen on all of {ports}")

    def _heard(self) -> dict[str, list[int]]:
        """The ports that something listens on, by the pod's address."""
        heard: dict[str, list[int]] = {}
        for survey in self.probe({"survey": True}):
            heard |= survey["pods"]
        return heard

    def _send_away(self) -> None:
        self.kubectl("-n", NAMESPACE, "delete", "pods", "-l", _OURS, "--wait=true")
        self.kubectl("delete", "namespace", _ELSEWHERE, "--ignore-not-found", "--wait=true")

    # -- who tries what ---------------------------------------------------------------------------------------

    def sources(self) -> list[Source]:
        return [
            Source(_component(pod), pod["status"]["podIP"], pod["spec"]["nodeName"])
            for pod in self.pods()
            if pod["metadata"]["namespace"] in (NAMESPACE, _ELSEWHERE)
        ]

    def targets(self, ports: list[int]) -> list[Target]:
        on_nodes = {port for survey in self.probe({"survey": True}) for port in survey["node"]}
        return [
            *self._pod_targets(self._heard(), ports),
            *self._service_targets(),
            *self._node_targets(sorted(on_nodes)),
        ]

    def _pod_targets(self, heard: dict[str, list[int]], ports: list[int]) -> Iterator[Target]:
        for pod in self.pods():
            address, component = pod["status"]["podIP"], _component(pod)
            more = ports if pod["metadata"]["namespace"] == NAMESPACE else []
            for port in sorted({*heard.get(address, []), *more}):
                what = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']} port {port}"
                yield Target(address, port, "pod", what, component, port)

    def _service_targets(self) -> Iterator[Target]:
        """Services, on their own address and on their nodes' ports. Behind them stand pods, and lines are about those."""
        pods = self.pods()
        for service in self.get("services"):
            spec, name = service["spec"], service["metadata"]["name"]
            selector = (spec.get("selector") or {}).items()
            behind = [
                pod
                for pod in pods
                if selector and selector <= pod["metadata"]["labels"].items()
                and pod["metadata"]["namespace"] == service["metadata"]["namespace"]
            ]  # fmt: skip
            component = _component(behind[0]) if behind else ""
            for port in spec["ports"]:
                pod_port = _number(port.get("targetPort", port["port"]), port.get("protocol", "TCP"), behind)
                protocol = port.get("protocol", "TCP").lower()
                what = f"service {name} port {port['port']}/{protocol}"
                yield Target(spec["clusterIP"], port["port"], "service", what, component, pod_port, protocol)
                for node in self.nodes if "nodePort" in port else ():
                    what = f"service {name} on {node.name}:{port['nodePort']}"
                    yield Target(
                        node.address, port["nodePort"], "node port", what, component, pod_port, protocol, node.name
                    )

    def _node_targets(self, ports: list[int]) -> Iterator[Target]:
        """Hosts, on their own address and on the one that their pods have as gateway."""
        for node in self.nodes:
            for port in ports:
                yield Target(node.address, port, "node", f"node {node.name} port {port}")
        for item in self.get("nodes"):
            gateway = item["spec"]["podCIDR"].rsplit(".", 1)[0] + ".1"
            for port in ports:
                yield Target(gateway, port, "node", f"node {item['metadata']['name']} as gateway, port {port}")


def _component(pod: dict[str, t.Any]) -> str:
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    if pod["metadata"]["namespace"] == NAMESPACE:
        return labels.get(_NAME, STRANGER)
    if pod["metadata"]["namespace"] == "kube-system" and labels.get("k8s-app") == "kube-dns":
        return "dns"
    return ELSEWHERE


def _number(port: int | str, protocol: str, pods: list[dict[str, t.Any]]) -> int:
    """The port of a pod that a Service leads to, which may be a name."""
    if isinstance(port, int):
        return port
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for one in container.get("ports", []):
                if (one.get("name"), one.get("protocol", "TCP")) == (port, protocol):
                    return int(one["containerPort"])
    return 0


def _remote(node: Node, command: list[str], stdin: str) -> str:
    full = [*node.ssh.command(node.address), shlex.join(command)]
    done = subprocess.run(full, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(command)[:200]} on node {node.name}: {done.stderr.strip()[-2000:]}")
    return done.stdout
