# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import node_files

PROGRAM = b"#!/bin/sh\n"
SUM = hashlib.sha256(PROGRAM).hexdigest()


def run(capfd: pytest.CaptureFixture[str], **args: t.Any) -> dict[str, t.Any]:
    with patch_module_args({"_ansible_diff": True, **args}), pytest.raises(SystemExit):
        node_files.main()
    answer: dict[str, t.Any] = json.loads(capfd.readouterr().out)
    return answer


@pytest.fixture
def args(tmp_path: Path) -> dict[str, t.Any]:
    return {
        "directories": [{"path": str(tmp_path / "etc"), "mode": "0700"}],
        "files": [
            {"path": str(tmp_path / "etc/config.yaml"), "content": "a: 1\n", "mode": "0600"},
            {"path": str(tmp_path / "etc/token"), "secret_content": "hush-hush", "mode": "0600"},
        ],
        "links": [{"path": str(tmp_path / "etc/link"), "target": "config.yaml"}],
        "superseded": [{"pattern": str(tmp_path / "etc/*.old")}],
    }


def test_plan_do_and_do_again(tmp_path: Path, capfd: pytest.CaptureFixture[str], args: dict[str, t.Any]) -> None:
    planned = run(capfd, **args, _ansible_check_mode=True)
    assert list(tmp_path.iterdir()) == []
    done = run(capfd, **args)
    assert planned["diff"] == done["diff"]
    assert planned["actions"] == done["actions"]
    config = hashlib.sha256(b"a: 1\n").hexdigest()
    expected = {str(tmp_path / "etc/config.yaml"): config, str(tmp_path / "etc/token"): "hidden"}
    assert planned["contents"] == done["contents"] == expected
    assert (tmp_path / "etc/link").read_text() == "a: 1\n"
    assert (tmp_path / "etc/token").read_text() == "hush-hush"
    assert "hush" not in json.dumps([planned, done])
    (tmp_path / "etc/x.old").write_text("")
    removed = run(capfd, **args)
    assert removed["actions"] == [f"remove {tmp_path}/etc/x.old"]
    assert removed["contents"] == {f"{tmp_path}/etc/x.old": None}
    assert run(capfd, **args)["changed"] is False


@pytest.mark.parametrize("secret", ["hush-hush", "hush-hush\n", "hush\\hush", "hush'\"hush"])
def test_no_secret_reaches_the_journal(
    capfd: pytest.CaptureFixture[str], args: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    journal: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, msg, log_args=None: journal.append(f"{msg} {log_args}"))
    args["files"][1]["secret_content"] = secret
    run(capfd, **args)
    assert journal
    assert "hush" not in str(journal)


def test_a_secret_that_moves_elsewhere_is_not_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], args: dict[str, t.Any]
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yaml").write_text("token: hush-hush\n")
    args["files"][0]["hidden_if"] = "token: "
    for check in (True, False):
        assert "hush" not in json.dumps(run(capfd, **args, _ansible_check_mode=check))
    assert (tmp_path / "etc/config.yaml").read_text() == "a: 1\n"


def test_bytes_that_are_missing_are_asked_for_before_anything_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], args: dict[str, t.Any]
) -> None:
    program = {"path": str(tmp_path / "etc/program"), "source": "p", "sha256": SUM, "mode": "0755"}
    args["files"].append(program)
    (missing,) = run(capfd, **args)["missing"]
    assert [entry.name for entry in tmp_path.rglob("*")] == ["etc"]
    Path(missing["staged"]).write_bytes(PROGRAM)
    assert run(capfd, **args)["missing"] == []
    assert (tmp_path / "etc/program").read_bytes() == PROGRAM
    assert run(capfd, **args)["changed"] is False


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param({"content": "x", "mode": "u=rw"}, "is no octal number", id="mode"),
        pytest.param(
            {"content": "x", "path": "/proc/nowhere/x"}, "on the node: No such file or directory", id="no directory"
        ),
        pytest.param({"content": "x", "secret_content": "hush-hush"}, "mutually exclusive", id="two contents"),
        pytest.param({"content": "x", "hidden_if": "("}, "is no regular expression", id="pattern"),
        pytest.param({}, "one of the following is required", id="no content"),
    ],
)
def test_bad_input(tmp_path: Path, capfd: pytest.CaptureFixture[str], file: dict[str, t.Any], expected: str) -> None:
    result = run(capfd, files=[{"path": str(tmp_path / "x"), **file}])
    assert result["failed"] is True
    assert expected in result["msg"]
