# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before any server is asked. The rest is in the integration tests, on a real server."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import minio_users

# Nobody listens there: a module that asked anybody would say so.
NOWHERE = {"address": "127.0.0.1:9", "access_key": "root", "secret_key": "root-secret"}
ANNA = {"access_key": "anna", "secret_key": "annas-secret"}

CASES = [
    pytest.param({"users": [{"access_key": "anna"}]}, "secret_key", id="no secret key"),
    pytest.param({"users": [{"state": "absent"}]}, "one of the following is required: secret, access_key", id="nobody"),
    pytest.param({"users": [{**ANNA, "secret": {"name": "x"}}]}, "mutually exclusive", id="keys twice"),
    pytest.param({"users": [ANNA, ANNA]}, "user anna is listed twice", id="twice"),
    pytest.param({"users": [{**ANNA, "secret_key": "short"}]}, "8 to 40 characters, this one has 5", id="a short key"),
    pytest.param({"users": [{**ANNA, "access_key": "root"}]}, "this is the root user", id="root"),
    pytest.param({"policies": [{"name": "reader"}]}, "document", id="a policy without a document"),
    pytest.param(
        {"policies": [{"name": "reader", "document": {"Statement": []}}]}, "no Statement", id="an empty policy"
    ),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_refused(capfd: t.Any, args: t.Any, message: t.Any) -> None:
    with patch_module_args({**NOWHERE, **args}), pytest.raises(SystemExit):
        minio_users.main()
    out = capfd.readouterr().out
    result = json.loads(out)
    assert result["failed"]
    assert message in result["msg"]
    assert "annas-secret" not in out
    assert "root-secret" not in out
