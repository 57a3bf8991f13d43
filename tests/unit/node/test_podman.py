"""Whether a container has ended without podman's knowledge."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.node.podman import is_killed

CASES = [
    pytest.param("running", "conmon", "own", False, id="it runs"),
    pytest.param("running", "conmon", None, False, id="it has just ended, and its monitor is about to say so"),
    pytest.param("running", None, "own", False, id="only its monitor was killed"),
    pytest.param("running", None, None, True, id="it was killed with its monitor"),
    pytest.param("stopping", None, None, True, id="and somebody tried to stop it"),
    pytest.param("running", "bash", "other", True, id="and others have their numbers now"),
    pytest.param("exited", None, None, False, id="podman knows that it has ended"),
]


@pytest.mark.parametrize(("status", "monitor", "namespace", "expected"), CASES)
def test_is_killed(tmp_path: Path, status: str, monitor: str | None, namespace: str | None, expected: bool) -> None:
    own = tmp_path / "netns"
    own.touch()
    if monitor:
        (tmp_path / "11").mkdir()
        (tmp_path / "11/comm").write_text(f"{monitor}\n")
    if namespace:
        (tmp_path / "12/ns").mkdir(parents=True)
        (tmp_path / "12/ns/net").touch()
    if namespace == "own":
        own.unlink()
        own.hardlink_to(tmp_path / "12/ns/net")
    found: dict[str, t.Any] = {
        "State": {"Status": status, "Pid": 12, "ConmonPid": 11},
        "NetworkSettings": {"SandboxKey": str(own)},
    }
    assert is_killed(found, proc=tmp_path) is expected
