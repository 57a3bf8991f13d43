# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What k3s on a node is, and whether its running process is the one that is wanted. Pure.

Whether to restart is decided by comparing what is on the disk with what the running process was started with. A start
writes the latter itself: a drop-in of the unit runs sha256sum over the files below, just before k3s reads them, and
puts the sums under /run beside systemd's name for that start (the invocation id). The process' own environment would
be no witness: k3s overwrites it, with its arguments, when it sets its title.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
import typing as t
from dataclasses import dataclass, field

__all__ = (
    "CORE_DNS",
    "UNITS",
    "NodeView",
    "Started",
    "Unit",
    "members",
    "missing_for_readiness",
    "parse_node",
    "parse_started",
    "parse_unit",
    "planned_sums",
    "restart_reasons",
    "start_patterns",
    "started_path",
)

UNITS = {"server": "k3s", "agent": "k3s-agent"}
CORE_DNS = "coredns"
_CLOUD_TAINT = "node.cloudprovider.kubernetes.io/uninitialized"


def started_path(unit: str) -> str:
    return f"/run/airgap-mlops/{unit}.started"


def start_patterns(unit: str, k3s: str, data_dir: str) -> tuple[str, ...]:
    """Shell patterns of every file that a start of k3s reads. roles/k3s/templates/airgap-k3s-started.j2 has the same list."""
    containerd = f"{data_dir}/agent/etc/containerd"
    return (
        k3s,
        f"/etc/systemd/system/{unit}.service",
        f"/etc/systemd/system/{unit}.service.d/*.conf",
        f"/etc/systemd/system/{unit}.service.env",
        f"/etc/default/{unit}",
        f"/etc/sysconfig/{unit}",
        "/etc/rancher/k3s/config.yaml",
        "/etc/rancher/k3s/config.yaml.d/*.yaml",
        "/etc/rancher/k3s/config.yaml.d/*.yml",
        "/etc/rancher/k3s/registries.yaml",
        "/etc/rancher/k3s/resolv.conf",
        "/etc/rancher/k3s/token",
        f"{containerd}/*.tmpl",
        f"{containerd}/config.toml.d/*.toml",
        f"{containerd}/config-v3.toml.d/*.toml",
    )


@dataclass(frozen=True)
class Unit:
    """What systemd says about the service."""

    name: str
    loaded: bool = False
    enabled: bool = False
    state: str = "inactive"
    pid: int = 0
    invocation: str = ""
    restarts: int = 0
    needs_reload: bool = False
    # Microseconds of the monotonic clock at which its process started.
    started: int = 0

    @property
    def running(self) -> bool:
        return self.pid > 0 and self.state in ("active", "activating", "reloading")


@dataclass(frozen=True)
class Started:
    """What a process was started with, as the start wrote it down."""

    invocation: str = ""
    version: str | None = None
    sums: t.Mapping[str, str] = field(default_factory=dict)


def parse_unit(name: str, properties: str) -> Unit:
    """Read `systemctl show`."""
    values = dict(line.split("=", 1) for line in properties.splitlines() if "=" in line)
    return Unit(
        name=name,
        loaded=values.get("LoadState") == "loaded",
        enabled=values.get("UnitFileState") == "enabled",
        state=values.get("ActiveState", "inactive"),
        pid=int(values.get("MainPID") or 0),
        invocation=values.get("InvocationID", ""),
        restarts=int(values.get("NRestarts") or 0),
        needs_reload=values.get("NeedDaemonReload") == "yes",
        started=int(values.get("ExecMainStartTimestampMonotonic") or 0),
    )


def parse_started(text: str) -> Started:
    invocation = re.search(r"^invocation (\S+)$", text, re.MULTILINE)
    version = re.search(r"^k3s version (v\S+)", text, re.MULTILINE)
    sums = {match.group(2): match.group(1) for match in re.finditer(r"^([0-9a-f]{64})  (/.+)$", text, re.MULTILINE)}
    return Started(invocation.group(1) if invocation else "", version.group(1) if version else None, sums)


def planned_sums(
    sums: t.Mapping[str, str], planned: t.Mapping[str, str | None], patterns: t.Collection[str]
) -> dict[str, str]:
    """Sums of the files as they will be: `planned` are those that will have changed, None for one that will be gone."""
    read = {path: digest for path, digest in planned.items() if any(fnmatch.fnmatchcase(path, p) for p in patterns)}
    return {path: digest for path, digest in {**sums, **read}.items() if digest}


def restart_reasons(unit: Unit, started: Started, sums: t.Mapping[str, str]) -> list[str]:
    """Why the running process is not the wanted one; empty when it is. `sums` are those of the files as they are now."""
    if not unit.running:
        return [f"{unit.name}.service is {unit.state}"]
    if not started.invocation or started.invocation != unit.invocation:
        return [f"it is not on record what the running process of {unit.name}.service was started with"]
    reasons = [
        f"{path} has changed since the start"
        for path in sorted(sums)
        if path in started.sums and started.sums[path] != sums[path]
    ]
    reasons += [f"{path} is new since the start" for path in sorted(set(sums) - set(started.sums))]
    reasons += [f"{path} is gone since the start" for path in sorted(set(started.sums) - set(sums))]
    return reasons


@dataclass(frozen=True)
class NodeView:
    """A Node object, reduced to what readiness and quorum need."""

    name: str
    ready: bool
    kubelet_version: str
    server: bool
    etcd: bool
    cloud_taint: bool
    message: str = ""
    # Seconds since 1970 at which its kubelet wrote this, by its own clock.
    heartbeat: float = 0.0


def _seconds(timestamp: str) -> float:
    try:
        return (
            datetime.datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ")
            .replace(tzinfo=datetime.timezone.utc)
            .timestamp()
        )
    except ValueError:
        return 0.0


def parse_node(node: t.Mapping[str, t.Any]) -> NodeView:
    labels = node["metadata"].get("labels", {})
    status = node.get("status", {})
    ready: dict[str, str] = next((c for c in status.get("conditions", []) if c.get("type") == "Ready"), {})
    return NodeView(
        name=node["metadata"]["name"],
        ready=ready.get("status") == "True",
        kubelet_version=status.get("nodeInfo", {}).get("kubeletVersion", ""),
        server="node-role.kubernetes.io/control-plane" in labels,
        etcd="node-role.kubernetes.io/etcd" in labels,
        cloud_taint=any(taint.get("key") == _CLOUD_TAINT for taint in node.get("spec", {}).get("taints") or []),
        message=ready.get("message", ""),
        heartbeat=_seconds(ready.get("lastHeartbeatTime", "")),
    )


def members(nodes: t.Sequence[NodeView]) -> dict[str, t.Any]:
    """Servers of the cluster, and whether enough of them are ready to decide anything."""
    servers = [node for node in nodes if node.server]
    ready = sum(node.ready for node in servers)
    needed = len(servers) // 2 + 1 if any(node.etcd for node in servers) else min(1, len(servers))
    return {
        "nodes": len(nodes),
        "servers": len(servers),
        "servers_ready": ready,
        "etcd": any(node.etcd for node in servers),
        "quorum": needed,
        "has_quorum": bool(servers) and ready >= needed,
        "not_ready": sorted(node.name for node in nodes if not node.ready),
    }


def missing_for_readiness(
    unit: Unit, version: str | None, api: str | None, node: NodeView | None, dns: str | None, since: float = 0.0
) -> str | None:
    """The first thing that is still missing, in the order in which k3s brings them; None when all is there.

    `api` and `dns` are what is wrong with the API server and with CoreDNS, or None. `since` is when the process started: a
    Node goes on to say Ready for 40 seconds after its kubelet has ended.
    """
    if not unit.running:
        return f"{unit.name}.service is {unit.state}"
    if api:
        return f"the API does not answer: {api}"
    if node is None:
        return "the node has not registered"
    if version and node.kubelet_version != version:
        return f"the kubelet still reports {node.kubelet_version or 'no version'}, installed is {version}"
    if node.heartbeat < int(since):
        return f"what is known of node {node.name} is from before the start"
    if not node.ready:
        return f"node {node.name} is not Ready: {node.message or 'its kubelet says nothing'}"
    if node.cloud_taint:
        return f"node {node.name} still bears the taint {_CLOUD_TAINT}"
    return dns
