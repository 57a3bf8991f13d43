# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module on this machine, whatever it is: that it reads a host, says all at once, and keeps secrets."""

from __future__ import annotations

import json
import platform
import socket
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils._preflight import ARCHITECTURES
from ansible_collections.airgap.mlops.plugins.modules import preflight

HERE = ARCHITECTURES.get(platform.machine(), "amd64")


def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, **args: t.Any) -> dict[str, t.Any]:
    base = {
        "host": "here",
        "arch": HERE,
        "k3s_version": "v1.35.4+k3s1",
        "k3s": str(tmp_path / "k3s"),
        "data_dir": str(tmp_path),
    }
    with patch_module_args({**base, **args}), pytest.raises(SystemExit):
        preflight.main()
    answer: dict[str, t.Any] = json.loads(capfd.readouterr().out)
    return answer


def topics(result: dict[str, t.Any]) -> list[str]:
    return [text.split(":")[0] for text in result["failures"]]


def test_all_that_is_wrong_in_one_message(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = "arm64" if HERE == "amd64" else "amd64"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run(
            capfd,
            tmp_path,
            arch=other,
            systems={"beos": "5"},
            ports=[port],
            memory="1024Ti",
            disk=[{"path": str(tmp_path / "not/there/yet"), "size": "1024Ti", "what": "images"}],
            controller_time=0,
            k3s_minimum="v1.40",
            tokens={"here": "hush-hush-one", "there": "hush-hush-two"},
        )
    assert result["failed"] is True
    wanted = {"operating system", "architecture", "memory", "disk", "clock", f"port {port}", "k3s", "token"}
    assert wanted <= set(topics(result))
    assert result["msg"].startswith(
        f"here is not ready, nothing was changed. {len(result['failures'])} things have to be mended:\n1. "
    )
    assert "hush-hush" not in json.dumps(result)


def test_nothing_asked_nothing_failed_but_what_every_node_needs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result = run(capfd, tmp_path, k3s_version="v1.34.2+k3s1")
    assert set(topics(result)) <= {"operating system", "cgroups", "network", "default route"}


def test_a_version_that_is_none(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "Write it as in the release" in run(capfd, tmp_path, k3s_version="newest")["msg"]
