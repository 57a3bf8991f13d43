"""ansible-playbook, and what its recap says."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.demo.steps import DemoError, run_logged

__all__ = ("Recap", "parse_recap", "run_playbook")

_ROOT = Path(__file__).resolve().parents[2]
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \*+$")
_RECAP = re.compile(r"^\S+\s+: ok=\d+\s+changed=(?P<changed>\d+)\s+unreachable=\d+\s+failed=\d+")


@dataclass(frozen=True)
class Recap:
    hosts: int
    changed: int
    changed_tasks: tuple[str, ...]  # names, in order, once each


def parse_recap(output: str) -> Recap:
    """Sums over all hosts from the lines after PLAY RECAP, and which tasks said `changed`."""
    tasks, _, recap = output.partition("PLAY RECAP")
    matches = [match for match in map(_RECAP.match, recap.splitlines()) if match]
    names: dict[str, None] = {}
    task = ""
    for line in tasks.splitlines():
        if found := _TASK.match(line):
            task = found["name"]
        elif line.startswith("changed: ["):
            names[task] = None
    return Recap(len(matches), sum(int(match["changed"]) for match in matches), tuple(names))


def run_playbook(*args: str, log: Path, echo: bool = True) -> Recap:
    """Run a playbook of this checkout. DemoError when it fails."""
    tool = Path(sys.executable).with_name("ansible-playbook")
    env = {"ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}
    output = run_logged([str(tool), *args], log, env=env, echo=echo)
    recap = parse_recap(output)
    if not recap.hosts:
        raise DemoError(f"ansible-playbook {' '.join(args)} reached no host (log: {log})")
    return recap
