# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module would refuse late is found from the inventory alone."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.airgap.mlops.plugins.plugin_utils._setting_checks import setting_problems

ROOT = pathlib.Path(__file__).resolve().parents[4]
TREND = {"name": "trend", "target": "yield", "datasource": "plant", "query": "SELECT 1"}
REFUSED: list[tuple[str, list[dict[str, t.Any]], str]] = [
    ("minio_buckets", [{"name": "my_bucket"}], "bucket my_bucket: a name has 3 to 63"),
    ("minio_buckets", [{"name": "data"}, {"name": "data", "quota": None}], "bucket data is listed twice"),
    ("minio_policies", [{"name": "readonly", "document": {}}], "MinIO has a policy of its own under this name"),
    ("mindsdb_models", [{**TREND, "query": "SELECT 1; DROP TABLE x"}], "model trend: "),
    (
        "mindsdb_models",
        [{"name": "trend", "target": "yield", "query": "SELECT 1"}],
        "datasource and query belong together",
    ),
    (
        "mindsdb_datasources",
        [{"name": "plant", "engine": "postgres", "parameters": {"password": "x"}}],
        "password holds a secret: give it under secrets",
    ),
    (
        "mindsdb_datasources",
        [{"name": "plant", "engine": "postgres", "parameters": {"password": "x"}, "secrets": [{"name": "s"}]}],
        "password is given as a parameter and as a secret",
    ),
]


@pytest.mark.parametrize(
    ("name", "value", "expected"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_refused(name: str, value: list[dict[str, t.Any]], expected: str) -> None:
    (problem,) = setting_problems(name, value)
    assert problem.startswith(f"{name}: The wanted ")
    assert expected in problem


def test_what_is_fine_or_has_no_check() -> None:
    assert setting_problems("mindsdb_models", [TREND, {"name": "old", "state": "absent"}]) == []
    assert setting_problems("mindsdb_models", None) == []
    assert setting_problems("k3s_config", {"token": "x"}) == []


@pytest.mark.parametrize("role", ["minio", "mindsdb"])
def test_defaults_of_the_roles_pass(role: str) -> None:
    for name, value in yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text()).items():
        assert setting_problems(name, value) == [], name
