from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils import _host
from ansible_collections.airgap.mlops.plugins.module_utils._host import (
    disk_needs,
    parse_cgroups,
    parse_listeners,
    parse_os_release,
)
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_host import (
    default_routes,
    global_addresses,
    telling_lines,
)

ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
seal0	00000000	00000000	0001	0	0	65535	00000000	0	0	0
cni0	00002A0A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	004DD20A	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
CGROUPS = "#subsys_name	hierarchy	num_cgroups	enabled\ncpuset	3	52	1\nmemory	4	436	0\npids	8	169	1\n"
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 513715 2 00000000c5f921f1 100 0 0 10 0
   1: 0100007F:2811 0100007F:192B 01 00000000:00000000 00:00000000 00000000     0        0 515091 2 0000000054c78095 100 0 0 10 0
"""


def test_default_routes() -> None:
    assert default_routes(ROUTES) == [{"device": "seal0", "metric": 65535}]
    assert default_routes("") == []


def test_addresses_outside_of_clusters() -> None:
    links = """[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","scope":"host"}]},
      {"ifname":"eth0","addr_info":[{"family":"inet","local":"10.210.77.40","scope":"global"}]},
      {"ifname":"seal0","addr_info":[{"family":"inet","local":"169.254.77.1","scope":"global"}]},
      {"ifname":"cni0","addr_info":[{"family":"inet","local":"10.42.0.1","scope":"global"}]}]"""
    assert global_addresses(links) == [{"device": "eth0", "address": "10.210.77.40"}]
    assert global_addresses("") == []


def test_cgroups() -> None:
    assert parse_cgroups(None, CGROUPS) == (1, frozenset(("cpuset", "pids")))
    assert parse_cgroups("cpuset cpu io memory pids\n", CGROUPS) == (
        2,
        frozenset(("cpuset", "cpu", "io", "memory", "pids")),
    )


def test_only_listening_sockets() -> None:
    assert parse_listeners(TCP) == {"513715": 6443}


def test_os_release() -> None:
    text = '# a comment\nID=rocky\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n'
    assert parse_os_release(text) == {"ID": "rocky", "VERSION_ID": "9.4", "PRETTY_NAME": "Rocky Linux 9.4 (Blue Onyx)"}


def test_who_listens_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (listener,) = _host._listeners({port}, "/usr/local/bin/k3s", "/var/lib/rancher/k3s")
        assert (listener.port, listener.pid, listener.ours) == (port, os.getpid(), False)
        (listener,) = _host._listeners({port}, os.path.realpath("/proc/self/exe"), "/var/lib/rancher/k3s")
        assert listener.ours
        assert not _host._listeners({port}, "/usr/local/bin/k3s", str(tmp_path / "k3s"))[0].ours
        (tmp_path / "disk/data").mkdir(parents=True)
        (tmp_path / "k3s").symlink_to(tmp_path / "disk")
        monkeypatch.setattr(
            _host.os,
            "readlink",
            lambda path, real=os.readlink: f"{tmp_path}/disk/data/1/bin/k3s" if path.endswith("/exe") else real(path),
        )
        assert _host._listeners({port}, "/usr/local/bin/k3s", str(tmp_path / "k3s"))[0].ours, (
            "the kernel knows no links"
        )
    assert _host._listeners({port}, "", "") == ()


def test_disk_that_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "k3s").write_bytes(b"12345")
    item = {"path": str(tmp_path), "size": "15", "what": "k3s", "present": f"{tmp_path}/k3s", "present_size": "5"}
    present = [
        need.present
        for need in disk_needs(
            [item, {**item, "present_size": "6"}, {**item, "present_size": ""}, {**item, "present": ""}]
        )
    ]
    assert present == [True, False, True, False]


def test_the_file_system_of_a_path_that_is_not_there_yet(tmp_path: Path) -> None:
    system = _host._file_system(str(tmp_path / "a/b/c"))
    assert os.path.ismount(system.mount)
    assert 0 < system.free <= system.total


def test_what_a_journal_says() -> None:
    noise = [f"I1122 12:0{number}:00 warnings.go: deprecated" for number in range(9)]
    lines = [
        "E1122 11:36:26 kubelet.go:1728] Failed to start cAdvisor",
        *noise,
        'level=fatal msg="flag provided but not defined: -disable"',
        *noise,
    ]
    shown = telling_lines("\n".join(lines)).splitlines()
    assert shown == [lines[0], lines[10], *noise[-6:]]
    assert telling_lines("") == ""
