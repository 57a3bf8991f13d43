# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where credentials come from. What the server does with them is in the integration tests, on a real one."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._minio import Credentials, read_credentials

SECRET = {"name": "mlflow-s3-secret", "access_key": "access_key", "secret_key": "secret_key"}

NO_SECRETS: dict[str, dict[str, str]] = {}


def test_from_a_secret() -> None:
    found = read_credentials(
        {"secret": SECRET}, {"mlflow-s3-secret": {"access_key": "a", "secret_key": "s"}}.__getitem__
    )
    assert found == Credentials("a", "s", "Secret mlflow-s3-secret")


def test_from_the_task() -> None:
    assert read_credentials(
        {"secret": None, "access_key": "a", "secret_key": "s"}, NO_SECRETS.__getitem__
    ) == Credentials("a", "s", "the task")
    assert read_credentials({"access_key": "a", "secret_key": None}, NO_SECRETS.__getitem__).secret_key == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(
            {"user": "a", "secret_key": "s"}, "no value under access_key: it has secret_key, user", id="another key"
        ),
        pytest.param(
            {"access_key": "", "secret_key": ""}, "no value under access_key and secret_key", id="empty values"
        ),
        pytest.param({}, "it has no keys", id="an empty secret"),
    ],
)
def test_a_secret_without_the_keys(values: t.Any, message: t.Any) -> None:
    with pytest.raises(AirgapError, match=message):
        read_credentials({"secret": SECRET}, {"mlflow-s3-secret": values}.__getitem__)


def test_a_secret_key_is_not_printed() -> None:
    assert "s3cr3t" not in repr(Credentials("a", "s3cr3t", "the task"))
