"""Start the tools: the output goes to a file under build/tests/, and to the screen where it explains a failure."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.run.report import clock, say

__all__ = ("LOGS", "ROOT", "VENV", "Done", "call", "report", "side_by_side", "stop_all", "tool_env", "tracked_files")

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "build/venv"
LOGS = ROOT / "build/tests"

T = TypeVar("T")
_stopped = threading.Event()
_children: set[subprocess.Popen[str]] = set()


@dataclass(frozen=True)
class Done:
    name: str
    rc: int
    seconds: float
    log: Path
    cpu: float = 0.0  # seconds of processors of all that it started and waited for, so of no node and no server

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")


def tool_env(**more: str) -> dict[str, str]:
    """The environment of every tool: the pinned ones first on PATH, no colours, nothing written to the home directory."""
    env = {
        **os.environ,
        "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
        "ANSIBLE_HOME": str(ROOT / "build/ansible-home"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
    }
    env.pop("ANSIBLE_FORCE_COLOR", None)
    return {**env, **more}


def call(
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    on_line: Callable[[str], None] | None = None,
    patient: bool = False,
) -> Done:
    """Run a command to its end. When we are stopped, so is everything that it started.

    `patient`: it lets others go first, such as nodes whose pods are waited for.
    """
    if _stopped.is_set():
        raise RuntimeError(f"stopped before {name}")
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name.replace(' ', '-').replace('/', '-')}.log"
    started = time.monotonic()
    with (
        log.open("w") as out,
        subprocess.Popen(
            list(argv), cwd=cwd, env=dict(env or tool_env()), text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as child,
    ):  # fmt: skip
        _children.add(child)
        if patient:
            _give_way(child.pid)
        try:
            assert child.stdout is not None
            for line in child.stdout:
                out.write(line)
                out.flush()
                if on_line:
                    on_line(line.rstrip("\n"))
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            raise
        finally:
            _children.discard(child)
    return Done(name, child.returncode, time.monotonic() - started, log, usage.ru_utime + usage.ru_stime)


def _give_way(pid: int) -> None:
    """Where the kernel groups processes by session, a process' own niceness counts in its group alone."""
    with contextlib.suppress(OSError):  # it is over already, or there are no such groups
        os.setpriority(os.PRIO_PROCESS, pid, max(10, os.getpriority(os.PRIO_PROCESS, pid)))
        Path(f"/proc/{pid}/autogroup").write_text("10")


def side_by_side(starts: Sequence[Callable[[], T]], most: int | None = None) -> list[T]:
    """Results in the order of what was started, each in a thread. When we are stopped, none of them goes on."""
    with ThreadPoolExecutor(max_workers=most or len(starts) or 1) as pool:
        try:
            return list(pool.map(lambda start: start(), starts))
        except BaseException:
            stop_all()
            raise


def stop_all() -> None:
    """End what other threads are running, and let them start nothing more."""
    _stopped.set()
    for child in list(_children):
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(child.pid, signal.SIGTERM)


def report(kind: str, done: Done, *, tail: int = 80) -> None:
    """The one line of a step, and why it failed."""
    say(
        f"{kind:12} {done.name:44} {'ok' if done.rc == 0 else 'FAILED':7} {clock(done.seconds):>10} {clock(done.cpu):>10} of CPU"
    )
    if done.rc != 0:
        lines = done.output.splitlines()
        if len(lines) > tail:
            say(f"    … {len(lines) - tail} lines before these are in {done.log.relative_to(ROOT)}")
        for line in lines[-tail:]:
            say(f"    {line}")


def tracked_files(*patterns: str) -> list[Path]:
    """Files of the repository that are there: what git tracks, and what it would track once added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    names = sorted({name for name in listed.stdout.split("\0") if name})
    return [Path(name) for name in names if (ROOT / name).is_file() or (ROOT / name).is_symlink()]
