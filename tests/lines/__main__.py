"""Tries every connection of the cluster on running nodes, and finds exactly the lines of the picture, or says what differs.

    python -m tests.lines edge1 [NODE …]

Every pod of the platform's namespace, a stranger in it and a pod of another namespace try, from inside of their networks,
every port that anything in the cluster or its nodes listens on, and every port of the picture on every pod. What no line
allows must fail; what a line allows must connect. The lines come from roles/platform/vars/main.yml.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.lines.cluster import Cluster
from tests.lines.picture import ELSEWHERE, Line, Source, Target, components, line_for, read_lines
from tests.node.node import Node
from tests.node.podman import NodeError

# The controller hears of a new pod after a moment, on k3s as on the stand-in; so what differs is tried again for a while.
_PATIENCE = 40


@dataclass(frozen=True)
class Attempt:
    source: Source
    target: Target
    line: Line | None  # that allows it

    def wrong(self, result: str) -> str:
        """What is wrong with this result, or nothing."""
        who = f"{self.source.component} ({self.source.address}) to {self.target.what} ({self.target.address})"
        if self.line is None and result == "open":
            return f"{who} connects, and no line says so"
        if self.line is not None and result != "open":
            return f"{who} is {result}, though line {self.line.name} allows it"
        return ""


def all_attempts(lines: Iterable[Line], sources: list[Source], targets: list[Target]) -> list[Attempt]:
    return [
        Attempt(source, target, line_for(lines, source, target))
        for source in sources
        for target in targets
        if not is_itself(source, target) and (source.component != ELSEWHERE or is_ours(source, target))
    ]


def is_itself(source: Source, target: Target) -> bool:
    """A pod reaches itself without any network, and a Service may lead back to whoever asks."""
    return target.address == source.address or (target.kind != "pod" and target.component == source.component)


def is_ours(source: Source, target: Target) -> bool:
    """What another namespace reaches beside our pods is its own affair, and a node port of another node is open to everybody."""
    of_another_node = target.kind == "node port" and target.node != source.node
    return target.component not in ("", "dns", ELSEWHERE) and not of_another_node


def try_all(cluster: Cluster, attempts: list[Attempt]) -> list[tuple[Attempt, str]]:
    """Attempts that went wrong, and a sentence about each."""
    tries: dict[str, set[str]] = {}
    for attempt in attempts:
        tries.setdefault(attempt.source.address, set()).add(attempt.target.key)
    results: dict[str, dict[str, str]] = {}
    for found in cluster.probe({"tries": {address: sorted(keys) for address, keys in tries.items()}}):
        results |= found
    return [
        (attempt, wrong)
        for attempt in attempts
        if (wrong := attempt.wrong(results.get(attempt.source.address, {}).get(attempt.target.key, "not tried")))
    ]


def try_until(cluster: Cluster, attempts: list[Attempt]) -> list[str]:
    deadline = time.monotonic() + _PATIENCE
    while wrong := try_all(cluster, attempts):
        if time.monotonic() > deadline:
            return [sentence for _attempt, sentence in wrong]
        time.sleep(1)
        attempts = [attempt for attempt, _sentence in wrong]
    return []


def from_outside(lines: Iterable[Line], targets: list[Target]) -> tuple[int, list[str]]:
    """Node ports, from this machine: how many answer, and what is wrong."""
    answering, wrong = 0, []
    open_to_all = {(line.target, line.port) for line in lines if line.source == "outside"}
    for target in targets:
        if target.kind != "node port":
            continue
        try:
            socket.create_connection((target.address, target.port), timeout=5).close()
            connects = True
        except OSError:
            connects = False
        answering += connects
        if connects != ((target.component, target.pod_port) in open_to_all):
            wrong.append(f"outside to {target.what} {'connects, and no line says so' if connects else 'is refused'}")
    return answering, wrong


def run(cluster: Cluster) -> int:
    lines = read_lines()
    ports = sorted({line.port for line in lines} - {53})  # an ordinary user cannot listen on 53 everywhere
    with cluster.company(components(lines), ports):
        sources, targets = cluster.sources(), cluster.targets(ports)
        attempts = all_attempts(lines, sources, targets)
        wrong = try_until(cluster, attempts)
    answering, wrong_outside = from_outside(lines, targets)
    shown = {attempt.line.name for attempt in attempts if attempt.line}
    inner = [line for line in lines if line.source != "outside"]
    unshown = [f"nothing shows line {line}" for line in inner if line.name not in shown]
    allowed = sum(attempt.line is not None for attempt in attempts)
    print(
        f"{len(sources)} pods tried {len(targets)} addresses and ports: {allowed} of {len(attempts)} attempts are to connect"
    )
    print(f"lines shown: {len(shown)} of {len(inner)}; node ports that answer outside: {answering}")
    for sentence in [*wrong, *wrong_outside, *unshown]:
        print(f"WRONG {sentence}")
    return 1 if wrong or wrong_outside or unshown else 0


def main() -> int:
    try:
        return run(Cluster(tuple(Node.named(name) for name in sys.argv[1:] or ["edge1"])))
    except NodeError as exc:
        print(f"lines: {exc}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
