# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before any service is asked. The probes themselves are in molecule/, on a real platform."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import platform_info

CASES = [
    pytest.param({"redis": {}}, "missing required arguments: secret found in redis", id="no password"),
    pytest.param({"mongodb": {}}, "Unsupported parameters", id="an unknown service"),
    pytest.param({"mlflow": {"nodeport": 30001}}, "Unsupported parameters", id="a misspelt option"),
    pytest.param(
        {"mlflow": {}, "kubeconfig": "/nonexistent"}, "kubeconfig /nonexistent does not exist", id="no cluster"
    ),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_refused(capfd: t.Any, args: t.Any, message: t.Any) -> None:
    with patch_module_args(args), pytest.raises(SystemExit):
        platform_info.main()
    result = json.loads(capfd.readouterr().out)
    assert result["failed"]
    assert message in result["msg"]
