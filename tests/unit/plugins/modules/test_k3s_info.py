# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import copy
import json
import time
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.module_utils import _k3s_host
from ansible_collections.airgap.mlops.plugins.modules import k3s_info

FIXTURES = Path(__file__).parents[1] / "module_utils/fixtures"
NODE = json.loads((FIXTURES / "node-1.35.4.json").read_text())
UNIT = "LoadState=loaded\nUnitFileState=enabled\nActiveState={state}\nMainPID={pid}\nInvocationID=abc\nNRestarts={restarts}\nNeedDaemonReload=no\n"
VERSION = "k3s version v1.35.4+standin1 (c1317e1d)\ngo version go1.26.6\n"


def heard_of(when: float) -> dict[str, t.Any]:
    """The recorded node, as if its kubelet had spoken at this time."""
    node: dict[str, t.Any] = copy.deepcopy(NODE)
    for condition in node["status"]["conditions"]:
        condition["lastHeartbeatTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    return node


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, t.Any]:
    """A server whose commands answer what the test wants."""
    (tmp_path / "k3s").write_text("a program")
    state: dict[str, t.Any] = {
        "state": "active",
        "pid": 7,
        "restarts": 0,
        "readyz": (0, "ok", ""),
        "dns": {"availableReplicas": 1},
        "journal": "",
        "heartbeat": time.time(),
    }

    def run_command(_self: AnsibleModule, argv: list[str], **_options: t.Any) -> tuple[int, str, str]:
        line = " ".join(argv)
        answers = {
            "--version": (0, VERSION, ""),
            "systemctl show": (0, UNIT.format(**state), ""),
            "journalctl": (0, state["journal"], ""),
            "--raw": state["readyz"],
            "get nodes": (0, json.dumps({"items": [heard_of(state["heartbeat"])]}), ""),
            "get deployment": (0, json.dumps({"status": state["dns"]}), ""),
            "get pods": (0, "", ""),
            "ip -j": (0, "[]", ""),
        }
        return next(answer for key, answer in answers.items() if key in line)

    monkeypatch.setattr(AnsibleModule, "run_command", run_command)
    monkeypatch.setattr(_k3s_host.platform, "node", lambda: "h4-a")
    monkeypatch.setattr(_k3s_host, "start_patterns", lambda *_args: (str(tmp_path / "k3s"), str(tmp_path / "*.yaml")))
    monkeypatch.setattr(_k3s_host, "started_path", lambda _unit: str(tmp_path / "started"))
    monkeypatch.setattr(k3s_info, "_POLL_SECONDS", 0.01)
    state["args"] = {"role": "server", "k3s": str(tmp_path / "k3s"), "data_dir": str(tmp_path)}
    sums = _k3s_host.file_sha256(str(tmp_path / "k3s"))
    (tmp_path / "started").write_text(f"invocation abc\n{VERSION}{sums}  {tmp_path}/k3s\n")
    return state


def run(host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], **args: t.Any) -> dict[str, t.Any]:
    with patch_module_args({**host["args"], **args}), pytest.raises(SystemExit):
        k3s_info.main()
    answer: dict[str, t.Any] = json.loads(capfd.readouterr().out)
    return answer


def test_a_ready_server(host: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    result = run(host, capfd)
    assert result["changed"] is False
    assert (result["ready"], result["missing"], result["restart_required"]) == (True, None, False)
    assert result["running"] == {"version": "v1.35.4+standin1", "pid": 7}
    assert result["members"]["has_quorum"] is True


def test_a_node_that_was_last_heard_of_before_the_machine_started(
    host: dict[str, t.Any], capfd: pytest.CaptureFixture[str]
) -> None:
    host["heartbeat"] = time.time() - time.monotonic() - 60
    assert run(host, capfd)["missing"] == "what is known of node h4-a is from before the start"


def test_a_change_by_hand_is_seen(host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("node-label: [a=b]\n")
    assert run(host, capfd, cluster=False)["restart_reasons"] == [f"{tmp_path}/config.yaml is new since the start"]


def test_what_is_still_to_be_written_counts(
    host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    binary = str(tmp_path / "k3s")
    result = run(host, capfd, cluster=False, planned={binary: "1" * 64, "/etc/motd": None})
    assert result["restart_reasons"] == [f"{binary} has changed since the start"]
    assert result["installed"]["sha256"] == _k3s_host.file_sha256(binary)


def test_coredns_without_a_pod_is_not_ready(host: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    # as k3s' own manifest has it: one replica that may be away makes the condition Available hold with none
    host["dns"] = {"conditions": [{"type": "Available", "status": "True"}], "unavailableReplicas": 1}
    assert run(host, capfd)["ready"] is False
    assert run(host, capfd, dns=False)["ready"] is True


def test_a_token_is_never_returned(host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server/token").write_text(f"K10{'c' * 64}::server:hush-hush\n")
    result = run(host, capfd)
    assert (result["token_present"], result["cluster_id"]) == (True, "c" * 64)
    assert "hush" not in json.dumps(result)


def test_volumes_that_lie_on_the_node(
    host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(host, capfd)["volumes"] == []
    (tmp_path / "storage/pvc-12_mlops_pg-pvc").mkdir(parents=True)
    assert run(host, capfd)["volumes"] == ["pvc-12_mlops_pg-pvc"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"readyz": (1, "", "error: refused")},
            "k3s is not ready after 0 s: the API does not answer: error: refused",
            id="late",
        ),
        pytest.param(
            {"state": "activating", "pid": 0, "restarts": 9},
            "k3s is not ready after 0 s: ",
            id="just mended, after a crash loop",
        ),
    ],
)
def test_waiting_ends_and_shows_the_journal(
    host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], changes: dict[str, t.Any], expected: str
) -> None:
    host.update(changes, journal='level=fatal msg="no such flag"\n')
    result = run(host, capfd, wait=True, wait_timeout=0)
    assert result["failed"] is True
    assert result["msg"].startswith(expected)
    assert "no such flag" in result["msg"]


def test_waiting_ends_early_in_a_crash_loop(
    host: dict[str, t.Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.update(state="activating", pid=0, restarts=9)

    def another_second(_seconds: float) -> None:
        host["restarts"] += 1

    monkeypatch.setattr(k3s_info.time, "sleep", another_second)
    result = run(host, capfd, wait=True, wait_timeout=3600)
    assert result["msg"].startswith("k3s.service ends and is started again and again")
    assert host["restarts"] == 9 + 6
