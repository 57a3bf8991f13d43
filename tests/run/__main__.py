"""`python -m tests.run KIND`: run the tests of one kind, or of all, and end with the plain total."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
import time
from collections.abc import Callable

from tests.run import integration, lint, molecule, unit
from tests.run.process import side_by_side
from tests.run.report import Tally, clock, say

KINDS: dict[str, Callable[[list[str]], Tally]] = {
    "lint": lint.run,
    "unit": unit.run,
    "integration": integration.run,
    "molecule": molecule.run,
}
Step = tuple[str, list[str]]
# With a fourth each step took so much longer, and more of two processors' time, that the whole did as well.
SIDE_BY_SIDE = 3


def lanes() -> list[list[Step]]:
    """All tests, as what has to come one after the other. The two chains on nodes, where most of the time is waiting for pods, take
    longest and start first; what needs no node fills the third place, and theirs as they end.

    The scenario k3s takes a bare node to a running cluster, which integration tests then use before the next one does. Linters need
    no bundle, which may still be built; unit tests come last, since they use what processors the others leave.
    """
    (first, *others), *chains = map(list, molecule.CHAINS.values())
    return [
        [("molecule", [first]), ("integration", integration.names(on_cluster=True)), ("molecule", others)],
        *([("molecule", chain)] for chain in chains),
        [("lint", [])],
        [("integration", integration.names(on_cluster=False))],
        [("unit", [])],
    ]


def run_steps(steps: list[Step]) -> dict[str, Tally]:
    """One after the other; where a scenario fails, the node is not what the next step stands on."""
    tallies: dict[str, Tally] = {}
    for kind, only in steps:
        tally = KINDS[kind](only)
        tallies[kind] = tallies.get(kind, Tally()) + tally
        if kind == "molecule" and tally.failed:
            break
    return tallies


def run_all() -> dict[str, Tally]:
    done = side_by_side([functools.partial(run_steps, steps) for steps in lanes()], most=SIDE_BY_SIDE)
    return {kind: sum((tallies.get(kind, Tally()) for tallies in done), Tally()) for kind in KINDS}


def names(kind: str) -> list[str]:
    """What may be asked for, besides paths: of these pytest says which it does not find."""
    known = {"lint": lint.names, "integration": integration.all_names, "molecule": molecule.names}
    return known.get(kind, list)()


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.run", description=__doc__)
    parser.add_argument("kind", choices=[*KINDS, "all"])
    parser.add_argument("only", nargs="*", help="names of linters, integration targets or scenarios; pytest paths")
    options = parser.parse_args()
    known = names(options.kind)
    if unknown := [name for name in options.only if name not in known and "/" not in name]:
        parser.error(f"{options.kind} has no {', '.join(unknown)}; it has: {', '.join(known) or 'no names'}")
    # as Ctrl-C: servers and tools end with us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    started = time.monotonic()
    tallies = run_all() if options.kind == "all" else run_steps([(options.kind, options.only)])
    if "molecule" in tallies and not options.only and not tallies["molecule"].failed:
        molecule.remove_nodes()
    say("")
    for kind, tally in tallies.items():
        say(f"{kind:12} {tally}")
    total = sum(tallies.values(), Tally())
    say(f"{'time':12} {clock(time.monotonic() - started)}")
    for name in total.failures:
        say(f"FAILED       {name}")
    say(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
