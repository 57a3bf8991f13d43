"""How the runner starts its tools, and ends them."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.run import process
from tests.run.process import call, side_by_side, stop_all


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOGS", tmp_path)
    monkeypatch.setattr(process, "_stopped", threading.Event())
    monkeypatch.setattr(process, "_children", set())


@pytest.mark.parametrize("patient", [False, True])
def test_a_patient_tool_lets_others_go_first(patient: bool) -> None:
    done = call("niceness", ["sh", "-c", "sleep 0.2; nice"], patient=patient)
    ours = os.getpriority(os.PRIO_PROCESS, 0)  # these tests may be patient themselves
    assert (done.rc, int(done.output)) == (0, max(ours, 10) if patient else ours)


def test_what_runs_in_another_thread_is_ended_and_nothing_starts_any_more() -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(call, "long", ["sh", "-c", "echo up; sleep 60"])
        while not process._children or not (process.LOGS / "long.log").read_text():
            time.sleep(0.01)
        stop_all()
        assert running.result(10).rc < 0
    with pytest.raises(RuntimeError, match="stopped before next"):
        call("next", ["true"])


def test_what_fails_beside_a_tool_ends_it() -> None:
    def fail() -> None:
        while not process._children:
            time.sleep(0.01)
        raise OSError("no server")

    started = time.monotonic()
    with pytest.raises(OSError, match="no server"):
        side_by_side([fail, lambda: call("long", ["sleep", "60"])])
    assert time.monotonic() - started < 30
