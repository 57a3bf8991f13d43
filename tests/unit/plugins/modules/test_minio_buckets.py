# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before any server is asked. The rest is in the integration tests, on a real server."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import minio_buckets

# Nobody listens there: a module that asked anybody would say so.
NOWHERE = {"address": "127.0.0.1:9", "access_key": "root", "secret_key": "root-secret"}

CASES = [
    pytest.param({}, "missing required arguments: buckets", id="no list"),
    pytest.param({"buckets": [{"name": "a", "versions": True}]}, "Unsupported parameters", id="a misspelt property"),
    pytest.param(
        {"buckets": [{"name": "abc", "versioning": "on"}]}, "value of versioning must be one of", id="a bad value"
    ),
    pytest.param({"buckets": [{"name": "abc"}, {"name": "abc"}]}, "bucket abc is listed twice", id="twice"),
    pytest.param({"buckets": [{"name": "a_b"}]}, "bucket a_b: a name has", id="a bad name"),
    pytest.param({"buckets": [], "secret": {"name": "x"}}, "mutually exclusive", id="credentials twice"),
    pytest.param({"buckets": [], "secret_key": None}, "parameters are required together", id="half of the credentials"),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_refused(capfd: t.Any, args: t.Any, message: t.Any) -> None:
    given = {key: value for key, value in {**NOWHERE, **args}.items() if value is not None}
    with patch_module_args(given), pytest.raises(SystemExit):
        minio_buckets.main()
    result = json.loads(capfd.readouterr().out)
    assert result["failed"]
    assert message in result["msg"]


def test_secret_keys_are_hidden(capfd: t.Any) -> None:
    with (
        patch_module_args({**NOWHERE, "buckets": [{"name": "root-secret", "state": "gone"}]}),
        pytest.raises(SystemExit),
    ):
        minio_buckets.main()
    assert "root-secret" not in capfd.readouterr().out
