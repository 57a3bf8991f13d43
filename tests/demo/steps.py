"""Steps with a title, a time and a log, so that whoever waits sees what for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ("DemoError", "Steps", "run_logged")


class DemoError(Exception):
    """The demo cannot go on, or what it proves is not so."""


class Steps:
    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self.times: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self._number += 1
        print(f"\n[{self._number}/{self._total}] {title}", flush=True)
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        self.times.append((title, took))
        print(f"      {took:.1f} s", flush=True)


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    echo: bool = True,
    timeout: float | None = None,
) -> str:
    """Run a command, show its output as it comes and keep it in `log`. Returns it. DemoError when the command fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    full_env = {**os.environ, **(env or {}), "PYTHONUNBUFFERED": "1"}
    late = threading.Event()
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, env=full_env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, stop)
        timer.daemon = True
        timer.start()
        try:
            for line in process.stdout or ():
                lines.append(line)
                out.write(line)
                out.flush()
                if echo:
                    sys.stdout.write(f"      {line}")
                    sys.stdout.flush()
        except KeyboardInterrupt:
            process.terminate()
            raise
        finally:
            timer.cancel()
    text = "".join(lines)
    if late.is_set():
        raise DemoError(f"{' '.join(command)} was stopped after {timeout:.0f} s (log: {log}): {text[-1000:]}")
    if process.returncode != 0:
        shown = "" if echo else f":\n{text[-3000:]}"
        raise DemoError(f"{' '.join(command)} failed with exit code {process.returncode} (log: {log}){shown}")
    return text
