# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._network_lines import (
    DEFAULT_DENY,
    LineError,
    Outside,
    line_problems,
    network_problems,
    parse_lines,
    parse_outside,
    plan_policies,
    policies,
)

OUTSIDE = Outside(("0.0.0.0/0",), ("10.42.0.0/16",))
LABELS = {"part-of": "us", "managed-by": "ansible"}
EVERYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.42.0.0/16"]}}


def named(name: str) -> dict[str, t.Any]:
    return {"podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}


def line(**changes: t.Any) -> dict[str, t.Any]:
    return {"name": "web-to-db", "from": "web", "to": "db", "port": 5432, **changes}


def made(*items: dict[str, t.Any], outside: Outside = OUTSIDE) -> dict[str, t.Any]:
    return policies(parse_lines(items), outside)


def test_all_is_refused_both_ways_and_last() -> None:
    found = made(line())
    assert list(found)[-1] == DEFAULT_DENY
    assert found[DEFAULT_DENY] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_line_is_let_out_at_one_end_and_in_at_the_other() -> None:
    found = made(line())
    ports = [{"protocol": "TCP", "port": 5432}]
    assert found["web-to-db-out"] == {
        **named("web"),
        "policyTypes": ["Egress"],
        "egress": [{"to": [named("db")], "ports": ports}],
    }
    assert found["web-to-db-in"] == {
        **named("db"),
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [named("web")], "ports": ports}],
    }


ELSEWHERE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


@pytest.mark.parametrize(
    ("ends", "policy", "peers"),
    [
        pytest.param({"from": "outside"}, "web-to-db-in", [EVERYWHERE], id="clients of a node port"),
        pytest.param(
            {"to": "10.9.0.7/32"}, "web-to-db-out", [{"ipBlock": {"cidr": "10.9.0.7/32"}}], id="to an address"
        ),
        pytest.param(
            {"from": "10.9.0.0/24"}, "web-to-db-in", [{"ipBlock": {"cidr": "10.9.0.0/24"}}], id="from a network"
        ),
        pytest.param(
            {"from": "monitoring/scraper"}, "web-to-db-in", [{**ELSEWHERE, **named("scraper")}], id="pods elsewhere"
        ),
        pytest.param(
            {"to": "monitoring/*"}, "web-to-db-out", [{**ELSEWHERE, "podSelector": {}}], id="a whole namespace"
        ),
        pytest.param({"to": "dns"}, "web-to-db-out", [DNS], id="the resolver"),
    ],
)
def test_an_end_that_is_elsewhere_has_no_policy_of_its_own(
    ends: dict[str, str], policy: str, peers: list[dict[str, t.Any]]
) -> None:
    found = made(line(**ends))
    assert set(found) == {policy, DEFAULT_DENY}
    (rule,) = found[policy].get("ingress") or found[policy]["egress"]
    assert (rule.get("from") or rule["to"]) == peers


def test_all_pods_may_ask_the_resolver_in_both_ways() -> None:
    found = made(line(**{"name": "all-to-dns", "from": "all", "to": "dns", "port": 53, "protocols": ["UDP", "TCP"]}))
    assert found["all-to-dns-out"]["podSelector"] == {}
    assert [port["protocol"] for port in found["all-to-dns-out"]["egress"][0]["ports"]] == ["UDP", "TCP"]


@pytest.mark.parametrize(
    ("outside", "blocks"),
    [
        pytest.param(
            Outside(("0.0.0.0/0",), ("10.42.0.0/16", "fd00::/56"), ("10.42.0.0/24",)),
            [EVERYWHERE],
            id="one node answers its own node ports",
        ),
        pytest.param(
            Outside(("0.0.0.0/0",), ("10.42.0.0/16",), ("10.42.1.0/24", "10.42.0.0/24", "fd00::/64")),
            [EVERYWHERE, {"ipBlock": {"cidr": "10.42.0.0/32"}}, {"ipBlock": {"cidr": "10.42.1.0/32"}}],
            id="several nodes hand clients on to each other",
        ),
        pytest.param(
            Outside(("10.0.0.0/8", "192.0.2.0/24"), ("10.42.0.0/16",), ("10.42.1.0/24", "10.42.0.0/24")),
            [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.42.0.0/16"]}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}],
            id="but not where only some networks may come",
        ),
    ],
)
def test_where_clients_are(outside: Outside, blocks: list[dict[str, t.Any]]) -> None:
    assert outside.blocks() == blocks


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (line(name="Web"), "name 'Web' must be"),
        (line(name="default-deny"), "not default-deny"),
        (line(name="x" * 60), "at most 59"),
        (line(port=0), "port 0 is no number from 1 to 65535"),
        (line(port="http"), "port 'http' is no number"),
        (line(to="10.9.0.7/24"), "to: '10.9.0.7/24' is neither"),
        (line(to="10.9.0.7"), "without host bits"),
        (line(to="outside"), "to: 'outside' is neither"),
        (line(**{"from": "dns"}), "from: 'dns' is neither"),
        (line(**{"from": "outside", "to": "10.9.0.7/32"}), "neither end is in the namespace"),
        (line(protocols=["ICMP"]), "are not all among TCP, UDP, SCTP"),
    ],
)
def test_a_line_that_nobody_can_draw(item: dict[str, t.Any], says: str) -> None:
    (problem,) = line_problems([item])
    assert problem.startswith(f"network line {item['name']}: ")
    assert says in problem
    with pytest.raises(LineError, match="Nothing was changed"):
        parse_lines([line(name="good"), item])


def test_two_lines_with_one_name() -> None:
    assert line_problems([line(), line()]) == [
        "network line web-to-db: another line has this name: choose one of its own"
    ]


@pytest.mark.parametrize(
    ("clients", "says"),
    [
        (["anybody"], "'anybody' is no network"),
        (["10.42.3.0/24"], "pods are no clients"),
        (["10.1.2.3/8"], "host bits"),
    ],
)
def test_networks_that_are_none(clients: list[str], says: str) -> None:
    assert says in network_problems(clients, ["10.42.0.0/16"])[0]
    with pytest.raises(LineError, match="Nothing was changed"):
        parse_outside(clients, ["10.42.0.0/16"], [])


def stored(name: str, spec: t.Any, labels: dict[str, str]) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


WANTED = {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("there", "actions"),
    [
        pytest.param([], ["create network policy a", "create network policy b"], id="missing"),
        pytest.param(
            [stored(name, spec, {**LABELS, "more": "1"}) for name, spec in WANTED.items()], [], id="as wanted"
        ),
        pytest.param(
            [stored("a", {"x": 0}, LABELS), stored("b", {"x": 2}, {})],
            ["update network policy a", "update network policy b"],
            id="changed by hand, and one that bears our name",
        ),
        pytest.param(
            [
                stored("a", {"x": 1}, LABELS),
                stored("b", {"x": 2}, LABELS),
                stored("old", {}, LABELS),
                stored("own", {}, {}),
            ],
            ["remove network policy old"],
            id="nobody wants it any more; a stranger stays",
        ),
    ],
)
def test_plan(there: list[dict[str, t.Any]], actions: list[str]) -> None:
    plan = plan_policies(WANTED, there, LABELS)
    assert plan.actions == actions
    assert plan.changed == bool(actions)
    assert set(plan.diff["after"]) | set(plan.diff["before"]) == {action.split()[-1] for action in actions}
