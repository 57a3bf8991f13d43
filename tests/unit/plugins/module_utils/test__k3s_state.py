from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._k3s_state import (
    NodeView,
    Started,
    Unit,
    members,
    missing_for_readiness,
    parse_node,
    parse_started,
    parse_unit,
    planned_sums,
    restart_reasons,
    start_patterns,
)

ROOT = Path(__file__).parents[4]
FIXTURES = Path(__file__).parent / "fixtures"
SUM, OTHER = "1" * 64, "2" * 64
CONFIG, BINARY = "/etc/rancher/k3s/config.yaml", "/usr/local/bin/k3s"
RUNNING = Unit("k3s", loaded=True, enabled=True, state="active", pid=7, invocation="abc")
STARTED = Started("abc", "v1.35.4+k3s1", {CONFIG: SUM, BINARY: SUM})


def test_unit() -> None:
    text = "MainPID=1357\nNRestarts=2\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nInvocationID=0c26\n"
    assert parse_unit("k3s", text) == Unit("k3s", True, True, "active", 1357, "0c26", 2, False)
    assert not parse_unit("k3s", "LoadState=not-found\nActiveState=inactive\nMainPID=0\n").running


def test_what_a_start_wrote_down() -> None:
    text = f"invocation f1ec\nk3s version v1.35.4+standin1 (c1317e1d)\ngo version go1.26.6\n{SUM}  {BINARY}\n{OTHER}  {CONFIG}\n"
    assert parse_started(text) == Started("f1ec", "v1.35.4+standin1", {BINARY: SUM, CONFIG: OTHER})
    assert parse_started("") == Started()


@pytest.mark.parametrize(
    ("unit", "started", "sums", "expected"),
    [
        pytest.param(RUNNING, STARTED, {CONFIG: SUM, BINARY: SUM}, [], id="what runs is what is wanted"),
        pytest.param(
            RUNNING,
            STARTED,
            {CONFIG: OTHER, BINARY: SUM},
            [f"{CONFIG} has changed since the start"],
            id="configuration changed",
        ),
        pytest.param(
            RUNNING,
            STARTED,
            {CONFIG: SUM, BINARY: OTHER},
            [f"{BINARY} has changed since the start"],
            id="another binary",
        ),
        pytest.param(
            RUNNING, STARTED, {CONFIG: SUM, BINARY: SUM, "/n": SUM}, ["/n is new since the start"], id="a new drop-in"
        ),
        pytest.param(RUNNING, STARTED, {BINARY: SUM}, [f"{CONFIG} is gone since the start"], id="a file is gone"),
        pytest.param(
            Unit("k3s"), STARTED, {CONFIG: SUM, BINARY: SUM}, ["k3s.service is inactive"], id="it does not run"
        ),
        pytest.param(
            Unit("k3s", state="activating", pid=7, invocation="abc"),
            STARTED,
            STARTED.sums,
            [],
            id="it is starting, with the right files",
        ),
    ],
)
def test_restart(unit: Unit, started: Started, sums: dict[str, str], expected: list[str]) -> None:
    assert restart_reasons(unit, started, sums) == expected


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        pytest.param({}, [f"{CONFIG} has changed since the start"], id="as it is"),
        pytest.param({CONFIG: SUM}, [], id="what was changed by hand is put back"),
        pytest.param({CONFIG: "hidden"}, [f"{CONFIG} has changed since the start"], id="a secret"),
        pytest.param({CONFIG: None}, [f"{CONFIG} is gone since the start"], id="removed"),
        pytest.param(
            {CONFIG: SUM, "/d/10-new.yaml": OTHER, "/d/README": OTHER, "/etc/motd": OTHER},
            ["/d/10-new.yaml is new since the start"],
            id="a file that a start does not read is none of its business",
        ),
    ],
)
def test_restart_by_what_is_planned(planned: dict[str, str | None], expected: list[str]) -> None:
    sums = planned_sums({CONFIG: OTHER, BINARY: SUM}, planned, (CONFIG, BINARY, "/d/*.yaml"))
    assert restart_reasons(RUNNING, STARTED, sums) == expected


@pytest.mark.parametrize("started", [Started(), Started("of another start", None, STARTED.sums)])
def test_a_process_of_unknown_origin_is_restarted(started: Started) -> None:
    assert "not on record" in restart_reasons(RUNNING, started, STARTED.sums)[0]


def test_script_and_module_name_the_same_files() -> None:
    """A file that only one of them knows would restart k3s on every run, or never."""
    script = (ROOT / "roles/k3s/templates/airgap-k3s-started.j2").read_text()
    listed = re.search(r"sha256sum \\\n(.*?)\n}", script, re.DOTALL)
    assert listed is not None
    names = {"__k3s_binary_path": "/bin/k3s", "__k3s_unit": "k3s", "__k3s_containerd_dir": "/data/agent/etc/containerd"}
    text = re.sub(r"{{ (\w+) }}", lambda match: names[match.group(1)], listed.group(1))
    assert [line.strip(" \\") for line in text.splitlines()] == list(start_patterns("k3s", "/bin/k3s", "/data"))


NODE = parse_node(json.loads((FIXTURES / "node-1.35.4.json").read_text()))


def test_node() -> None:
    assert (NODE.name, NODE.ready, NODE.kubelet_version, NODE.server) == ("h4-a", True, "v1.35.4+standin1", True)


def node(name: str = "n", **changes: object) -> NodeView:
    values = {"ready": True, "kubelet_version": "v1", "server": True, "etcd": False, "cloud_taint": False, **changes}
    return NodeView(name, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit", "api", "view", "dns", "expected"),
    [
        (Unit("k3s"), None, None, None, "k3s.service is inactive"),
        (RUNNING, "connection refused", None, None, "the API does not answer: connection refused"),
        (RUNNING, None, None, None, "the node has not registered"),
        (RUNNING, None, node(kubelet_version="v0"), None, "the kubelet still reports v0, installed is v1"),
        (RUNNING, None, node(ready=False, message="no CNI"), None, "node n is not Ready: no CNI"),
        (
            RUNNING,
            None,
            node(cloud_taint=True),
            None,
            "node n still bears the taint node.cloudprovider.kubernetes.io/uninitialized",
        ),
        (RUNNING, None, node(), "no DNS", "no DNS"),
        (RUNNING, None, node(), None, None),
    ],
)
def test_readiness_in_the_order_in_which_it_comes(
    unit: Unit, api: str | None, view: NodeView | None, dns: str | None, expected: str | None
) -> None:
    assert missing_for_readiness(unit, "v1", api, view, dns) == expected


def test_a_node_that_is_ready_from_before_the_start_is_not_ready() -> None:
    stale = "what is known of node n is from before the start"
    assert missing_for_readiness(RUNNING, "v1", None, node(heartbeat=99.0), None, since=100.2) == stale
    assert missing_for_readiness(RUNNING, "v1", None, node(heartbeat=100.0), None, since=100.2) is None


def test_heartbeat() -> None:
    assert NODE.heartbeat == 1795347933
    assert parse_node({"metadata": {"name": "n"}}).heartbeat == 0.0


@pytest.mark.parametrize(
    ("nodes", "servers", "quorum", "has_quorum"),
    [
        pytest.param([node()], 1, 1, True, id="SQLite"),
        pytest.param([node(ready=False)], 1, 1, False, id="SQLite, down"),
        pytest.param(
            [node("a", etcd=True), node("b", etcd=True), node("c", etcd=True, ready=False)],
            3,
            2,
            True,
            id="one of three down",
        ),
        pytest.param(
            [node("a", etcd=True), node("b", etcd=True, ready=False), node("c", etcd=True, ready=False)],
            3,
            2,
            False,
            id="two of three down",
        ),
        pytest.param([node("a"), node("w", server=False, ready=False)], 1, 1, True, id="an agent does not vote"),
    ],
)
def test_members(nodes: list[NodeView], servers: int, quorum: int, has_quorum: bool) -> None:
    found = members(nodes)
    assert (found["servers"], found["quorum"], found["has_quorum"]) == (servers, quorum, has_quorum)
