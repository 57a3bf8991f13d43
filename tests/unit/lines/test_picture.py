"""The picture of the lines: what it says of one connection, and that data and page are the same."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.lines.__main__ import Attempt, all_attempts
from tests.lines.picture import ELSEWHERE, STRANGER, Line, Source, Target, components, line_for, read_lines

ROOT = pathlib.Path(__file__).resolve().parents[3]
WEB_TO_DB, ALL_TO_DNS = Line("web-to-db", "web", "db", 5432), Line("all-to-dns", "all", "dns", 53)
CLIENTS_TO_WEB = Line("clients-to-web", "outside", "web", 80)
LINES = [WEB_TO_DB, ALL_TO_DNS, CLIENTS_TO_WEB]


def target(component: str, port: int, address: str = "10.42.0.9", kind: str = "pod") -> Target:
    return Target(address, port, kind, f"{kind} {component}", component, port)


@pytest.mark.parametrize(
    ("source", "component", "port", "line"),
    [
        ("web", "db", 5432, WEB_TO_DB),
        ("web", "db", 22, None),
        ("db", "web", 5432, None),
        ("db", "db", 5432, None),
        (STRANGER, "dns", 53, ALL_TO_DNS),
        (STRANGER, "db", 5432, None),
        (ELSEWHERE, "dns", 53, None),
        ("web", "", 6443, None),
        ("db", "web", 80, None),
    ],
)
def test_which_line_lets_a_connection_through(source: str, component: str, port: int, line: Line | None) -> None:
    assert line_for(LINES, Source(source, "10.42.0.1"), target(component, port)) == line


def test_a_node_port_is_its_service_on_the_own_node_alone() -> None:
    web = Target("10.0.0.1", 30001, "node port", "service db on one:30001", "db", 5432, node="one")
    assert line_for(LINES, Source("web", "10.42.0.1", "one"), web) == WEB_TO_DB
    assert line_for(LINES, Source("web", "10.42.1.1", "two"), web) is None
    assert all_attempts(LINES, [Source(ELSEWHERE, "10.42.1.1", "two")], [web]) == []


def test_both_ways_of_being_wrong() -> None:
    allowed = Attempt(Source("web", "10.42.0.1"), target("db", 5432), WEB_TO_DB)
    forbidden = Attempt(Source("db", "10.42.0.2"), target("web", 80), None)
    assert allowed.wrong("open") == forbidden.wrong("refused") == forbidden.wrong("silent") == ""
    assert "is silent, though line web-to-db allows it" in allowed.wrong("silent")
    assert "connects, and no line says so" in forbidden.wrong("open")


def test_what_is_not_tried() -> None:
    sources = [Source("web", "10.42.0.1"), Source(ELSEWHERE, "10.42.0.7")]
    targets = [
        target("web", 80, "10.42.0.1"),
        target("web", 80, "10.43.0.1", "service"),
        target("web", 80, "10.42.0.2"),  # another pod of the same component
        target("", 22, "10.0.0.1", "node"),
    ]
    tried = [(one.source.component, one.target.address) for one in all_attempts(LINES, sources, targets)]
    assert tried == [
        ("web", "10.42.0.2"),
        ("web", "10.0.0.1"),
        (ELSEWHERE, "10.42.0.1"),
        (ELSEWHERE, "10.43.0.1"),
        (ELSEWHERE, "10.42.0.2"),
    ]


def test_components_are_ends_that_are_pods() -> None:
    assert components(LINES) == ["db", "web"]


def test_lines_are_named_as_what_they_are() -> None:
    """So that a policy tells whom it is about, and the picture has no line twice."""
    lines = read_lines()
    names = [line.name for line in lines]
    assert len(set(names)) == len(names)
    for line in lines:
        assert line.name == f"{'clients' if line.source == 'outside' else line.source}-to-{line.target}"


def test_the_page_shows_every_line_and_no_other() -> None:
    page = (ROOT / "docs/network.md").read_text()
    shown = re.findall(r"^\| `([a-z-]+)` \| ([a-z-]+) \| ([a-z-]+) \| (\d+) ", page, re.MULTILINE)
    assert shown == [(line.name, line.source, line.target, str(line.port)) for line in read_lines()]
    drawn = set(re.findall(r"^ *(\w+) --> (\w+)", page, re.MULTILINE))
    ends = {(line.source, line.target) for line in read_lines() if line.source != "all"}
    assert {(source.replace("_", "-"), target) for source, target in drawn} == ends
