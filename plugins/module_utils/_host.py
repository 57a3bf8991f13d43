# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What a host is, read from /proc and /sys with the standard library. The I/O twin of _preflight.py."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import time
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._k3s_host import K3sHost
from ansible_collections.airgap.mlops.plugins.module_utils._preflight import (
    DiskNeed,
    FileSystem,
    HostFacts,
    Listener,
    parse_size,
)

__all__ = ("disk_needs", "parse_cgroups", "parse_listeners", "parse_os_release", "read_host")

_LISTEN = "0A"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def parse_os_release(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, value in pairs}


def parse_cgroups(controllers_v2: str | None, table_v1: str) -> tuple[int, frozenset[str]]:
    """Version and controllers, from /sys/fs/cgroup/cgroup.controllers (None: not there) and /proc/cgroups."""
    if controllers_v2 is not None:
        return 2, frozenset(controllers_v2.split())
    rows = [line.split() for line in table_v1.splitlines() if not line.startswith("#")]
    return 1, frozenset(row[0] for row in rows if len(row) == 4 and row[3] == "1")


def parse_listeners(table: str) -> dict[str, int]:
    """Port by socket inode of what listens in /proc/net/tcp or tcp6. One on loopback alone takes the port from all addresses, too."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9]: int(row[1].rsplit(":", 1)[1], 16) for row in rows if len(row) > 9 and row[3] == _LISTEN}


def _socket_owners(inodes: t.Container[str]) -> dict[str, int]:
    owners: dict[str, int] = {}
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            match = re.match(r"socket:\[(\d+)\]", os.readlink(link))
        except OSError:
            continue
        if match and match.group(1) in inodes:
            owners[match.group(1)] = int(link.split("/")[2])
    return owners


def _listeners(ports: t.Container[int], k3s: str, data_dir: str) -> tuple[Listener, ...]:
    held = {**parse_listeners(_read("/proc/net/tcp")), **parse_listeners(_read("/proc/net/tcp6"))}
    held = {inode: port for inode, port in held.items() if port in ports}
    owners = _socket_owners(held) if held else {}
    found: dict[int, Listener] = {}
    for inode, port in held.items():
        pid = owners.get(inode, 0)
        try:
            program = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            program = ""
        # k3s runs from its data directory; a replaced binary is shown as '... (deleted)'.
        ours = program.startswith((f"{os.path.realpath(data_dir)}/data/", os.path.realpath(k3s), k3s))
        found[port] = Listener(port, _read(f"/proc/{pid}/comm").strip() or "an unknown program", pid, ours)
    return tuple(found[port] for port in sorted(found))


def _existing_parent(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _file_system(path: str) -> FileSystem:
    path = os.path.realpath(_existing_parent(path))
    info = os.statvfs(path)
    device = os.stat(path).st_dev
    mount = path
    while mount != "/" and os.stat(os.path.dirname(mount)).st_dev == device:
        mount = os.path.dirname(mount)
    return FileSystem(mount, info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize)


def disk_needs(items: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[DiskNeed, ...]:
    """`present` holds a shell pattern; with `present_size` only a file of just that size counts."""
    needs = []
    for item in items:
        matches = glob.glob(item["present"]) if item["present"] else []
        if item["present_size"]:
            matches = [path for path in matches if os.path.getsize(path) == parse_size(item["present_size"])]
        needs.append(DiskNeed(item["path"], parse_size(item["size"]), item["what"], bool(matches)))
    return tuple(needs)


def _meminfo(key: str) -> int:
    match = re.search(rf"^{key}:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def read_host(k3s: K3sHost, ports: t.Container[int], paths: t.Iterable[str]) -> HostFacts:
    release = parse_os_release(_read("/etc/os-release"))
    v2 = "/sys/fs/cgroup/cgroup.controllers"
    version, controllers = parse_cgroups(_read(v2) if os.path.exists(v2) else None, _read("/proc/cgroups"))
    return HostFacts(
        hostname=platform.node(),
        os_id=release.get("ID", "unknown"),
        os_version=release.get("VERSION_ID", ""),
        os_name=release.get("PRETTY_NAME", "an unknown system"),
        machine=platform.machine(),
        cgroup_version=version,
        cgroup_controllers=controllers,
        memory=_meminfo("MemTotal"),
        swaps=tuple(line.split()[0] for line in _read("/proc/swaps").splitlines()[1:]),
        time=time.time(),
        default_routes=len(k3s.routes()),
        has_ip_command=shutil.which("ip") is not None,
        addresses=tuple(item["address"] for item in k3s.addresses()),
        listeners=_listeners(ports, k3s.k3s, k3s.data_dir),
        file_systems={path: _file_system(path) for path in paths},
        installed_role=k3s.installed_role(),
        installed_version=k3s.installed_version(),
        cluster_id=k3s.cluster_id(),
        token=k3s.token(),
        selinux_enforcing=_read("/sys/fs/selinux/enforce").strip() == "1",
        selinux_policy=bool(glob.glob("/var/lib/selinux/*/active/modules/*/k3s")),
    )
