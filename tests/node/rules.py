"""The counters of what tries to leave a node: nftables rules in the node's own network namespace, and how to read them. Pure.

Counted is every packet that the node or one of its pods sends to an address that is not the node itself, a pod, a
Service or another node; connections to the network's gateway (this machine) count too. Not counted: answers to who
connected from outside, multicast, broadcast and IPv6 link-local traffic, which no router passes on.
The rules stand before destination NAT and before any filter, so that what the product rejects later is counted as well.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

__all__ = ("TABLE", "Counters", "egress_rules", "read_counters")

TABLE = "airgap_egress"

_RULES = """
table inet {table} {{ }}
delete table inet {table}
table inet {table} {{
    counter all_packets {{ }}
    counter dns_packets {{ }}
    set destinations {{
        type ipv4_addr . inet_proto . inet_service
        size 1024; flags dynamic
        counter
    }}
    chain leaving {{
        fib daddr type {{ local, broadcast, multicast, anycast }} return
        ip6 daddr {{ fe80::/10, ff00::/8 }} return
        ip daddr {{ {inside} }} return
        ip daddr {gateway} ct state established,related return
        ip daddr != {gateway} ip daddr {subnet} return
        counter name all_packets
        meta l4proto {{ tcp, udp }} th dport 53 counter name dns_packets
        meta nfproto ipv4 meta l4proto {{ tcp, udp }} update @destinations {{ ip daddr . meta l4proto . th dport counter }}
    }}
    chain prerouting {{
        type filter hook prerouting priority -150; policy accept;
        jump leaving
    }}
    chain output {{
        type filter hook output priority -150; policy accept;
        jump leaving
    }}
}}
"""

_PODS_AND_SERVICES = "10.42.0.0/16, 10.43.0.0/16"
_PROTOCOLS = {6: "tcp", 17: "udp", "tcp": "tcp", "udp": "udp"}


@dataclass
class Counters:
    """What left, or tried to. `destinations` maps `address proto/port` to packets (TCP and UDP over IPv4)."""

    packets: int = 0
    dns_packets: int = 0
    destinations: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Counters) -> Counters:
        return self._combine(other, 1)

    def __sub__(self, other: Counters) -> Counters:
        return self._combine(other, -1)

    def _combine(self, other: Counters, sign: int) -> Counters:
        addresses = sorted({*self.destinations, *other.destinations})
        sums = {name: self.destinations.get(name, 0) + sign * other.destinations.get(name, 0) for name in addresses}
        return Counters(
            packets=self.packets + sign * other.packets,
            dns_packets=self.dns_packets + sign * other.dns_packets,
            destinations={name: count for name, count in sums.items() if count},
        )


def egress_rules(*, subnet: str, gateway: str) -> str:
    """Input for `nft -f`, in the node's network namespace."""
    return _RULES.format(table=TABLE, inside=_PODS_AND_SERVICES, subnet=subnet, gateway=gateway)


def read_counters(nft_json: dict[str, t.Any]) -> Counters:
    """From `nft -j list table inet airgap_egress`."""
    counters = Counters()
    for item in nft_json["nftables"]:
        if "counter" in item:
            setattr(counters, item["counter"]["name"].removeprefix("all_"), item["counter"]["packets"])
        if "set" in item:
            for elem in item["set"].get("elem", []):
                address, proto, port = elem["elem"]["val"]["concat"]
                counters.destinations[f"{address} {_PROTOCOLS.get(proto, proto)}/{port}"] = elem["elem"]["counter"][
                    "packets"
                ]
    return counters
