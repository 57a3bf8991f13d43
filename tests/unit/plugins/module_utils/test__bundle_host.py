# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import pathlib
import sys

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(str(tmp_path / "step.log"))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_answer_is_standard_output_and_the_log_has_all(host: Host, tmp_path: pathlib.Path) -> None:
    code = "import os, sys; sys.stderr.write('talk'); print(os.environ['X'], os.getcwd())"
    assert host.run(python(code), env={"X": "1"}, cwd=str(tmp_path)) == f"1 {tmp_path}"
    log = pathlib.Path(host.log).read_text()
    assert "talk" in log
    assert log.startswith(f"+ {sys.executable} -c")


def test_nobodys_umask_gets_into_what_is_built(host: Host) -> None:
    before = os.umask(0o077)
    try:
        assert host.run(python("import os; print(oct(os.umask(0)))")) == "0o22"
    finally:
        os.umask(before)


def test_a_failure_shows_the_end_of_what_was_said(host: Host) -> None:
    host.run(python("print('an earlier command')"))
    with pytest.raises(CommandFailed) as caught:
        host.run(python("import sys; [print(n, file=sys.stderr) for n in range(99)]; sys.exit(4)"))
    message = str(caught.value)
    assert caught.value.details["rc"] == 4
    assert "98" in message
    assert "69\n70" in message
    assert "68\n" not in message
    assert "an earlier command" not in message
    assert f"whole log: {host.log}" in message


def test_a_command_that_is_not_there_is_named(host: Host) -> None:
    with pytest.raises(AirgapError, match="no-such-tool cannot be run on the build host"):
        host.run(["no-such-tool"])
    with pytest.raises(AirgapError, match="lacks no-such-tool, nor-this: install the packages"):
        host.need("sh", "no-such-tool", "nor-this")


def test_a_tool_of_the_environment_goes_before_one_from_path(
    host: Host, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirgapError, match="has no no-such-tool: do this"):
        host.beside_python("no-such-tool", "do this")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert host.beside_python("sh", "") != str(tmp_path / "sh")
    (tmp_path / "sh").touch(0o755)
    assert host.beside_python("sh", "") == str(tmp_path / "sh")
