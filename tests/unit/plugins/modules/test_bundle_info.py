# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import pathlib
import sys

import pytest

from ansible_collections.airgap.mlops.plugins.modules import bundle_info

# The tests of the reader itself are in ../module_utils/test__bundle.py.
if sys.version_info < (3, 11):
    pytest.skip("ansible-core's test helpers need the controller's Python", allow_module_level=True)

from ansible.module_utils.testing import patch_module_args


def test_a_missing_bundle_is_one_clear_error(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"path": str(tmp_path / "none")}), pytest.raises(SystemExit) as ended:
        bundle_info.main()
    assert ended.value.code == 1
    result = json.loads(capfd.readouterr().out)
    assert result["failed"]
    assert result["msg"].endswith("or name the directory of one that you have")


def test_an_unknown_arch_is_refused_by_the_spec(capfd: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"path": "/x", "arch": "riscv64"}), pytest.raises(SystemExit):
        bundle_info.main()
    assert "must be one of: amd64, arm64" in json.loads(capfd.readouterr().out)["msg"]
