# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Misspelt variables and bad values are found from the argument specs alone."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.plugin_utils._role_variables import (
    missing_options,
    read_options,
    unknown_names,
    value_problems,
)

OPTIONS: dict[str, dict[str, dict[str, t.Any]]] = {
    "minio": {
        "minio_image": {"type": "str", "required": True},
        "minio_buckets": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, "quota": {"type": "int"}},
        },
        "minio_token": {"type": "dict", "no_log": True},
    },
    "redis": {"redis_maxmemory_policy": {"type": "str", "choices": ["allkeys-lru", "noeviction"]}},
}
OTHERS = ["airgap_site", "airgap_bundle"]

UNKNOWN = [
    pytest.param("minio_buckets", None, id="known"),
    pytest.param("airgap_site", None, id="known, no role's"),
    pytest.param("ansible_host", None, id="another prefix"),
    pytest.param("minioadmin", None, id="a prefix ends with an underscore"),
    pytest.param(
        "minio_bucket", "no role knows the variable minio_bucket (did you mean minio_buckets?)", id="misspelt"
    ),
    pytest.param(
        "airgap_bundel",
        "no role knows the variable airgap_bundel (did you mean airgap_bundle?)",
        id="misspelt, no role's",
    ),
    pytest.param("redis_x", "no role knows the variable redis_x", id="nothing like it"),
]


@pytest.mark.parametrize(("name", "problem"), UNKNOWN)
def test_unknown_names(name: str, problem: str | None) -> None:
    assert unknown_names(OPTIONS, OTHERS, [name]) == ([problem] if problem else [])


def test_missing() -> None:
    assert missing_options(OPTIONS, {"minio_buckets"}) == ["role minio needs the variable minio_image"]
    assert missing_options(OPTIONS, {"minio_image"}) == []


VALUES = [
    pytest.param("minio_image", "airgap.local/minio:1", "", id="good"),
    pytest.param("minio_buckets", [{"name": "a", "quota": "10"}], "", id="a number in quotes"),
    pytest.param("minio_buckets", [{"nmae": "a"}], "nmae. Supported parameters include", id="a misspelt key"),
    pytest.param("minio_buckets", [{"quota": 1}], "missing required arguments: name", id="a missing key"),
    pytest.param("minio_buckets", [{"name": "a", "quota": "much"}], "unable to convert to int", id="a bad type"),
    pytest.param("minio_buckets", '[{"name": "a"}]', """write it as -e '{"minio_buckets": …}'""", id="a list as text"),
    pytest.param("redis_maxmemory_policy", "lru", "must be one of: allkeys-lru, noeviction", id="a bad choice"),
]


@pytest.mark.parametrize(("name", "value", "message"), VALUES)
def test_values(name: str, value: object, message: str) -> None:
    spec = next(role[name] for role in OPTIONS.values() if name in role)
    problems = value_problems(name, spec, value)
    assert bool(problems) is bool(message)
    assert all(problem.startswith(f"{name}: ") for problem in problems)
    assert message in "".join(problems)


def test_a_secret_value_is_not_told() -> None:
    assert value_problems("minio_token", OPTIONS["minio"]["minio_token"], ["hidden"]) == [
        "minio_token has a value that is no dict"
    ]
    assert "hidden" not in "".join(value_problems("minio_token", OPTIONS["minio"]["minio_token"], "hidden"))


def test_the_roles_of_the_collection_can_be_read() -> None:
    roles = Path(__file__).resolve().parents[4] / "roles"
    options = read_options(roles, ["minio", "verify"])
    assert "minio_buckets" in options["minio"]
    assert "verify_wait_timeout" in options["verify"]
