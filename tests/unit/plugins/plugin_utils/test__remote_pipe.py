"""The pipe is run for real, with this machine as the node: its script is the part that could be wrong."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.plugin_utils import _remote_pipe
from ansible_collections.airgap.mlops.plugins.plugin_utils._remote_pipe import RemotePipe

DATA = [os.urandom(200_000) for _index in range(5)]


@pytest.fixture(autouse=True)
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The scripts' /run, so that tests need no root and leave the machine's own alone."""
    directory = tmp_path / "run"
    directory.mkdir()
    for name in ("_START", "_FEED", "_FINISH"):
        monkeypatch.setattr(
            _remote_pipe, name, getattr(_remote_pipe, name).replace("/run/airgap", f"{directory}/airgap")
        )
    monkeypatch.setattr(_remote_pipe, "_PREFIX", f"pipe={directory}/")
    return directory


def execute(command: str, data: bytes) -> dict[str, t.Any]:
    done = subprocess.run(["/bin/sh", "-c", command], input=data, capture_output=True, timeout=30, check=False)
    return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}


def test_every_byte_arrives_in_order_and_nothing_stays(tmp_path: Path, run_directory: Path) -> None:
    target = tmp_path / "out"
    answer = RemotePipe(execute, 60).run(["sh", "-c", f"cat >{target}; echo it is done"], DATA, sum(map(len, DATA)))
    assert (answer.rc, answer.output) == (0, "it is done")
    assert target.read_bytes() == b"".join(DATA)
    assert list(run_directory.iterdir()) == []


def test_a_command_that_fails_early_neither_hangs_nor_hides_its_error(run_directory: Path) -> None:
    answer = RemotePipe(execute, 60).run(
        ["sh", "-c", "head -c 10 >/dev/null; echo the disk is full >&2; exit 3"], DATA, sum(map(len, DATA))
    )
    assert (answer.rc, answer.output) == (3, "the disk is full")
    assert list(run_directory.iterdir()) == []


def test_a_receiver_gives_up_at_its_limit(run_directory: Path) -> None:
    with pytest.raises(AirgapError, match="stopped taking data"):
        RemotePipe(execute, 1).run(["cat"], slow(), sum(map(len, DATA)))
    assert list(run_directory.iterdir()) == []


def slow() -> t.Iterator[bytes]:
    yield DATA[0]
    time.sleep(2)
    yield DATA[1]


def test_the_next_run_ends_what_a_run_left_behind(tmp_path: Path, run_directory: Path) -> None:
    class CutOff(Exception):
        pass

    def broken() -> t.Iterator[bytes]:
        yield DATA[0]
        raise CutOff

    with pytest.raises(CutOff):
        RemotePipe(execute, 60).run(["cat"], broken(), sum(map(len, DATA)))
    (left,) = run_directory.iterdir()
    pid = int((left / "pid").read_text())
    assert Path(f"/proc/{pid}").exists()
    answer = RemotePipe(execute, 60).run(["sh", "-c", f"cat >{tmp_path}/out"], DATA, sum(map(len, DATA)))
    assert answer.rc == 0
    assert not _alive(pid)
    assert list(run_directory.iterdir()) == []


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_a_node_that_cannot_make_the_pipe_says_so() -> None:
    def refuse(_command: str, _data: bytes) -> dict[str, t.Any]:
        return {"rc": 1, "stdout": "", "stderr": "mktemp: failed to create directory: Read-only file system"}

    with pytest.raises(AirgapError, match="Read-only file system"):
        RemotePipe(refuse, 60).run(["cat"], DATA, 1)
