"""What a tool's own output says of how many passed."""

from __future__ import annotations

import re

from tests.run.process import Done
from tests.run.report import Tally

__all__ = ("go_tally", "pytest_tally")


def pytest_tally(done: Done) -> Tally:
    """Counts from pytest's last line; a run that never got there is one failure."""
    last = next((line for line in reversed(done.output.splitlines()) if " in " in line), "")
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)}
    broken = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    if done.rc != 0 and not broken:
        broken = 1
    names = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.output, re.MULTILINE)
    names = [*names, *[done.name] * broken][:broken]
    notes = (f"{counts['skipped']} skipped by {done.name}",) if counts.get("skipped") else ()
    return Tally(counts.get("passed", 0), tuple(names), notes)


def go_tally(done: Done) -> Tally:
    """Counts from `go test -v`, each case of a table for itself; what did not compile is one failure."""
    found = re.findall(r"^ *--- (PASS|FAIL|SKIP): (\S+)", done.output, re.MULTILINE)
    tables = {name.rpartition("/")[0] for _result, name in found}
    results = [(result, name) for result, name in found if name not in tables]
    failures = [name for result, name in results if result == "FAIL"]
    if done.rc != 0 and not failures:
        failures = [done.name]
    skipped = sum(result == "SKIP" for result, _name in results)
    notes = (f"{skipped} skipped by {done.name}",) if skipped else ()
    return Tally(sum(result == "PASS" for result, _name in results), tuple(failures), notes)
