# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""From lines, such as `mlflow to postgresql, port 5432`, to the NetworkPolicies that allow them and nothing else. Pure."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan

__all__ = (
    "DEFAULT_DENY",
    "Line",
    "LineError",
    "Outside",
    "PolicyStep",
    "line_problems",
    "network_problems",
    "parse_lines",
    "parse_outside",
    "plan_policies",
    "policies",
)

DEFAULT_DENY = "default-deny"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Together with `-out` it must be a DNS label.
_LINE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,57}[a-z0-9])?")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_LABEL = "app.kubernetes.io/name"
_DNS_PEER = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}

Object = dict[str, t.Any]


class LineError(AirgapError):
    """A line that nobody can draw."""


@dataclass(frozen=True)
class Line:
    """Who may open connections to whom.

    An end is the name of a component, `all` pods of the namespace, `NAMESPACE/NAME` or `NAMESPACE/*`, a network in CIDR
    form; `outside`, where clients of node ports are (a source), or `dns`, the cluster's resolver (a target).
    """

    name: str
    source: str
    target: str
    port: int
    protocols: tuple[str, ...] = ("TCP",)

    def __str__(self) -> str:
        return f"{self.name} ({self.source} to {self.target}, {'/'.join(self.protocols)} {self.port})"


@dataclass(frozen=True)
class Outside:
    """Where clients of node ports come from, as their packets tell it when they reach a pod."""

    clients: tuple[str, ...]  # networks
    pod_networks: tuple[str, ...]  # no client is in these, though a client's network may contain them
    node_pods: tuple[str, ...] = ()  # each node's part of the pod network

    def blocks(self) -> list[Object]:
        blocks = []
        for client in map(ipaddress.ip_network, self.clients):
            inner = [n for n in map(ipaddress.ip_network, self.pod_networks) if _contains(client, n)]
            block: Object = {"cidr": str(client)}
            if inner:
                block["except"] = [str(network) for network in inner]
            blocks.append({"ipBlock": block})
        return blocks + [{"ipBlock": {"cidr": address}} for address in self._node_addresses()]

    def _node_addresses(self) -> list[str]:
        """Through a node port of another node a client comes from that node's own address in the pod network.

        That is the first address of its part, which no pod ever has. Clients of all networks come that way, so it is only
        open where every client may come.
        """
        if len(self.node_pods) < 2:
            return []
        parts = [ipaddress.ip_network(part) for part in self.node_pods]
        everywhere = {n.version for n in map(ipaddress.ip_network, self.clients) if n.prefixlen == 0}
        return sorted(f"{n.network_address}/{n.max_prefixlen}" for n in parts if n.version in everywhere)


def _contains(outer: t.Any, inner: t.Any) -> bool:
    return bool(outer.version == inner.version and outer != inner and inner.subnet_of(outer))


def line_problems(items: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """What is wrong with lines as a person wrote them, a sentence each."""
    seen: set[str] = set()
    problems = []
    for item in items:
        name = str(item.get("name", ""))
        found = list(_problems(item, name))
        if name in seen:
            found.append("another line has this name: choose one of its own")
        seen.add(name)
        problems += [f"network line {name or dict(item)}: {problem}" for problem in found]
    return problems


def _problems(item: t.Mapping[str, t.Any], name: str) -> t.Iterator[str]:
    if not _LINE_NAME.fullmatch(name) or name == DEFAULT_DENY:
        yield f"name {name!r} must be lower-case letters, digits and dashes, at most 59, and not {DEFAULT_DENY}"
    source, target = str(item.get("from", "")), str(item.get("to", ""))
    for key, end, special in (("from", source, "outside"), ("to", target, "dns")):
        if not _is_end(end) or (end in ("outside", "dns") and end != special):
            yield (
                f"{key}: {end!r} is neither a component's name, all, {special}, NAMESPACE/NAME, NAMESPACE/* nor a network "
                "such as 10.1.2.3/32 without host bits"
            )
    if not _is_here(source) and not _is_here(target):
        yield "neither end is in the namespace, so there is nothing to allow"
    try:
        port = int(item.get("port") or 0)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        yield f"port {item.get('port')!r} is no number from 1 to 65535 (the pod's port, not that of its Service)"
    protocols = item.get("protocols") or ["TCP"]
    if not set(protocols) <= set(_PROTOCOLS):
        yield f"protocols {protocols} are not all among {', '.join(_PROTOCOLS)}"


def parse_lines(items: t.Iterable[t.Mapping[str, t.Any]]) -> list[Line]:
    """Lines of the role's and of the site's data; one error tells everything that is wrong."""
    items = list(items)
    problems = line_problems(items)
    if problems:
        raise LineError(f"Nothing was changed: {'; '.join(problems)}.", problems=problems)
    return [
        Line(item["name"], item["from"], item["to"], int(item["port"]), tuple(item.get("protocols") or ["TCP"]))
        for item in items
    ]


def network_problems(clients: t.Iterable[str], pod_networks: t.Iterable[str]) -> list[str]:
    """What is wrong with the networks that `outside` follows from."""
    clients, pod_networks = list(clients), list(pod_networks)
    problems = [
        f"{network!r} is no network in CIDR form, such as 10.1.0.0/16, without host bits"
        for network in [*clients, *pod_networks]
        if not _is_network(network)
    ]
    if not problems:
        problems += [
            f"the clients' network {client} lies in the pods' network {pods}, and pods are no clients from outside"
            for client in clients
            for pods in pod_networks
            if client == pods or _contains(ipaddress.ip_network(pods), ipaddress.ip_network(client))
        ]
    return problems


def parse_outside(clients: t.Iterable[str], pod_networks: t.Iterable[str], node_pods: t.Iterable[str]) -> Outside:
    outside = Outside(tuple(clients), tuple(pod_networks), tuple(node_pods))
    problems = network_problems(outside.clients, outside.pod_networks)
    if problems:
        raise LineError(f"Nothing was changed: {'; '.join(problems)}.", problems=problems)
    return outside


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


def _is_end(end: str) -> bool:
    namespace, slash, name = end.partition("/")
    if slash and _NAME.fullmatch(namespace):
        return name == "*" or bool(_NAME.fullmatch(name))
    return _is_network(end) if slash else bool(_NAME.fullmatch(end))


def _is_here(end: str) -> bool:
    return "/" not in end and end not in ("outside", "dns")


def _selector(end: str) -> Object:
    return {} if end in ("all", "*") else {"matchLabels": {_LABEL: end}}


def _peers(end: str, outside: Outside) -> list[Object]:
    namespace, slash, name = end.partition("/")
    if end == "outside":
        return outside.blocks()
    if end == "dns":
        return [_DNS_PEER]
    if not slash:
        return [{"podSelector": _selector(end)}]
    if _NAME.fullmatch(namespace):
        here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        return [{"namespaceSelector": here, "podSelector": _selector(name)}]
    return [{"ipBlock": {"cidr": str(ipaddress.ip_network(end))}}]


def policies(lines: t.Iterable[Line], outside: Outside) -> dict[str, Object]:
    """The specs by name: a line is let out at its source and in at its target. Last, so that what works is not cut off
    when the first policies come to a namespace, all else is refused."""
    found: dict[str, Object] = {}
    for line in lines:
        ports = [{"protocol": protocol, "port": line.port} for protocol in line.protocols]
        if _is_here(line.source):
            found[f"{line.name}-out"] = {
                "podSelector": _selector(line.source),
                "policyTypes": ["Egress"],
                "egress": [{"to": _peers(line.target, outside), "ports": ports}],
            }
        if _is_here(line.target):
            found[f"{line.name}-in"] = {
                "podSelector": _selector(line.target),
                "policyTypes": ["Ingress"],
                "ingress": [{"from": _peers(line.source, outside), "ports": ports}],
            }
    return {**found, DEFAULT_DENY: {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}


@dataclass(frozen=True)
class PolicyStep:
    verb: str  # create, update or remove
    name: str
    spec: t.Mapping[str, t.Any]
    labels: t.Mapping[str, str]
    stored: t.Mapping[str, t.Any] | None = None

    def __str__(self) -> str:
        return f"{self.verb} network policy {self.name}"


def plan_policies(
    wanted: t.Mapping[str, Object], stored: t.Iterable[Object], labels: t.Mapping[str, str]
) -> StepPlan[PolicyStep]:
    """Steps to the wanted policies. One with all our labels that nobody wants any more goes: it would leave a line open."""
    have = {item["metadata"]["name"]: item for item in stored}
    ours = {name for name, item in have.items() if _has(item, labels)}
    steps = []
    for name, spec in wanted.items():
        if name not in have:
            steps.append(PolicyStep("create", name, spec, labels))
        elif have[name].get("spec") != spec or name not in ours:
            steps.append(PolicyStep("update", name, spec, labels, have[name]))
    steps += [PolicyStep("remove", name, {}, {}, have[name]) for name in sorted(ours - set(wanted))]
    touched = {step.name for step in steps}
    before = {name: have[name].get("spec") for name in sorted(touched & set(have))}
    return StepPlan(tuple(steps), before, {name: wanted[name] for name in sorted(touched & set(wanted))})


def _has(item: Object, labels: t.Mapping[str, str]) -> bool:
    found = item["metadata"].get("labels") or {}
    return all(found.get(key) == value for key, value in labels.items())
