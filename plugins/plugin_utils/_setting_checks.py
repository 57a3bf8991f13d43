# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What the modules behind a role would refuse of its settings, by those modules' own checks, which need no server.

They come late in a run: a name that MindsDB cannot take is no reason to stop after a database was migrated.
"""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_datasources import Datasource, check_datasources
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_models import Model, check_models
from ansible_collections.airgap.mlops.plugins.module_utils._minio_buckets import Bucket, check_buckets
from ansible_collections.airgap.mlops.plugins.module_utils._minio_users import Policy, check_users

__all__ = ("setting_problems",)

Item = dict[str, t.Any]


def _policies(items: list[Item]) -> None:
    check_users(users=(), policies=[Policy(**item) for item in items], admin="", secret_lengths={})


def _datasource(item: Item) -> Datasource:
    secrets = {entry.get("parameter", "password"): "" for entry in item.get("secrets", ())}
    return Datasource(**{**item, "secrets": secrets})


_CHECKS: dict[str, t.Callable[[list[Item]], None]] = {
    "minio_buckets": lambda items: check_buckets([Bucket(**item) for item in items]),
    "minio_policies": _policies,
    "mindsdb_datasources": lambda items: check_datasources([_datasource(item) for item in items]),
    "mindsdb_models": lambda items: check_models([Model(**item) for item in items]),
}


def setting_problems(name: str, value: t.Any) -> list[str]:
    """Of a value that fits the role's spec: in a list of these, nothing is misspelt or of a wrong type."""
    check = _CHECKS.get(name)
    if check is None or not value:
        return []
    try:
        check([{key: setting for key, setting in item.items() if setting is not None} for item in value])
    except AirgapError as exc:
        return [f"{name}: {exc}"]
    return []
