# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before any server is asked. The rest is in molecule's scenario mindsdb, on a real server."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import mindsdb_models

# Nobody listens there: a module that asked anybody would say so.
NOWHERE = {"address": "127.0.0.1:9", "login_user": "data", "login_password": "login-secret"}
M = {"name": "m", "target": "y", "datasource": "plant", "query": "SELECT x, y FROM t"}

CASES = [
    pytest.param({}, "missing required arguments: models", id="no list"),
    pytest.param({"models": [{**M, "using": {}}]}, "Unsupported parameters", id="a misspelt option"),
    pytest.param({"models": [{"name": "m"}]}, "missing: target", id="no target"),
    pytest.param({"models": [M, M]}, "model m is listed twice", id="twice"),
    pytest.param({"models": [{**M, "name": "m.1"}]}, "model m.1: a name has", id="a version for a name"),
    pytest.param({"models": [{**M, "query": "SELECT 1) --"}]}, "parentheses do not match", id="SQL after the query"),
    pytest.param({"models": [{**M, "target": "y` --"}]}, "cannot be a name", id="SQL after the target"),
    pytest.param({"models": [{**M, "options": {"a": "b\\"}}]}, "option a: a text with", id="SQL after a value"),
    pytest.param({"models": [M], "project": "a b"}, "project 'a b'", id="a bad project"),
    pytest.param({"models": []}, "127.0.0.1:9 does not answer", id="nobody there"),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_refused(capfd: t.Any, args: t.Any, message: t.Any) -> None:
    with patch_module_args({**NOWHERE, **args}), pytest.raises(SystemExit):
        mindsdb_models.main()
    result = json.loads(capfd.readouterr().out)
    assert result["failed"]
    assert message in result["msg"]
