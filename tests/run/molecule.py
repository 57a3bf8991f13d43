"""Molecule: two chains of scenarios, side by side, each on a node of its own. One test is one action of one scenario."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterable

import yaml

from tests.node.node import ADDRESSES, Node
from tests.node.podman import NodeError
from tests.run.bundle import ensure_bundle
from tests.run.process import call, report, side_by_side, tool_env
from tests.run.report import Tally, clock, say

__all__ = ("CHAINS", "converge_only", "names", "remove_nodes", "run", "scenario_tally")

# By their node. The first of a chain starts from a bare one, each other finds what the one before left.
CHAINS = {"edge1": ("k3s", "images", "mlflow"), "edge3": ("default", "minio", "mindsdb", "gateway")}
_STARTED = re.compile(r"\[\S+ > (\w+)\] Executing")
_ENDED = re.compile(r"\[\S+ > (\w+)\] (?:.*)?Executed: (\w+)")
_FAILED_TASK = re.compile(
    r"^TASK \[([^\n]*)\] \*+$(?:(?!^TASK \[).)*?^(?:fatal|failed): \[[^\n]*=> ?([^\n]*(?:\n(?:[ \t][^\n]*)?)*)",
    re.MULTILINE | re.DOTALL,
)


def names() -> list[str]:
    return [name for chain in CHAINS.values() for name in chain]


def run(only: list[str]) -> Tally:
    ensure_bundle()
    chosen = [[name for name in chain if not only or name in only] for chain in CHAINS.values()]
    return sum(side_by_side([functools.partial(_chain, names) for names in chosen if names]), Tally())


def _chain(names: list[str]) -> Tally:
    tally = Tally()
    for scenario in names:
        tally += _scenario(scenario, "test", "--destroy=never")
        if tally.failed:
            say(f"molecule     stopped after {scenario}: what comes next stands on it; its node stays for a look")
            break
    return tally


def converge_only(scenario: str) -> Tally:
    """Bring the nodes to where a scenario leaves them, without its tests."""
    ensure_bundle()
    return _scenario(scenario, "converge")


def remove_nodes(names: Iterable[str] = ADDRESSES) -> None:
    """Nodes of the tests, all of them unless named; never that of the demo."""
    for name in names:
        if name.startswith("edge"):
            try:
                Node.named(name).down()
            except NodeError as exc:
                say(f"molecule     {name} stays: {exc}")


def _scenario(scenario: str, *command: str) -> Tally:
    node, chain = next((node, chain) for node, chain in CHAINS.items() if scenario in chain)
    env = tool_env(MOLECULE_GLOB="molecule/*/molecule.yml", MOLECULE_COMMAND_BORDERS="false", EDGE_NODE=node)
    # what an earlier run remembers says nothing about the nodes of this one
    call(f"molecule {scenario} reset", ["molecule", "reset", "-s", scenario], env=env)
    if scenario == chain[0]:
        # it starts from bare nodes; --destroy=never, which keeps them afterwards, would skip a destroy in its sequence
        call(f"molecule {scenario} destroy", ["molecule", "destroy", "-s", scenario], env=env)
    started = time.monotonic()

    def progress(line: str) -> None:
        nonlocal started
        if _STARTED.search(line):
            started = time.monotonic()
        ended = _ENDED.search(line)
        if ended and ended[2] not in ("Missing", "Skipped"):
            took = clock(time.monotonic() - started)
            say(f"molecule       {scenario} {ended[1]:12} {ended[2].lower():>12} {took:>12}")

    done = call(
        f"molecule {scenario}", ["molecule", command[0], "-s", scenario, *command[1:]], env=env, on_line=progress
    )
    report("molecule", done)
    return scenario_tally(scenario, done.output, done.rc)


def scenario_tally(scenario: str, output: str, rc: int) -> Tally:
    before_summary = output.partition("\nDETAILS")[0]
    ended = dict(_ENDED.findall(before_summary))
    started = _STARTED.findall(before_summary)
    passed = [name for name, result in ended.items() if result == "Successful"]
    failed = _FAILED_TASK.findall(output) if rc != 0 else []
    why = ": ".join(["", failed[-1][0], *_reasons(failed[-1][1])]) if failed else ""
    failures = [
        f"molecule {scenario} {name}{why}"
        for name in started
        if ended.get(name) not in ("Successful", "Missing", "Skipped")
    ]
    if rc != 0 and not failures:
        failures = [f"molecule {scenario}"]
    return Tally(len(passed), tuple(failures))


def _reasons(result: str) -> list[str]:
    """What a failed task says in short, its module and the last lines of its command: the summary has to do where a log is lost."""
    try:
        told = yaml.safe_load(result)
    except yaml.YAMLError:
        return []
    said = [str(told.get(key) or "").strip() for key in ("msg", "stderr")] if isinstance(told, dict) else []
    return [" / ".join([line for line in text.splitlines() if line.strip()][-3:]) for text in said if text]
