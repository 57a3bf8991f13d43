"""What the picture of the lines says of one connection. Pure; the lines are read from the role's own data."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ("ELSEWHERE", "STRANGER", "Line", "Source", "Target", "components", "line_for", "read_lines")

_DATA = Path(__file__).resolve().parents[2] / "roles/platform/vars/main.yml"
# A pod of the namespace that no line names, and one of another namespace: what no component is.
STRANGER, ELSEWHERE = "stranger", "elsewhere"
_NO_PODS = ("all", "outside", "dns")


@dataclass(frozen=True)
class Line:
    name: str
    source: str
    target: str
    port: int

    def __str__(self) -> str:
        return f"{self.name} ({self.source} to {self.target}:{self.port})"


@dataclass(frozen=True)
class Source:
    """A pod that tries."""

    component: str
    address: str
    node: str = ""


@dataclass(frozen=True)
class Target:
    """An address that is tried: of a pod, a Service or a node."""

    address: str
    port: int
    kind: str  # pod, service, node port or node
    what: str  # for people
    component: str = ""  # of the pod behind it; none for a node
    pod_port: int = 0  # on the pod behind it
    protocol: str = "tcp"
    node: str = ""  # of a node port

    @property
    def key(self) -> str:
        return f"{self.protocol} {self.address} {self.port}"


def read_lines(path: Path = _DATA) -> list[Line]:
    items: list[dict[str, t.Any]] = yaml.safe_load(path.read_text())["__platform_lines"]
    return [Line(item["name"], item["from"], item["to"], item["port"]) for item in items]


def components(lines: Iterable[Line]) -> list[str]:
    """Every component that is an end of a line."""
    return sorted({end for line in lines for end in (line.source, line.target)} - set(_NO_PODS))


def line_for(lines: Iterable[Line], source: Source, target: Target) -> Line | None:
    """The line that lets this connection through, or None where it is to be refused."""
    if target.kind == "node port" and target.node != source.node:
        return None  # only a pod's own node knows what is behind; to others it is an address like any other
    for line in lines:
        from_here = line.source == source.component or (line.source == "all" and source.component != ELSEWHERE)
        if from_here and (line.target, line.port) == (target.component, target.pod_port):
            return line
    return None
