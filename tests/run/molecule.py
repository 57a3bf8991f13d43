"""Molecule: the scenarios in their order on the shared nodes. One test is one action of one scenario."""

from __future__ import annotations

import re
import time

from tests.node.node import ADDRESSES, Node
from tests.node.podman import NodeError
from tests.run.bundle import ensure_bundle
from tests.run.process import call, report, tool_env
from tests.run.report import Tally, clock, say

__all__ = ("SCENARIOS", "converge_only", "remove_nodes", "run", "scenario_tally")

SCENARIOS = ("k3s", "images", "minio", "mlflow", "mindsdb", "gateway", "default")
_STARTED = re.compile(r"\[\S+ > (\w+)\] Executing")
_ENDED = re.compile(r"\[\S+ > (\w+)\] (?:.*)?Executed: (\w+)")


def run(only: list[str]) -> Tally:
    ensure_bundle()
    tally = Tally()
    for scenario in [name for name in SCENARIOS if not only or name in only]:
        tally += _scenario(scenario, "test", "--destroy=never")
        if tally.failed:
            say(f"molecule     stopped after {scenario}: what comes next stands on it; its nodes stay for a look")
            break
    return tally


def converge_only(scenario: str) -> Tally:
    """Bring the nodes to where a scenario leaves them, without its tests."""
    ensure_bundle()
    return _scenario(scenario, "converge")


def remove_nodes(keep: set[str] | None = None) -> None:
    """All nodes of the tests but those that are to be kept."""
    for name in ADDRESSES:
        if name.startswith("edge") and name not in (keep or ()):
            try:
                Node.named(name).down()
            except NodeError as exc:
                say(f"molecule     {name} stays: {exc}")


def _scenario(scenario: str, *command: str) -> Tally:
    env = tool_env(MOLECULE_GLOB="molecule/*/molecule.yml", MOLECULE_COMMAND_BORDERS="false")
    # what an earlier run remembers says nothing about the nodes of this one
    call(f"molecule {scenario} reset", ["molecule", "reset", "-s", scenario], env=env)
    if scenario == SCENARIOS[0]:
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
    failures = [
        f"molecule {scenario} {name}" for name in started if ended.get(name) not in ("Successful", "Missing", "Skipped")
    ]
    if rc != 0 and not failures:
        failures = [f"molecule {scenario}"]
    return Tally(len(passed), tuple(failures))
