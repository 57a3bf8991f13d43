# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that say how to reach an S3 server and as whom. The twin of doc_fragments/_minio.py."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import secret_reference

__all__ = ("MINIO_ARGS", "MINIO_RULES")

MINIO_ARGS: dict[str, t.Any] = {
    "service": {"type": "str", "default": "minio"},
    "port": {"type": "int", "default": 9000},
    "address": {"type": "str"},
    "tls": {"type": "bool", "default": False},
    "ca_path": {"type": "path"},
    "region": {"type": "str", "default": "us-east-1"},
    "secret": secret_reference("access_key", "secret_key"),
    "access_key": {"type": "str", "no_log": False},
    "secret_key": {"type": "str", "no_log": True},
}

MINIO_RULES: dict[str, t.Any] = {
    "mutually_exclusive": [("secret", "access_key"), ("secret", "secret_key")],
    "required_one_of": [("secret", "access_key")],
    "required_together": [("access_key", "secret_key")],
}
