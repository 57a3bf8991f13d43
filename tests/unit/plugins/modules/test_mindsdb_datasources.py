# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before any server is asked. The rest is in molecule's scenario mindsdb, on a real server."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import mindsdb_datasources

# Nobody listens there: a module that asked anybody would say so.
NOWHERE = {"address": "127.0.0.1:9", "login_user": "data", "login_password": "login-secret"}
PLANT = {"name": "plant", "engine": "postgres"}

CASES = [
    pytest.param({}, "missing required arguments: datasources", id="no list"),
    pytest.param({"datasources": [{**PLANT, "params": {}}]}, "Unsupported parameters", id="a misspelt option"),
    pytest.param({"datasources": [{"name": "plant"}]}, "missing: engine", id="no engine"),
    pytest.param({"datasources": [PLANT, PLANT]}, "data source plant is listed twice", id="twice"),
    pytest.param({"datasources": [{**PLANT, "name": "a`b"}]}, "data source a`b: a name has", id="a bad name"),
    pytest.param(
        {"datasources": [{**PLANT, "parameters": {"password": "x"}}]}, "give it under secrets", id="in the open"
    ),
    pytest.param(
        {"datasources": [{**PLANT, "secrets": [{}]}]}, "one of the following is required: name, value", id="half"
    ),
    pytest.param(
        {"datasources": [{**PLANT, "secrets": [{"name": "x", "value": "v4lue"}]}]},
        "mutually exclusive",
        id="a secret twice",
    ),
    pytest.param(
        {"datasources": [{**PLANT, "secrets": [{"name": "x"}, {"name": "y"}]}]},
        "two secrets",
        id="two for one parameter",
    ),
    pytest.param({"datasources": [], "login_password": None}, "required together", id="half of the login"),
    pytest.param({"datasources": []}, "127.0.0.1:9 does not answer", id="nobody there"),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_refused(capfd: t.Any, args: t.Any, message: t.Any) -> None:
    given = {key: value for key, value in {**NOWHERE, **args}.items() if value is not None}
    with patch_module_args(given), pytest.raises(SystemExit):
        mindsdb_datasources.main()
    result = json.loads(capfd.readouterr().out)
    assert result["failed"]
    assert message in result["msg"]


def test_secrets_are_hidden(capfd: t.Any) -> None:
    source = {**PLANT, "name": "data-secret", "secrets": [{"value": "data-secret"}]}
    with patch_module_args({**NOWHERE, "datasources": [source]}), pytest.raises(SystemExit):
        mindsdb_datasources.main()
    shown = capfd.readouterr().out
    assert "data-secret" not in shown
    assert "login-secret" not in shown
