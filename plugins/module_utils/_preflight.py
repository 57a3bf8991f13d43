# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Whether a host can become, or go on as, a node of a site. Pure: facts and requirements in, findings out.

Every failure names the thing, where it is, and a way out; all of them are found in one pass.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_config import effective_config
from ansible_collections.airgap.mlops.plugins.module_utils._versions import K3sVersion

__all__ = (
    "CHECKS",
    "DiskNeed",
    "FileSystem",
    "Findings",
    "HostFacts",
    "Listener",
    "Peer",
    "Requirements",
    "check_host",
    "parse_size",
    "size_text",
)

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_CGROUP_V2 = ("cpu", "cpuset", "memory", "pids")
# kubelet 1.35 refuses cgroup v1 unless it is told not to.
_CGROUP_V1_REFUSED_FROM = (1, 35)


@dataclass(frozen=True)
class Listener:
    port: int
    program: str
    pid: int = 0
    ours: bool = False


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system and the paths of interest on it."""

    mount: str
    free: int
    total: int


@dataclass(frozen=True)
class DiskNeed:
    """What will be written below a path. `present`: it is there already."""

    path: str
    size: int
    what: str
    present: bool = False


@dataclass(frozen=True)
class HostFacts:
    hostname: str
    os_id: str
    os_version: str
    os_name: str
    machine: str
    cgroup_version: int
    cgroup_controllers: frozenset[str]
    memory: int
    swaps: tuple[str, ...]
    time: float
    default_routes: int
    has_ip_command: bool
    addresses: tuple[str, ...]
    listeners: tuple[Listener, ...] = ()
    file_systems: t.Mapping[str, FileSystem] = field(default_factory=dict)
    installed_role: str | None = None
    installed_version: str | None = None
    cluster_id: str | None = None
    token: str = ""
    selinux_enforcing: bool = False
    selinux_policy: bool = False


@dataclass(frozen=True)
class Peer:
    """Another host of the same site, as it was found."""

    host: str
    role: str
    node_name: str = ""
    cluster_id: str | None = None


@dataclass(frozen=True)
class Requirements:
    host: str
    role: str
    arch: str
    k3s_version: str
    k3s_minimum: str
    patch_downgrade: bool = False
    systems: t.Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    disk: tuple[DiskNeed, ...] = ()
    disk_reserve_percent: int = 0
    memory: int = 0
    swap: str = "warn"
    controller_time: float | None = None
    clock_skew: int = 0
    default_route: str = "auto"
    node_ip: str = ""
    k3s_configs: tuple[t.Mapping[str, t.Any], ...] = ()
    extra_keys: tuple[str, ...] = ()
    tokens: t.Mapping[str, str] = field(default_factory=dict)
    # None: the host's own. Empty, as for a peer: k3s gives one that nobody else has.
    node_name: str | None = None
    # It begins the cluster of its site.
    founder: bool = False
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True)
class Findings:
    failures: tuple[str, ...]
    warnings: tuple[str, ...]


Found = t.Iterator[tuple[bool, str]]


def _fail(text: str) -> tuple[bool, str]:
    return True, text


def _warn(text: str) -> tuple[bool, str]:
    return False, text


def size_text(size: float) -> str:
    steps = 0
    while abs(size) >= 1024 and steps < len(_UNITS) - 1:
        size /= 1024
        steps += 1
    return f"{size:.1f} {_UNITS[steps]}" if steps else f"{size:.0f} {_UNITS[0]}"


def parse_size(text: str) -> int:
    """Bytes of a quantity as Kubernetes writes it: 512Mi, 10Gi, 2G, 1048576."""
    match = re.match(r"^(\d+(?:\.\d+)?)(?:([KMGT])(i?))?$", str(text).strip())
    if not match:
        raise AirgapError(f"{text!r} is no size. Write it as Kubernetes does, for example 512Mi or 10Gi.")
    number, letter, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("KMGT".index(letter) + 1 if letter else 0))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def check_system(host: HostFacts, need: Requirements) -> Found:
    minimum = need.systems.get(host.os_id)
    supported = ", ".join(f"{name} {version} or later" for name, version in sorted(need.systems.items()))
    if minimum is None:
        yield _fail(
            f"operating system: {host.os_name} is not supported; supported are {supported}. Add it to preflight_systems if you have tried it."
        )
    elif _numbers(host.os_version) < _numbers(minimum):
        yield _fail(f"operating system: {host.os_name} is too old; supported are {supported}. Upgrade the host.")


def check_architecture(host: HostFacts, need: Requirements) -> Found:
    arch = ARCHITECTURES.get(host.machine, host.machine)
    if arch != need.arch:
        yield _fail(
            f"architecture: the host is {arch} ({host.machine}), the bundle is for {need.arch}. Use a bundle made with bundle_arch={arch}."
        )


def check_cgroups(host: HostFacts, need: Requirements) -> Found:
    missing = sorted(set(_CGROUP_V2) - host.cgroup_controllers)
    if missing:
        yield _fail(
            f"cgroups: the controllers {', '.join(missing)} are not available (/sys/fs/cgroup, cgroup v{host.cgroup_version}). "
            "Enable them on the kernel's command line, on a Raspberry Pi with cgroup_memory=1 cgroup_enable=memory."
        )
    told = any(
        "fail-cgroupv1=false" in str(arg) for config in need.k3s_configs for arg in _list(config.get("kubelet-arg"))
    )
    refused = K3sVersion.parse(need.k3s_version).minor >= _CGROUP_V1_REFUSED_FROM
    if host.cgroup_version == 1 and refused and not told:
        yield _fail(
            f"cgroups: the host runs cgroup v1, which the kubelet of {need.k3s_version} refuses. Boot with systemd.unified_cgroup_hierarchy=1, "
            "or as a stopgap add fail-cgroupv1=false to kubelet-arg in k3s_config."
        )


def _list(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def check_ports(host: HostFacts, need: Requirements) -> Found:
    for listener in host.listeners:
        if listener.port in need.ports and not listener.ours:
            holder = f"{listener.program} (process {listener.pid})" if listener.pid else "a process that cannot be seen"
            yield _fail(f"port {listener.port}: {holder} listens on it. Stop that service, or move it to another port.")


def check_disk(host: HostFacts, need: Requirements) -> Found:
    wanted: dict[str, list[DiskNeed]] = {}
    for item in need.disk:
        if not item.present:
            wanted.setdefault(host.file_systems[item.path].mount, []).append(item)
    by_mount = {system.mount: system for system in host.file_systems.values()}
    for mount, items in sorted(wanted.items()):
        system = by_mount[mount]
        reserve = system.total * need.disk_reserve_percent // 100
        total = sum(item.size for item in items)
        if total + reserve > system.free:
            sizes: dict[str, int] = {}
            for item in items:
                sizes[item.what] = sizes.get(item.what, 0) + item.size
            parts = ", ".join(f"{what} {size_text(size)}" for what, size in sizes.items())
            yield _fail(
                f"disk: {mount} has {size_text(system.free)} free and needs {size_text(total + reserve)} ({parts}; {size_text(reserve)} that the "
                f"kubelet wants to stay free). Free or add {size_text(total + reserve - system.free)}, or mount a larger disk on "
                f"{' or '.join(sorted({item.path for item in items}))}."
            )


def check_memory(host: HostFacts, need: Requirements) -> Found:
    if host.memory < need.memory:
        yield _fail(
            f"memory: the host has {size_text(host.memory)}, needed are {size_text(need.memory)}. Add memory, or lower preflight_memory if you deploy less."
        )


def check_swap(host: HostFacts, need: Requirements) -> Found:
    if host.swaps and need.swap != "ignore":
        text = f"swap: {', '.join(host.swaps)} is in use, which makes memory limits of pods unreliable. Switch it off (swapoff -a, and /etc/fstab)"
        yield (need.swap == "fail", f"{text}, or set preflight_swap to ignore.")


def check_clock(host: HostFacts, need: Requirements) -> Found:
    if need.controller_time is None:
        return
    skew = host.time - need.controller_time
    if abs(skew) > need.clock_skew:
        yield _fail(
            f"clock: the host is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the controller, allowed are {need.clock_skew} s. "
            "Certificates made now would not be valid. Set the clock of the one that is wrong, or raise preflight_clock_skew."
        )


def check_route(host: HostFacts, need: Requirements) -> Found:
    if host.default_routes and need.default_route != "always":
        return
    if need.default_route == "never" and not host.default_routes:
        yield _fail(
            "default route: there is none, and k3s needs one to start. Add one, or set k3s_default_route to auto."
        )
    if need.default_route != "never" and not host.has_ip_command:
        yield _fail(
            "default route: there is none, and none can be added without the command ip. Install the package iproute2 (iproute on RHEL)."
        )
    if need.default_route != "never" and not need.node_ip and not host.addresses:
        yield _fail(
            "network: the host has no address outside of clusters and containers. Give it one, or set k3s_node_ip."
        )


def check_version(host: HostFacts, need: Requirements) -> Found:
    wanted, minimum = K3sVersion.parse(need.k3s_version), K3sVersion.parse(need.k3s_minimum)
    if wanted < minimum:
        yield _fail(
            f"k3s: the bundle brings {wanted}, and the oldest supported release is {minimum}. Make a bundle with a newer k3s."
        )
    if not host.installed_version:
        return
    installed = K3sVersion.parse(host.installed_version)
    if wanted < installed and not (need.patch_downgrade and wanted.minor == installed.minor):
        yield _fail(
            f"k3s: {installed} is installed, and the bundle would go back to {wanted}. The datastore is not made for that. Use a bundle with {installed} "
            "or newer, or restore a snapshot of the older release; within one minor release preflight_patch_downgrade allows it."
        )
    if wanted.minor > (installed.minor[0], installed.minor[1] + 1):
        yield _fail(
            f"k3s: {installed} is installed, and the bundle would skip minor releases on the way to {wanted}, which Kubernetes does not support. "
            f"Go to v{installed.minor[0]}.{installed.minor[1] + 1} first."
        )


def check_selinux(host: HostFacts, need: Requirements) -> Found:
    if host.selinux_enforcing and not host.selinux_policy:
        yield _warn(
            "SELinux: it is enforcing, and the policy k3s-selinux is not installed, without which containers may be refused. "
            "Install that package with its dependencies from the system's own medium, and set selinux: true in k3s_config."
        )


def check_role(host: HostFacts, need: Requirements) -> Found:
    if host.installed_role and host.installed_role != need.role:
        yield _fail(
            f"k3s: this host is set up as {host.installed_role}, and the inventory wants it as {need.role}. "
            "Take k3s off it first (docs/restore.md, Start over), or put it back into its group."
        )


def check_config(host: HostFacts, need: Requirements) -> Found:
    for config in need.k3s_configs:
        try:
            effective_config(config, need.role, need.extra_keys)
        except AirgapError as exc:
            yield _fail(f"k3s_config: {exc}")


def _password(token: str) -> str:
    """The part of a token that is the secret: K10<hash>::<user>:<password>, or the password itself."""
    text = token.strip()
    return text.split("::", 1)[1].partition(":")[2] if text.startswith("K10") and "::" in text else text


def check_tokens(host: HostFacts, need: Requirements) -> Found:
    given = {name: _password(str(token)) for name, token in need.tokens.items() if token}
    mine = given.get(need.host)
    others = sorted(name for name, token in given.items() if mine and token != mine)
    if others:
        yield _fail(
            f"token: that of {need.host} (k3s_token, or token in k3s_config) differs from that of {', '.join(others)} at the same site. "
            "One cluster has one token: set it for the whole site."
        )
    if mine and host.token and _password(host.token) != mine:
        yield _fail(
            "token: k3s_token, or token in k3s_config, differs from the token of the cluster that this host serves already. "
            "Set it to that one, or change it with k3s token rotate."
        )


def check_peers(host: HostFacts, need: Requirements) -> Found:
    strangers = [
        peer for peer in need.peers if host.cluster_id and peer.cluster_id and peer.cluster_id != host.cluster_id
    ]
    if strangers:
        yield _fail(
            f"cluster: this host and {', '.join(peer.host for peer in strangers)} belong to different clusters already, "
            "with different tokens and certificates. Give them different values of airgap_site, "
            "or take k3s off those that shall join (docs/restore.md, Start over)."
        )
    clustered = [peer.host for peer in need.peers if peer.role == "server" and peer.cluster_id]
    if need.founder and not host.cluster_id and clustered:
        yield _fail(
            f"cluster: this host comes first of the site's servers and has no cluster, so it would begin a new one, and {', '.join(clustered)} have one. "
            "Name one of them first in group servers, and this host joins it (docs/restore.md, Replace a server)."
        )
    name = (host.hostname if need.node_name is None else need.node_name).lower()  # as k3s does
    namesakes = [peer.host for peer in need.peers if name and peer.node_name.lower() == name]
    if namesakes:
        yield _fail(
            f"node name: {', '.join(namesakes)} is called {name}, too. "
            "A second node of that name is refused: rename one, or set node-name in k3s_config."
        )
    servers = sum(peer.role == "server" for peer in need.peers) + (need.role == "server")
    if servers and servers % 2 == 0:
        yield _warn(
            f"servers: a site with {servers} servers bears no more failures than one with {servers - 1}. Use an odd number."
        )


CHECKS: tuple[t.Callable[[HostFacts, Requirements], Found], ...] = (
    check_system,
    check_architecture,
    check_cgroups,
    check_memory,
    check_swap,
    check_disk,
    check_clock,
    check_route,
    check_ports,
    check_selinux,
    check_role,
    check_version,
    check_config,
    check_tokens,
    check_peers,
)


def check_host(host: HostFacts, need: Requirements) -> Findings:
    found = [item for check in CHECKS for item in check(host, need)]
    return Findings(tuple(text for fatal, text in found if fatal), tuple(text for fatal, text in found if not fatal))
