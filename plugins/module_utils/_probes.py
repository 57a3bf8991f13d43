# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What a service must be able to do, and what came of asking it. Pure: the asking is handed in.

A probe does a piece of the work that its service is for. It returns what it saw, or raises.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("Check", "Probe", "report", "run_probes")

_PAUSE = 2.0


@dataclass(frozen=True)
class Probe:
    component: str  # the name of the Deployment
    address: str
    work: str  # what is done, for a reader
    ask: t.Callable[[], str]


@dataclass(frozen=True)
class Check:
    component: str
    address: str
    work: str
    healthy: bool
    detail: str
    seconds: float


def run_probes(
    probes: t.Sequence[Probe],
    *,
    wait: float = 0,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> list[Check]:
    """Run them all: the third broken service is worth knowing about too. What failed is tried again for `wait` seconds."""
    end = clock() + wait
    checks = [_run(probe, clock) for probe in probes]
    while not all(check.healthy for check in checks) and clock() < end:
        sleep(_PAUSE)
        checks = [
            check if check.healthy else _run(probe, clock)
            for probe, check in zip(probes, checks)  # noqa: B905 (3.9)
        ]
    return checks


def _run(probe: Probe, clock: t.Callable[[], float]) -> Check:
    start = clock()
    try:
        healthy, detail = True, probe.ask()
    except AirgapError as exc:
        healthy, detail = False, str(exc)
    return Check(probe.component, probe.address, probe.work, healthy, detail, round(clock() - start, 3))


def report(checks: t.Sequence[Check], namespace: str) -> list[str]:
    """A line for each service that failed: its address, what happened and what to look at."""
    failed: dict[str, dict[tuple[str, str], list[str]]] = {}
    for check in checks:
        if not check.healthy:
            causes = failed.setdefault(check.component, {})
            causes.setdefault((check.address, check.detail.rstrip(".")), []).append(check.work)
    lines = []
    for component, causes in failed.items():
        found = "; ".join(
            f"{address} failed to {', to '.join(works)}: {why}" for (address, why), works in causes.items()
        )
        pods = f"`kubectl -n {namespace} get pods -l app.kubernetes.io/name={component}`"
        logs = f"`kubectl -n {namespace} logs deployment/{component}`"
        lines.append(f"{component}: {found}. Look at {pods} and {logs}.")
    return lines
