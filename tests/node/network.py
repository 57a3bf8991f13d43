"""The sealed network of the nodes: this machine reaches them, they reach only each other.

podman's --internal leaves out the default route and NAT. A node that makes a route of its own is stopped by this
machine's packet filter, as is one that connects to a server on this machine (a proxy, a resolver).
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node.podman import NodeError, podman, run

__all__ = ("GATEWAY", "NETWORK", "SUBNET", "ensure_network", "network_lock", "remove_network", "stopped_packets")

NETWORK = "airgap-edge"
SUBNET = "10.210.77.0/24"
# Pods and services of the nodes: with br_netfilter this filter sees what one node's pods send to another's, too. It may
# cross the bridge, and the chain `routed` keeps it from going anywhere else.
PODS = "10.42.0.0/15"
GATEWAY = "10.210.77.1"
_TABLE = "airgap_edge"
# Nodes are made and removed side by side, and by several checkouts: the network is the machine's, and so is its lock.
_LOCK = Path("/run/lock/airgap-edge.lock")

_RULES = """
table inet {table} {{
    counter stopped {{ }}
    chain prerouting {{
        type filter hook prerouting priority -150; policy accept;
        iifname != "{bridge}" accept
        ct state established,related accept
        fib daddr type {{ broadcast, multicast }} accept
        ip6 daddr {{ fe80::/10, ff00::/8 }} accept
        ip daddr != {gateway} ip daddr {subnet} accept
        ip daddr {pods} accept
        counter name stopped drop
    }}
    chain routed {{
        type filter hook forward priority -150; policy accept;
        iifname "{bridge}" oifname != "{bridge}" counter name stopped drop
    }}
}}
"""


@contextmanager
def network_lock() -> Iterator[None]:
    """Held until a node stands on the network, so that nobody makes the network twice or removes it from under the node."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_network() -> None:
    """Make network and filter where they are missing. Call it under the lock."""
    if podman("network", "exists", NETWORK, check=False).returncode != 0:
        # with podman's DNS the look-ups of a node would be forwarded by this machine
        podman(
            "network", "create", "--internal", "--disable-dns", f"--subnet={SUBNET}", f"--gateway={GATEWAY}", NETWORK
        )
    settings = json.loads(podman("network", "inspect", NETWORK).stdout)[0]
    subnets = [subnet["subnet"] for subnet in settings["subnets"]]
    if not settings["internal"] or settings["dns_enabled"] or subnets != [SUBNET]:
        raise NodeError(
            f"the podman network {NETWORK} is not ours (internal, no DNS, {SUBNET}); remove it: podman network rm {NETWORK}"
        )
    present = run("nft", "list", "table", "inet", _TABLE, check=False)
    if present.returncode != 0 or "chain routed" not in present.stdout:  # none, or one of an older checkout
        bridge = settings["network_interface"]
        rules = _RULES.format(table=_TABLE, bridge=bridge, gateway=GATEWAY, subnet=SUBNET, pods=PODS)
        fresh = f"table inet {_TABLE}\ndelete table inet {_TABLE}\n"
        run("nft", "-f", "-", stdin=fresh + rules)


def stopped_packets() -> int:
    """Packets of all nodes that this machine's filter stopped."""
    found = json.loads(run("nft", "-j", "list", "counter", "inet", _TABLE, "stopped").stdout)
    return sum(item["counter"]["packets"] for item in found["nftables"] if "counter" in item)


def remove_network() -> None:
    """Remove network and filter once no node uses them."""
    with network_lock():
        if podman("ps", "--all", "--quiet", "--filter", f"network={NETWORK}").stdout.strip():
            return
        podman("network", "rm", NETWORK, check=False)
        run("nft", "delete", "table", "inet", _TABLE, check=False)
