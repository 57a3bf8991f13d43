"""podman, with settings of our own and errors that say what was tried."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

__all__ = ("NodeError", "inspect", "is_killed", "podman", "run")

_CONTAINERS_CONF = Path(__file__).with_name("containers.conf")
# Where a container's monitor leaves the exit status for podman: root's default.
_EXITS = Path("/run/libpod/exits")
_KILLED = 128 + 9


class NodeError(Exception):
    """Something about a node that a person can act on."""


def run(
    *command: str,
    stdin: str | None = None,
    stdin_file: t.IO[bytes] | None = None,
    check: bool = True,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    given: dict[str, t.Any] = {"stdin": stdin_file} if stdin_file else {"input": stdin or ""}
    done = subprocess.run(command, **given, capture_output=True, text=True, check=False, env=env)
    if check and done.returncode != 0:
        raise NodeError(
            f"{' '.join(command)} failed with exit code {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )
    return done


def podman(*args: str, check: bool = True, stdin_file: t.IO[bytes] | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CONTAINERS_CONF": str(_CONTAINERS_CONF)}
    return run("podman", *args, stdin_file=stdin_file, check=check, env=env)


def inspect(container: str) -> dict[str, t.Any] | None:
    """What podman knows about a container, or None where there is none."""
    found = _inspect(container)
    if found and is_killed(found):
        # podman believes for ever that it runs, and would neither start nor remove it: say what its monitor could not
        (_EXITS / found["Id"]).write_text(str(_KILLED))
        found = _inspect(container)
    return found


def is_killed(found: dict[str, t.Any], proc: Path = Path("/proc")) -> bool:
    """Whether a container that podman calls running has ended, and its monitor with it, which would have told podman."""
    state = found["State"]
    if state["Status"] not in ("running", "stopping"):
        return False
    with contextlib.suppress(FileNotFoundError):
        if (proc / str(state["ConmonPid"]) / "comm").read_text().strip() == "conmon":
            return False
    try:  # the number alone may be somebody else's by now
        first, own = proc / str(state["Pid"]) / "ns/net", Path(found["NetworkSettings"]["SandboxKey"])
        return not first.samefile(own)
    except FileNotFoundError:
        return True


def _inspect(container: str) -> dict[str, t.Any] | None:
    done = podman("container", "inspect", container, check=False)
    if done.returncode != 0:
        if "no such container" in done.stderr.lower():
            return None
        raise NodeError(f"podman container inspect {container}: {done.stderr.strip()}")
    found: dict[str, t.Any] = json.loads(done.stdout)[0]
    return found
