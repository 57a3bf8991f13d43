"""A number or a switch that comes by `-e name=value` is text, and only modules turn it into what it should be.

So an expression of ours that computes, compares or decides converts it: `name | int`, `name | bool`. This looks at all of them.
"""

from __future__ import annotations

import pathlib
import typing as t

import jinja2
import pytest
import yaml
from jinja2 import nodes

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("roles/*/tasks", "roles/*/templates", "roles/*/vars", "playbooks")
FILES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*") if path.suffix in (".yml", ".j2"))
# What Ansible reads as an expression without braces.
CONDITIONS = ("changed_when", "failed_when", "that", "until", "when")


def options(*types: str) -> set[str]:
    specs = [
        yaml.safe_load(path.read_text())["argument_specs"] for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    ]
    points = [point for spec in specs for point in spec.values()]
    return {name for point in points for name, option in point.get("options", {}).items() if option["type"] in types}


NUMBERS, SWITCHES = options("int", "float"), options("bool")


def sources(path: pathlib.Path) -> t.Iterator[str]:
    """The templates of a file, each condition as one."""
    if path.suffix == ".j2":
        yield path.read_text()
    else:
        yield from texts(yaml.safe_load(path.read_text()))


def texts(value: t.Any, condition: bool = False) -> t.Iterator[str]:
    if isinstance(value, str):
        yield f"{{% if {value} %}}{{% endif %}}" if condition else value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, condition)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, key in CONDITIONS)


def operands(node: nodes.Node) -> tuple[list[nodes.Node], set[str]]:
    """What this node computes or decides with, and the names that may not stand there as they are."""
    if isinstance(node, (nodes.And, nodes.Or)):
        return [node.left, node.right], SWITCHES
    if isinstance(node, nodes.Not):
        return [node.node], SWITCHES
    if isinstance(node, (nodes.If, nodes.CondExpr)):
        return [node.test], SWITCHES
    if isinstance(node, nodes.BinExpr):
        return [node.left, node.right], NUMBERS
    if isinstance(node, nodes.Compare):
        return [node.expr, *(operand.expr for operand in node.ops if operand.op not in ("in", "notin"))], NUMBERS
    if isinstance(node, nodes.Filter) and node.name in ("max", "min", "sum") and isinstance(node.node, nodes.List):
        return list(node.node.items), NUMBERS
    return [], set()


def unconverted(source: str) -> list[str]:
    found = []
    for node in jinja2.Environment(autoescape=True).parse(source).find_all(nodes.Node):
        parts, names = operands(node)
        found += [part.name for part in parts if isinstance(part, nodes.Name) and part.name in names]
    return sorted(set(found))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_numbers_and_switches_may_come_as_text(path: pathlib.Path) -> None:
    assert [name for source in sources(path) for name in unconverted(source)] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ mlflow_wait_timeout // 2 }}", ["mlflow_wait_timeout"]),
        ("{{ mlflow_wait_timeout | int // 2 }}", []),
        ("{{ [gateway_wait_timeout, 60] | max }}", ["gateway_wait_timeout"]),
        ("{% if x >= redis_maxmemory %}{% endif %}", ["redis_maxmemory"]),
        ("{{ 'a' if k3s_cluster_init and x else 'b' }}", ["k3s_cluster_init"]),
        ("{{ k3s_cluster_init | bool }}, {{ mlflow_wait_timeout }}", []),
    ],
)
def test_what_is_looked_for(source: str, expected: list[str]) -> None:
    assert unconverted(source) == expected


def test_conditions_are_looked_at() -> None:
    assert [unconverted(text) for text in texts([{"when": ["k3s_cluster_init"], "name": "k3s_cluster_init"}])] == [
        ["k3s_cluster_init"],
        [],
    ]
