from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._preflight import (
    DiskNeed,
    FileSystem,
    HostFacts,
    Listener,
    Peer,
    Requirements,
    check_host,
    parse_size,
    size_text,
)

GIB = 1024**3
HOST = HostFacts(
    hostname="edge1",
    os_id="debian",
    os_version="12",
    os_name="Debian GNU/Linux 12 (bookworm)",
    machine="x86_64",
    cgroup_version=2,
    cgroup_controllers=frozenset(("cpu", "cpuset", "memory", "pids", "io")),
    memory=8 * GIB,
    swaps=(),
    time=1000.0,
    default_routes=1,
    has_ip_command=True,
    addresses=("192.0.2.1",),
    file_systems={"/data": FileSystem("/data", 10 * GIB, 20 * GIB), "/usr": FileSystem("/", GIB, 4 * GIB)},
)
NEED = Requirements(
    host="edge1",
    role="server",
    arch="amd64",
    k3s_version="v1.35.4+k3s1",
    k3s_minimum="v1.33",
    systems={"debian": "12", "ubuntu": "22.04", "rocky": "9"},
    ports=(6443, 30001),
    memory=2 * GIB,
    controller_time=1000.0,
    clock_skew=300,
)
STOPGAP: dict[str, t.Any] = {"kubelet-arg": ["fail-cgroupv1=false"]}
V1 = {"cgroup_version": 1}


def test_a_good_host() -> None:
    findings = check_host(HOST, NEED)
    assert findings.failures == ()
    assert findings.warnings == ()


@pytest.mark.parametrize(
    ("host", "need", "expected"),
    [
        pytest.param(
            {"os_id": "arch", "os_name": "Arch Linux"},
            {},
            "operating system: Arch Linux is not supported",
            id="unknown system",
        ),
        pytest.param(
            {"os_id": "ubuntu", "os_version": "20.04", "os_name": "Ubuntu 20.04"},
            {},
            "Ubuntu 20.04 is too old",
            id="old system",
        ),
        pytest.param(
            {"machine": "aarch64"}, {}, "the host is arm64 (aarch64), the bundle is for amd64", id="wrong architecture"
        ),
        pytest.param(
            {"cgroup_controllers": frozenset(("cpu", "cpuset", "pids"))},
            {},
            "the controllers memory are not available",
            id="no memory controller",
        ),
        pytest.param(V1, {}, "cgroup v1, which the kubelet of v1.35.4+k3s1 refuses", id="cgroup v1"),
        pytest.param({"memory": GIB}, {}, "memory: the host has 1.0 GiB, needed are 2.0 GiB", id="little memory"),
        pytest.param({"swaps": ("/dev/sda2",)}, {"swap": "fail"}, "swap: /dev/sda2 is in use", id="swap"),
        pytest.param({"time": 100.0}, {}, "clock: the host is 900 s behind the controller", id="clock behind"),
        pytest.param({"time": 2000.0}, {}, "clock: the host is 1000 s ahead of the controller", id="clock ahead"),
        pytest.param(
            {"default_routes": 0},
            {"default_route": "never"},
            "default route: there is none",
            id="no route, and none may be added",
        ),
        pytest.param(
            {"default_routes": 0, "has_ip_command": False},
            {},
            "Install the package iproute2",
            id="no route, and no command for it",
        ),
        pytest.param({"default_routes": 0, "addresses": ()}, {}, "network: the host has no address", id="no address"),
        pytest.param(
            {"listeners": (Listener(6443, "haproxy", 812),)},
            {},
            "port 6443: haproxy (process 812) listens on it",
            id="6443 taken",
        ),
        pytest.param(
            {"listeners": (Listener(30001, "python3", 9),)}, {}, "port 30001: python3 (process 9)", id="30001 taken"
        ),
        pytest.param({}, {"k3s_version": "v1.32.9+k3s1"}, "the oldest supported release is v1.33", id="k3s too old"),
        pytest.param(
            {"installed_version": "v1.35.5+k3s1"}, {}, "the bundle would go back to v1.35.4+k3s1", id="downgrade"
        ),
        pytest.param(
            {"installed_version": "v1.36.0+k3s1"},
            {"patch_downgrade": True},
            "would go back",
            id="downgrade of a minor release, even if patches may",
        ),
        pytest.param({"installed_version": "v1.33.9+k3s1"}, {}, "Go to v1.34 first", id="a minor release skipped"),
        pytest.param(
            {"installed_role": "agent"},
            {},
            "Take k3s off it first (docs/restore.md, Start over)",
            id="the other role",
        ),
        pytest.param({}, {"k3s_configs": ({"kublet-arg": []},)}, "did you mean 'kubelet-arg'", id="misspelt key"),
        pytest.param(
            {},
            {"tokens": {"edge1": "a", "edge2": "b"}},
            "that of edge1 (k3s_token, or token in k3s_config) differs from that of edge2",
            id="two tokens at a site",
        ),
        pytest.param(
            {"token": "K10ab::server:old"},
            {"tokens": {"edge1": "new"}},
            "differs from the token of the cluster",
            id="another token than the cluster's",
        ),
        pytest.param(
            {"cluster_id": "x"},
            {"peers": (Peer("edge2", "server", "edge2", "y"),)},
            "or take k3s off those that shall join (docs/restore.md, Start over)",
            id="two clusters",
        ),
        pytest.param(
            {},
            {"founder": True, "peers": (Peer("edge2", "server", "edge2", "y"), Peer("edge3", "server", "edge3", "y"))},
            "would begin a new one, and edge2, edge3 have one. Name one of them first",
            id="a new first server of a cluster that goes on",
        ),
        pytest.param(
            {}, {"peers": (Peer("edge2", "agent", "edge1"),)}, "edge2 is called edge1, too", id="two hosts of one name"
        ),
        pytest.param(
            {"hostname": "Edge1"},
            {"peers": (Peer("edge2", "agent", "edge1"),)},
            "is called edge1, too",
            id="but for its case",
        ),
        pytest.param(
            {},
            {"node_name": "north", "peers": (Peer("edge2", "agent", "North"),)},
            "edge2 is called north, too",
            id="two nodes of one name",
        ),
    ],
)
def test_failure(host: dict[str, t.Any], need: dict[str, t.Any], expected: str) -> None:
    findings = check_host(dataclasses.replace(HOST, **host), dataclasses.replace(NEED, **need))
    assert len(findings.failures) == 1
    assert expected in findings.failures[0]
    assert findings.failures[0].endswith(".")


@pytest.mark.parametrize(
    ("host", "need"),
    [
        pytest.param(V1, {"k3s_configs": ({}, STOPGAP)}, id="cgroup v1 with the stopgap in a drop-in"),
        pytest.param(V1, {"k3s_version": "v1.34.2+k3s1"}, id="cgroup v1 before it was refused"),
        pytest.param({"listeners": (Listener(6443, "k3s", 7, ours=True),)}, {}, id="k3s holds its own port"),
        pytest.param({"listeners": (Listener(22, "sshd", 7),)}, {}, id="another port"),
        pytest.param({"default_routes": 0}, {}, id="the route will be added"),
        pytest.param({"installed_version": "v1.35.4+k3s1"}, {}, id="the same release"),
        pytest.param({"installed_version": "v1.34.9+k3s1"}, {}, id="the next minor release"),
        pytest.param({"installed_version": "v1.35.5+k3s1"}, {"patch_downgrade": True}, id="a patch back, on request"),
        pytest.param(
            {"token": "K10ab::server:same\n"},
            {"tokens": {"edge1": "same", "edge2": "K10ab::server:same"}},
            id="one token in two forms",
        ),
        pytest.param(
            {"cluster_id": "x"}, {"peers": (Peer("edge2", "agent", "edge2", None),)}, id="a peer without a cluster"
        ),
        pytest.param(
            {"cluster_id": "x"},
            {"founder": True, "peers": (Peer("edge2", "server", "edge2", "x"), Peer("edge3", "server", "edge3", "x"))},
            id="the first server, as ever",
        ),
        pytest.param(
            {},
            {"peers": (Peer("edge2", "server", "edge2", "x"), Peer("edge3", "server", "edge3", "x"))},
            id="a server that joins",
        ),
        pytest.param(
            {},
            {"founder": True, "peers": (Peer("edge2", "agent", "edge2", "x"),)},
            id="the only server, made anew: its agents have no cluster without it",
        ),
        pytest.param(
            {}, {"node_name": "north", "peers": (Peer("edge2", "agent", "edge1"),)}, id="a node that has another name"
        ),
        pytest.param({}, {"node_name": "", "peers": (Peer("edge2", "agent", ""),)}, id="nodes that k3s tells apart"),
        pytest.param({"swaps": ("/swap",)}, {"swap": "ignore"}, id="swap, ignored"),
        pytest.param({"time": 9.0}, {"controller_time": None}, id="no time to compare with"),
    ],
)
def test_no_failure(host: dict[str, t.Any], need: dict[str, t.Any]) -> None:
    assert check_host(dataclasses.replace(HOST, **host), dataclasses.replace(NEED, **need)).failures == ()


def test_all_failures_at_once() -> None:
    host = dataclasses.replace(HOST, machine="aarch64", memory=GIB, listeners=(Listener(6443, "x", 1),))
    assert [text.split(":")[0] for text in check_host(host, NEED).failures] == ["architecture", "memory", "port 6443"]


@pytest.mark.parametrize(
    ("disk", "reserve", "expected"),
    [
        pytest.param(
            [DiskNeed("/data", 11 * GIB, "images")],
            0,
            "/data has 10.0 GiB free and needs 11.0 GiB (images 11.0 GiB",
            id="too small",
        ),
        pytest.param(
            [DiskNeed("/data", 6 * GIB, "images"), DiskNeed("/data", 6 * GIB, "pg-pvc")],
            0,
            "Free or add 2.0 GiB",
            id="only together too small",
        ),
        pytest.param(
            [DiskNeed("/data", 10 * GIB, "images")],
            5,
            "1.0 GiB that the kubelet wants to stay free",
            id="only with the reserve too small",
        ),
        pytest.param(
            [DiskNeed("/usr", 2 * GIB, "k3s"), DiskNeed("/data", GIB, "images")],
            0,
            "disk: / has 1.0 GiB free",
            id="each mount for itself",
        ),
        pytest.param(
            [DiskNeed("/data", 6 * GIB, "image mlflow"), DiskNeed("/data", 6 * GIB, "image mlflow")],
            0,
            "needs 12.0 GiB (image mlflow 12.0 GiB;",
            id="the layers of an image are one thing",
        ),
        pytest.param([DiskNeed("/data", 11 * GIB, "images", present=True)], 0, None, id="it is there already"),
        pytest.param([DiskNeed("/data", 9 * GIB, "images"), DiskNeed("/usr", GIB // 2, "k3s")], 0, None, id="enough"),
    ],
)
def test_disk(disk: list[DiskNeed], reserve: int, expected: str | None) -> None:
    failures = check_host(HOST, dataclasses.replace(NEED, disk=tuple(disk), disk_reserve_percent=reserve)).failures
    assert len(failures) == (expected is not None)
    assert expected is None or expected in failures[0]


def test_warnings_do_not_stop() -> None:
    host = dataclasses.replace(HOST, swaps=("/swap",), selinux_enforcing=True)
    findings = check_host(host, dataclasses.replace(NEED, peers=(Peer("edge2", "server", "edge2"),)))
    assert findings.failures == ()
    assert [text.split(":")[0] for text in findings.warnings] == ["swap", "SELinux", "servers"]


def test_tokens_never_show() -> None:
    need = dataclasses.replace(NEED, tokens={"edge1": "hush-one", "edge2": "hush-two"})
    host = dataclasses.replace(HOST, token="K10ab::server:hush-three")  # noqa: S106  not a token of anything
    assert "hush" not in " ".join(check_host(host, need).failures)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1048576),
        ("512Mi", 512 * 1024**2),
        ("10Gi", 10 * GIB),
        ("1.5Gi", GIB * 3 // 2),
        ("2G", 2 * 10**9),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "10 GB", "-1", "lots"])
def test_no_size(text: str) -> None:
    with pytest.raises(AirgapError, match="Write it as Kubernetes does"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(5, "5 bytes"), (2048, "2.0 KiB"), (3 * GIB, "3.0 GiB"), (5000 * GIB, "4.9 TiB"), (9e15, "8185.5 TiB")],
)
def test_size_text(size: float, text: str) -> None:
    assert size_text(size) == text
